//! `--check`: whether each system does what the comparison takes for granted, `onsale` like its peers.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::system::System;
use crate::{lane::shown, script::Plan, setup::Client};

/// Asks and compares; says in the error what was asked, what was expected and what came.
struct Asking {
    client: Client,
    key: Option<u32>,
}

impl Asking {
    async fn expect(&mut self, method: &str, path: &str, body: Value, status: u16) -> Result<Value> {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let fields = self.key.map(|key| format!("idempotency-key: check-{key}\r\n")).unwrap_or_default();
        let (told, answer) = self.client.call_with(method, path, &fields, &text).await?;
        ensure!(
            told == status,
            "{method} {path} {text}: expected {status}, and it was {told} {}",
            shown(&answer)
        );
        if answer.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&answer).context("not JSON") }
    }

    async fn hold(&mut self, schedule: &str, seat: &str, status: u16) -> Result<Value> {
        let body = json!({ "scheduleId": schedule, "seats": [seat] });
        self.expect("POST", "/api/v1/reservations", body, status).await
    }

    async fn release(&mut self, reservation: &str, status: u16) -> Result<Value> {
        self.expect("DELETE", &format!("/api/v1/reservations/{reservation}"), Value::Null, status).await
    }

    async fn pay(&mut self, reservation: &str, key: u32, status: u16) -> Result<Value> {
        self.key = Some(key);
        let body = json!({ "reservationId": reservation, "method": "balance" });
        let paid = self.expect("POST", "/api/v1/payments", body, status).await;
        self.key = None;
        paid
    }
}

fn text(document: &Value, member: &str) -> Result<String> {
    Ok(document[member].as_str().with_context(|| format!("no {member} in {document}"))?.to_owned())
}

/// Checks a system that has nothing yet; the error says what it does otherwise.
pub(crate) async fn check(system: &mut System, plan: &Plan) -> Result<()> {
    let schedule = system.open_schedule().await?;
    let [first, second, third, ..] = &*plan.seats else { anyhow::bail!("too few seats") };
    let as_user = async |user: usize| {
        Ok::<_, anyhow::Error>(Asking { client: system.client(&plan.users[user].token).await?, key: None })
    };
    let (mut rich, mut poor) = (as_user(0).await?, as_user(1).await?);
    system.charge(plan, 1).await?;

    // Who holds, holds alone, until it is released.
    let held = rich.hold(&schedule, first, 201).await?;
    ensure!(held["status"] == "held" && held["userId"] == plan.users[0].id, "a hold is {held}");
    ensure!(held["seats"][0]["seatId"] == **first, "a hold of {first} is {held}");
    let id = text(&held, "reservationId")?;
    rich.hold(&schedule, first, 409).await?;
    poor.hold(&schedule, first, 409).await?;
    poor.release(&id, 404).await?;
    poor.hold(&schedule, first, 409).await?;
    let released = rich.release(&id, 200).await?;
    ensure!(released["status"] == "released" && released["expiresAt"] == held["expiresAt"], "{released}");
    let again = text(&poor.hold(&schedule, first, 201).await?, "reservationId")?;
    ensure!(again != id, "two holds with the id {id}");

    // What is paid for once stays sold, and the key leads to the one payment.
    let id = text(&rich.hold(&schedule, second, 201).await?, "reservationId")?;
    let paid = rich.pay(&id, 1, 201).await?;
    ensure!(paid["status"] == "completed" && paid["amount"] == held["amount"], "a payment is {paid}");
    let repeated = rich.pay(&id, 1, 201).await?;
    ensure!(repeated == paid, "repeated, {paid} is {repeated}");
    let other = text(&rich.hold(&schedule, third, 201).await?, "reservationId")?;
    rich.pay(&other, 1, 422).await?;
    rich.pay(&id, 2, 409).await?;
    poor.hold(&schedule, second, 409).await?;

    // Without the money nothing happens: neither is the hold confirmed nor the key used.
    poor.pay(&again, 1, 402).await?;
    poor.pay(&again, 1, 402).await?;
    poor.release(&again, 200).await?;
    poor.pay(&again, 1, 409).await?;

    // Nobody without a token.
    let mut nobody = Asking { client: system.client("not-a-token").await?, key: None };
    nobody.hold(&schedule, first, 401).await?;
    nobody.expect("GET", "/healthz", Value::Null, 200).await?;
    Ok(())
}
