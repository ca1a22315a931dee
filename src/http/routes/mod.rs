//! The routes, one file a resource. A handler checks who asks, turns the document into a command,
//! asks the engine, and writes the answer; no rule lives here.

use utoipa_axum::router::OpenApiRouter;

use super::app::App;

pub mod admin;
pub mod catalogue;
pub mod docs;
pub mod reservations;
pub mod running;
pub mod schedules;
pub mod seats;
#[cfg(test)]
mod tests;

pub use admin::Samples;
pub use seats::SeatBodies;

/// Makes the routes under `/api/v1`.
pub fn api() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(catalogue::routes())
        .merge(schedules::routes())
        .merge(seats::routes())
        .merge(reservations::routes())
        .merge(admin::routes())
}
