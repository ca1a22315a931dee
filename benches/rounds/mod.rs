//! Figures of several rounds, and the size of a run: what the benchmarks that are programs of their own share.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "shared by benchmarks, each of which uses what it needs"
)]

/// How often each figure is taken.
pub const ROUNDS: usize = 5;

/// Returns the size that the command line names, or this one. `cargo bench` adds options of its own.
pub fn size_or(size: u32) -> u32 {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    arguments.next().map_or(size, |size| size.parse().unwrap())
}

/// Writes the median of an odd number of rounds, with the least and the greatest.
pub fn shown(mut values: Vec<f64>, decimals: usize) -> String {
    assert!(!values.len().is_multiple_of(2), "the median is one of them");
    values.sort_by(f64::total_cmp);
    let (median, least, most) = (values[values.len() / 2], values[0], values[values.len() - 1]);
    format!("{median:.decimals$} ({least:.decimals$}–{most:.decimals$})")
}
