//! `onsale` sells the seats of shows that sell out in a minute.
//!
//! An in-memory booking engine: each schedule (one performance of a concert) is an actor that owns
//! its seats; what it decides is written to a journal and synced before anyone is told. The same
//! crate is the engine for those who embed it and the server that speaks HTTP: without its features
//! (`default-features = false`) it is the engine alone. `examples/embed.rs` is a whole sale in one file.
//!
//! ```no_run
//! use onsale::engine::{Engine, EngineConfig};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::open(EngineConfig::new("./data")).await?;
//! for schedule in engine.schedules() {
//!     println!("{}: {:?}", schedule.id(), schedule.read().counts());
//! }
//! engine.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! The map, in the order of the dependencies:
//!
//! - [`domain`]: the rules, pure;
//! - [`record`]: facts as bytes; [`journal`]: bytes made durable, in order; [`recovery`]: the state made again;
//!   [`books`]: whether its money adds up;
//! - [`export`]: the state as tables;
//! - [`archive`]: what is long over, on disk alone;
//! - [`backup`]: a data directory, copied while its engine runs;
//! - [`migrate`]: a data directory of the format before, brought to today's;
//! - [`gateway`]: payment gateways; `mock_gateway` (feature `demo`): one to try and test with;
//! - [`engine`]: the actors;
//! - [`cluster`]: who has the log, where several processes share one;
//! - [`clock`], [`files`]: what surrounds them;
//! - with the feature `http`: `http`, the routes, and `config`, `telemetry`, `outbound`.

pub mod domain;

pub mod books;
pub mod journal;
pub mod record;
pub mod recovery;

pub mod archive;
pub mod backup;
pub mod export;
pub mod migrate;

pub mod gateway;
#[cfg(feature = "demo")]
pub mod mock_gateway;

pub mod engine;

#[cfg(feature = "http")]
pub mod http;

pub mod clock;
pub mod cluster;
#[cfg(feature = "http")]
pub mod config;
pub mod files;
#[cfg(feature = "http")]
mod outbound;
pub mod random;
#[cfg(feature = "http")]
pub mod telemetry;

/// The tour's examples, so that they compile.
#[cfg(all(doctest, feature = "http"))]
#[doc = include_str!("../docs/TOUR.md")]
struct Tour;
