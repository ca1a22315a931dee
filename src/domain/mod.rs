//! The rules, and nothing else: no async, no clock, no randomness, no I/O, no wire format.
//!
//! Read it from top to bottom: names and units, the catalogue, then the schedule, where seats are sold.

pub mod cause;
pub mod ids;
pub mod keys;
pub mod money;
pub mod pages;
pub mod time;

pub mod catalogue;
pub mod concert;
pub mod venue;

pub mod accounts;
pub mod payments;
pub mod schedule;
pub mod settlement;
pub mod waiting_room;

pub mod archive;

pub mod users;

#[cfg(test)]
mod inside;
