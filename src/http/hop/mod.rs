//! One hop: how a node that stands by hands a request to the node that has the log.
//!
//! ```text
//! client ─▶ standby: body, seal ─▶ attempt ─▶ owner: opens the seal, counts the client's address ─▶ its route
//!                ▲                    │
//!                └── wait for the next owner, and ask again where that is safe
//! ```
//!
//! Invariants: a request makes one hop at most: a node that stands by and gets one answers 421, which no client ever sees. Nothing is
//! asked twice that could have two effects. What waits is bounded in number, bytes and time.

mod attempt;
mod load;
mod repeat;
mod seal;
mod standby;
#[cfg(test)]
mod tests;

pub use self::seal::HopKey;
pub use self::standby::Standby;
