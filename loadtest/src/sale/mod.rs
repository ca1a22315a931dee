//! Whole sales: people who queue, look, hold, exchange, pay or go away, and cancel (`journeys`), and a show that sells out before a million of
//! them (`box`).
//!
//! A `person` is data and knows what comes next; the `agenda` says who is due; a `show` sends what they do on some connections and books it in the
//! `ledger`; `check` asks the server about all of that at the end. `figures` are what each kind of step took. `stage` is what has to be there first.

mod agenda;
mod bottleneck;
mod check;
mod figures;
pub(crate) mod in_a_box;
pub(crate) mod journeys;
mod ledger;
mod person;
mod show;
mod stage;
#[cfg(test)]
mod tests;
