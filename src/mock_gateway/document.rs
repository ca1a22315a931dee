//! A payment as Toss writes it.

use serde_json::{Value, json};

use super::book::{Movement, Payment};
use crate::domain::time::Timestamp;

/// Toss writes Korean time, which has no summer time.
const KOREA_MILLIS: u64 = 9 * 3_600_000;

/// Writes the payment object of version 2022-11-16, with what a card payment has.
pub(super) fn payment(payment: &Payment) -> Value {
    let cancels: Vec<Value> = payment
        .cancellations
        .iter()
        .map(|cancellation| {
            json!({
                "transactionKey": cancellation.transaction,
                "cancelAmount": cancellation.amount,
                "cancelReason": cancellation.reason,
                "canceledAt": korean(cancellation.at),
                "refundableAmount": cancellation.left,
                "cancelStatus": "DONE",
            })
        })
        .collect();
    json!({
        "mId": "mock",
        "version": "2022-11-16",
        "paymentKey": payment.key,
        "type": "NORMAL",
        "orderId": payment.order_id,
        "orderName": payment.order_name,
        "currency": "KRW",
        "country": "KR",
        "method": "카드",
        "totalAmount": payment.amount,
        "balanceAmount": payment.balance(),
        "status": payment.status.as_str(),
        "requestedAt": korean(payment.requested_at),
        "approvedAt": payment.approved_at.map(korean),
        "lastTransactionKey": payment.transaction,
        "isPartialCancelable": true,
        "useEscrow": false,
        "cultureExpense": false,
        "cancels": if cancels.is_empty() { Value::Null } else { cancels.into() },
        "failure": payment.failure.as_ref().map(super::codes::Refusal::to_json),
    })
}

/// Writes a movement of money for the list of movements.
pub(super) fn movement(movement: &Movement) -> Value {
    json!({
        "mId": "mock",
        "transactionKey": movement.transaction,
        "paymentKey": movement.key,
        "orderId": movement.order_id,
        "currency": "KRW",
        "method": "카드",
        "customerKey": null,
        "useEscrow": false,
        "amount": movement.amount,
        "status": movement.status.as_str(),
        "transactionAt": korean(movement.at),
    })
}

/// Writes the notice of a payment's state.
pub(super) fn notice(of: &Payment, at: Timestamp) -> Value {
    // Toss writes this instant with milliseconds and without an offset.
    let at = at.plus_millis(KOREA_MILLIS).to_string();
    json!({
        "eventType": "PAYMENT_STATUS_CHANGED",
        "createdAt": at.trim_end_matches('Z'),
        "data": payment(of),
    })
}

/// Writes an instant as `2026-11-20T21:00:00+09:00`.
fn korean(at: Timestamp) -> String {
    let local = at.plus_millis(KOREA_MILLIS).to_string();
    let (seconds, _) = local.split_once('.').expect("an instant is written with milliseconds");
    format!("{seconds}+09:00")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_in_koreas_time_and_means_the_same() {
        let at = Timestamp::parse("2026-11-20T20:00:00Z").unwrap();
        assert_eq!(korean(at), "2026-11-21T05:00:00+09:00");
        assert_eq!(Timestamp::parse(&korean(at)), Ok(at));
    }
}
