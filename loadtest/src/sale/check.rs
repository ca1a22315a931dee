//! Asks the server about everything that was acknowledged, once nobody acts any more.

use std::sync::Arc;

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::task::JoinSet;

use super::{
    ledger::{self, Ledger, State},
    person::World,
    show::Show,
};
use crate::{audit, book::Faults, setup::in_time, wire::Connection};

/// How many connections ask.
const CONNECTIONS: usize = 16;
/// How many reservations that aren't paid are asked for; evenly chosen ones beyond it. The paid ones are asked for all.
const UNPAID_MAX: usize = 20_000;

/// What was compared, and what differs.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Findings {
    pub(super) acknowledged: usize,
    pub(super) paid: usize,
    pub(super) cancelled: usize,
    pub(super) released: usize,
    /// Neither paid nor ended by their owners.
    pub(super) abandoned: usize,
    pub(super) unsure: usize,
    pub(super) asked: usize,
    /// Seats of paid reservations.
    pub(super) sold: u64,
    pub(super) seats: usize,
    pub(super) faults: Faults,
}

impl Findings {
    pub(super) fn text(&self) -> String {
        let Self { acknowledged, paid, cancelled, released, abandoned, unsure, asked, sold, seats, faults } =
            self;
        let mut out = format!(
            "check: {acknowledged} acknowledged holds: {paid} paid, {cancelled} cancelled, {released} released, {abandoned} abandoned, {unsure} unknown; {asked} asked for; {sold} of {seats} seats sold, none twice\n"
        );
        if faults.count == 0 {
            out.push_str("check: passed\n");
            return out;
        }
        out = format!("check: FAILED, {} differences:\n", faults.count);
        for fault in &faults.first {
            out.push_str("  ");
            out.push_str(fault);
            out.push('\n');
        }
        out
    }
}

/// Checks the book of a sale that is over.
pub(super) async fn check(show: &Arc<Show>) -> Result<Findings> {
    let mut book = std::mem::take(&mut *show.book());
    let unsure = |entry: &&ledger::Entry| matches!(entry.state, State::Unsure(_));
    let mut findings = Findings {
        acknowledged: book.entries.len(),
        paid: book.count(State::Paid),
        cancelled: book.count(State::Cancelled),
        released: book.count(State::Released),
        abandoned: book.count(State::Held),
        unsure: book.entries.iter().filter(unsure).count(),
        asked: 0,
        sold: book.sold,
        seats: show.world.seats.len(),
        faults: std::mem::take(&mut book.faults),
    };
    book.check_owners(&mut findings.faults);
    let map = audit::seat_map(show.target, &show.world.schedule).await?;
    book.check_map(&show.world.seats, &map, &mut findings.faults);

    let asked = to_ask(&book);
    findings.asked = asked.len();
    let book = Arc::new(book);
    let mut askers = JoinSet::new();
    for part in asked.chunks(asked.len().div_ceil(CONNECTIONS).max(1)) {
        askers.spawn(ask(Arc::clone(show), Arc::clone(&book), part.to_vec()));
    }
    while let Some(part) = askers.join_next().await {
        findings.faults.merge(part.context("an auditor")??);
    }
    Ok(findings)
}

/// Chooses the entries to ask for.
fn to_ask(book: &Ledger) -> Vec<usize> {
    let is_paid = |&at: &usize| book.entries[at].state == State::Paid;
    let (mut asked, others): (Vec<usize>, Vec<usize>) = (0..book.entries.len()).partition(is_paid);
    let stride = others.len().div_ceil(UNPAID_MAX).max(1);
    asked.extend(others.into_iter().step_by(stride));
    asked
}

async fn ask(show: Arc<Show>, book: Arc<Ledger>, entries: Vec<usize>) -> Result<Faults> {
    let mut connection = in_time(Connection::open(show.target.address())).await?;
    let mut faults = Faults::default();
    for entry in entries.into_iter().map(|at| &book.entries[at]) {
        let request = {
            let person = show.person(entry.person);
            request(&show.world, &entry.reservation, &person.token)
        };
        let answer =
            in_time(connection.exchange(request.as_bytes())).await.context("asking for a reservation")?;
        let told = audit::told(&answer)?;
        let user = show.world.user(entry.person);
        let words = ledger::words(entry, &show.world.seats);
        ledger::check_entry(entry, (&user, &words), told.as_ref().map_err(|status| *status), &mut faults);
    }
    Ok(faults)
}

fn request(world: &World, reservation: &str, token: &str) -> String {
    let host = &world.host;
    format!(
        "GET /api/v1/reservations/{reservation} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\r\n"
    )
}
