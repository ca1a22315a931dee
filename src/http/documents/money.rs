//! What the journal's feed says of accounts and payments, and how a payment is shown.
//!
//! Absent on purpose: the gateway's keys of checkouts.

use serde_json::{Map, Value, json};

use super::event::EventDocument;
use crate::domain::accounts::{self, Kind, Shard};
use crate::domain::ids::{PaymentId, PaymentNumber, ReservationId, ScheduleNumber, TransactionId};
use crate::domain::payments::{self, Failure, Payment};
use crate::engine::Engine;

/// Writes an event of an account.
pub fn of_accounts(event: &accounts::Event, shard: Shard) -> EventDocument {
    let (name, user, fields) = match event {
        accounts::Event::Moved { user, currency, number, nonce, kind, amount, balance_after } => {
            let id = TransactionId { shard: shard.0, number: *number, nonce: *nonce };
            let payment = match kind {
                Kind::Charge => None,
                Kind::Payment(payment) | Kind::Refund(payment) => Some(payment.to_string()),
            };
            let fields = json!({
                "userId": user.as_str(), "transactionId": id.to_string(), "type": kind.as_str(),
                "amount": amount.minor(), "currency": currency.as_str(), "balanceAfter": balance_after.minor(),
                "paymentId": payment,
            });
            ("MoneyMoved", user, fields)
        }
        accounts::Event::KeyKept { user } => ("KeyKept", user, json!({"userId": user.as_str()})),
        accounts::Event::Archived { user, .. } => {
            ("TransactionsArchived", user, json!({"userId": user.as_str()}))
        }
    };
    EventDocument { name, subject: format!("users/{user}/balance"), data: object(fields) }
}

/// Writes an event of a payment; its id and user as long as it is kept.
pub fn of_payments(event: &payments::Event, schedule: ScheduleNumber, engine: &Engine) -> EventDocument {
    use payments::Event;
    let number = event.number();
    // The feed may be a moment ahead of what is shown: who is started says its id itself.
    let id = if let Event::Started { nonce, .. } = event {
        Some(PaymentId { schedule, number, nonce: *nonce })
    } else {
        engine.payment_numbered(schedule, number).map(|payment| payment.id)
    };
    let id = id.map(|id| id.to_string());
    let (name, fields) = match event {
        Event::Started { reservation, user, method, amount, currency, .. } => {
            let reservation =
                ReservationId { schedule, number: reservation.number, nonce: reservation.nonce };
            let fields = json!({
                "reservationId": reservation.to_string(), "userId": user.as_str(), "method": method.as_str(),
                "amount": amount.minor(), "currency": currency.as_str(),
            });
            ("PaymentStarted", fields)
        }
        Event::Accepted { .. } => ("PaymentAccepted", json!({})),
        Event::CaptureBegun { .. } => ("CaptureBegun", json!({})),
        Event::Declined { failure, .. } => ("PaymentDeclined", json!({"failure": of_failure(failure)})),
        Event::Captured { .. } => ("PaymentCaptured", json!({})),
        Event::Confirmed { .. } => ("PaymentConfirmed", json!({})),
        Event::Completed { .. } => ("PaymentCompleted", json!({})),
        Event::Failed { failure, .. } => {
            ("PaymentFailed", json!({"failure": failure.as_ref().map(of_failure)}))
        }
        Event::RefundBegun { failure, .. } => ("RefundBegun", json!({"failure": of_failure(failure)})),
        Event::Refunded { .. } => ("PaymentRefunded", json!({})),
        Event::KeyKept { .. } => ("KeyKept", json!({})),
    };
    let mut data = Map::new();
    data.insert("paymentNumber".into(), number.count().into());
    data.insert("paymentId".into(), id.clone().into());
    data.extend(object(fields));
    let subject = id.map_or_else(|| unnamed(schedule, number), |id| format!("payments/{id}"));
    EventDocument { name, subject, data }
}

fn unnamed(schedule: ScheduleNumber, number: PaymentNumber) -> String {
    format!("payments/#{}-{}", schedule.0, number.count())
}

/// Writes why a payment failed.
pub fn of_failure(failure: &Failure) -> Value {
    let mut fields = json!({"code": failure.as_str()});
    match failure {
        Failure::Declined { code, reason } => {
            fields["gatewayCode"] = (&**code).into();
            fields["reason"] = (&**reason).into();
        }
        Failure::Insufficient { balance } => fields["currentBalance"] = balance.minor().into(),
        Failure::NotHeld
        | Failure::TooLate
        | Failure::OtherAmount
        | Failure::OtherCurrency
        | Failure::SeatsLost
        | Failure::Cancelled
        | Failure::Superseded => {}
    }
    fields
}

/// Writes a payment as its user is shown it.
pub fn of_payment(payment: &Payment) -> Value {
    let reservation = ReservationId {
        schedule: payment.id.schedule,
        number: payment.reservation.number,
        nonce: payment.reservation.nonce,
    };
    json!({
        "paymentId": payment.id.to_string(),
        "reservationId": reservation.to_string(),
        "userId": payment.user.as_str(),
        "method": payment.method.as_str(),
        "status": payment.state.as_str(),
        "amount": payment.amount.minor(),
        "currency": payment.currency.as_str(),
        "orderId": payment.needs_gateway().then(|| payment.id.to_string()),
        "createdAt": payment.created_at.to_string(),
        "updatedAt": payment.updated_at.to_string(),
        "completedAt": payment.completed_at.map(|at| at.to_string()),
        "refundedAt": payment.refunded_at.map(|at| at.to_string()),
        "failure": payment.failure.as_ref().map(of_failure),
    })
}

fn object(fields: Value) -> Map<String, Value> {
    match fields {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            unreachable!("an event's fields are an object")
        }
    }
}
