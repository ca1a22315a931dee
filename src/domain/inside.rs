//! The inside of an aggregate, to compare a restored one with one that never was: each private field, indexes and caches too.
//!
//! `PartialEq` compares images, and so can't see what an image lacks. Here a new field is a compile error until it is named.
//! What may differ is left out by name: hashers, how a table stands in memory, and what the last event alone left behind.

use crate::record::{self, Section};
use crate::recovery::World;

/// The fields of a state by their names, in words.
pub(super) type Inside = Vec<(&'static str, String)>;

/// Says what is in each of these fields.
macro_rules! said {
    ($($field:ident),+ $(,)?) => { vec![$((stringify!($field), format!("{:?}", $field))),+] };
}
pub(super) use said;

/// Writes an aggregate's section, and reads it as recovery does.
pub(super) fn reread(section: &Section) -> World {
    let mut world = World::default();
    for section in record::decode_sections(section.encode()) {
        world.restore(section.expect("what was written is read")).expect("what was written is restored");
    }
    world
}
