//! `onsale` sells the seats of shows that sell out in a minute.

pub mod clock;
pub mod config;
pub mod domain;
pub mod engine;
pub mod http;
pub mod journal;
pub mod record;
pub mod recovery;
pub mod telemetry;
