//! The calls that aren't measured: making the venue, the concert and the schedule, and looking at them.

use std::{future::Future, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{
    lane::shown,
    script::Plan,
    target::Target,
    wire::{Connection, WireError},
};

/// How long one call may take; a venue of 250,000 seats is the largest.
const CALL_SECONDS: u64 = 60;

/// A connection for calls that aren't measured.
pub(crate) struct Client {
    connection: Connection,
    host: String,
    authorization: String,
}

impl Client {
    pub(crate) async fn connect(target: Target, token: Option<&str>) -> Result<Self> {
        let authorization =
            token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        Ok(Self { connection: Connection::open(target.address()).await?, host: target.host(), authorization })
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<(u16, Vec<u8>)> {
        self.call("GET", path, "").await
    }

    /// Calls and returns the answer, whatever it is.
    async fn call(&mut self, method: &str, path: &str, body: &str) -> Result<(u16, Vec<u8>)> {
        self.call_with(method, path, "", body).await
    }

    /// The same with more lines of the head.
    pub(crate) async fn call_with(
        &mut self,
        method: &str,
        path: &str,
        fields: &str,
        body: &str,
    ) -> Result<(u16, Vec<u8>)> {
        let (host, authorization, len) = (&self.host, &self.authorization, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\n{authorization}{fields}content-type: application/json\r\ncontent-length: {len}\r\n\r\n{body}"
        );
        let answer = in_time(self.connection.exchange(request.as_bytes())).await;
        let answer = answer.with_context(|| format!("{method} {path}"))?;
        Ok((answer.status, answer.body.to_vec()))
    }

    /// Calls and expects a success.
    pub(crate) async fn must(&mut self, method: &str, path: &str, body: &Value) -> Result<()> {
        let (status, answer) = self.call(method, path, &body.to_string()).await?;
        if !(200..300).contains(&status) {
            bail!("{method} {path}: {status} {}", shown(&answer));
        }
        Ok(())
    }

    /// Asks for JSON and expects a 200.
    pub(crate) async fn json(&mut self, path: &str) -> Result<Value> {
        let (status, answer) = self.get(path).await?;
        if status != 200 {
            bail!("GET {path}: {status} {}", shown(&answer));
        }
        serde_json::from_slice(&answer).with_context(|| format!("GET {path}: not JSON"))
    }
}

/// Bounds a call that isn't measured.
pub(crate) async fn in_time<T>(call: impl Future<Output = Result<T, WireError>>) -> Result<T> {
    let call = tokio::time::timeout(Duration::from_secs(CALL_SECONDS), call).await;
    Ok(call.context("no answer in time")??)
}

/// Makes one open schedule with the plan's seats, by the API; `queue` is its waiting room, or null.
pub(crate) async fn open_schedule(
    target: Target,
    admin_token: &str,
    plan: &Plan,
    queue: &Value,
) -> Result<()> {
    open_schedule_of(target, admin_token, plan, &policy(queue)).await
}

/// The policy of a schedule, whose holds outlive every run (`TOTAL_SECONDS_MAX`); `queue` is its waiting room, or null.
pub(crate) fn policy(queue: &Value) -> Value {
    json!({ "holdSeconds": HOLD_SECONDS, "maxSeatsPerReservation": 4, "maxSeatsPerUser": USER_SEATS_MAX,
        "queue": queue })
}

/// The same with another policy.
pub(crate) async fn open_schedule_of(
    target: Target,
    admin_token: &str,
    plan: &Plan,
    policy: &Value,
) -> Result<()> {
    let mut admin = Client::connect(target, Some(admin_token)).await?;
    let id = &plan.schedule;
    put_hall(&mut admin, id, plan).await?;
    put_schedule(&mut admin, id, id, policy).await
}

/// Makes a venue with the plan's seats, and a concert in it of the same id.
pub(crate) async fn put_hall(admin: &mut Client, id: &str, plan: &Plan) -> Result<()> {
    let rows: Vec<Value> = plan
        .rows()
        .zip(1..)
        .map(
            |(length, row): (usize, u32)| json!({ "rowId": row.to_string(), "grade": "R", "length": length }),
        )
        .collect();
    let venue = json!({
        "name": "Load test", "address": "127.0.0.1", "type": "hall", "timeZone": "Asia/Seoul",
        "sections": [{ "sectionId": "A", "floor": "1F", "rows": rows }],
    });
    admin.must("PUT", &format!("/api/v1/venues/{id}"), &venue).await?;

    let concert = json!({
        "title": "Load test", "artist": "Many connections", "venueId": id, "currency": "KRW",
        "grades": [{ "grade": "R", "price": 50_000, "color": "#FF0000" }],
    });
    admin.must("PUT", &format!("/api/v1/concerts/{id}"), &concert).await
}

/// Makes a schedule of a concert and opens it.
pub(crate) async fn put_schedule(admin: &mut Client, id: &str, concert: &str, policy: &Value) -> Result<()> {
    put_schedule_closed(admin, id, concert, policy).await?;
    admin.must("POST", &format!("/api/v1/schedules/{id}/open"), &json!({})).await
}

/// Makes a schedule of a concert, whose sale somebody else opens.
pub(crate) async fn put_schedule_closed(
    admin: &mut Client,
    id: &str,
    concert: &str,
    policy: &Value,
) -> Result<()> {
    // Far away, so that the sale doesn't close by itself.
    let schedule = json!({
        "concertId": concert, "startsAt": "2099-01-01T10:00:00.000Z", "endsAt": "2099-01-01T12:00:00.000Z",
        "policy": policy,
    });
    admin.must("PUT", &format!("/api/v1/schedules/{id}"), &schedule).await
}

/// How long a hold lives.
pub(crate) const HOLD_SECONDS: u64 = 3600;
/// How many seats a user may hold.
pub(crate) const USER_SEATS_MAX: usize = 100;
