//! onsale
fn main() {}
