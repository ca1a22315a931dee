//! The HTTP layer: axum and hyper live only here.
//!
//! ```text
//! server (connections) → request (id, deadline, metrics) → table → cors → shape → extract, auth → route
//! ```
//!
//! [`HttpParts`] is what the extractors need; a router's state gives it by `AsRef<HttpParts>`.
//!
//! Invariants: every error leaves as a [`problem::Problem`]; every extractor of a route is one of
//! [`extract`] or [`auth`]; an instant that is answered or decided on comes from the [`Clock`](crate::clock::Clock) alone (deadlines
//! and measured times run on tokio's monotonic clock); files name no routes but `router`, and routes no other route.

pub mod answer;
pub mod app;
pub mod auth;
mod background;
mod by_ticket;
mod changes;
pub mod cluster;
mod codes;
pub mod context;
pub mod cors;
mod description;
pub mod documents;
mod exports;
pub mod extract;
pub mod hop;
pub mod hosts;
mod idempotency;
pub mod json;
pub mod json_writer;
pub mod limits;
mod lookup;
pub mod mail_hook;
mod map_areas;
pub mod page;
pub mod pages;
mod parts;
mod pass;
pub mod passwords;
pub mod problem;
pub mod rate_limit;
pub mod refusal;
pub mod request;
pub mod router;
pub mod routes;
mod samples;
mod seat_map;
mod seat_plan;
mod seat_vector;
pub mod server;
mod shape;
pub mod sign_ups;
pub mod stream;
pub mod stream_tickets;
pub mod table;
mod tagged;
#[cfg(test)]
pub(crate) mod tests_support;
mod upkeep;
pub mod webhook_signature;
mod wish;

pub use self::parts::{ChargeSettings, ClientAddress, HttpParts, HttpPartsInner, SetupError};
