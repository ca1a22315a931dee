//! The routes, one file for each resource. A handler checks the caller, turns the document into a command, asks the
//! engine, and writes the answer. It decides no rule.

use super::app::App;
use super::table::Routes;

pub mod admin;
pub mod allotments;
pub mod balance;
pub mod catalogue;
pub mod codes;
pub mod docs;
pub mod health;
pub mod metrics;
pub mod offers;
pub mod orders;
pub mod payments;
pub mod plans;
pub mod queue;
pub mod reports;
pub mod reservations;
pub mod schedules;
pub mod seats;
pub mod streams;
#[cfg(test)]
mod tests;
pub mod users;

/// Makes the routes under `/api/v1`.
pub fn api() -> Routes<App> {
    Routes::new()
        .merge(catalogue::routes())
        .merge(schedules::routes())
        .merge(codes::routes())
        .merge(allotments::routes())
        .merge(offers::routes())
        .merge(seats::routes())
        .merge(plans::routes())
        .merge(streams::routes())
        .merge(reservations::routes())
        .merge(orders::routes())
        .merge(queue::routes())
        .merge(payments::routes())
        .merge(reports::routes())
        .merge(balance::routes())
        .merge(users::routes())
        .merge(admin::routes())
}

/// Makes the routes of operation, which stand outside of `/api/v1`.
pub fn running() -> Routes<App> {
    Routes::new().merge(health::routes()).merge(metrics::routes())
}
