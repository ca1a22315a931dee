//! The meaning of Toss's answers: bytes in, outcome out, by the table of the module above.

use serde::Deserialize;
use serde_json::Number;

use super::{
    Cancel, CancelOutcome, Capture, CaptureOutcome, Find, Found, Money, NotCaptured, OrderId, PaymentKey,
    Said, Why,
};
use crate::domain::time::{Seconds, Timestamp};

/// Toss's currency: won, which has no smaller unit.
pub(super) const CURRENCY: &str = "KRW";

/// A whole answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// An outcome, or the need to look at the payment first.
pub(super) enum OrLook<T> {
    Answered(T),
    /// The payment was dealt with before, or can't be: its state decides.
    Look {
        code: Said,
        reason: Said,
    },
}

/// The meaning of an error answer.
enum Verdict {
    Refused,
    Look,
    Unknown(Why),
}

/// The parts of a payment's document that are read here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    payment_key: String,
    order_id: String,
    status: String,
    total_amount: Number,
    balance_amount: Option<Number>,
    currency: Option<String>,
    approved_at: Option<String>,
    last_transaction_key: Option<String>,
    failure: Option<Failure>,
    cancels: Option<Vec<Cancellation>>,
}

#[derive(Deserialize)]
struct Failure {
    code: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cancellation {
    transaction_key: Option<String>,
    cancel_status: Option<String>,
}

enum Status {
    Open,
    Done,
    Cancelled,
    PartlyCancelled,
    Aborted,
    Expired,
    Unheard,
}

impl Document {
    fn parse(body: &[u8]) -> Option<Self> {
        let payment: Self = serde_json::from_slice(body).ok()?;
        let won = payment.currency.as_deref().is_none_or(|currency| currency == CURRENCY);
        won.then_some(payment)
    }

    fn status(&self) -> Status {
        match self.status.as_str() {
            "READY" | "IN_PROGRESS" | "WAITING_FOR_DEPOSIT" => Status::Open,
            "DONE" => Status::Done,
            "CANCELED" => Status::Cancelled,
            "PARTIAL_CANCELED" => Status::PartlyCancelled,
            "ABORTED" => Status::Aborted,
            "EXPIRED" => Status::Expired,
            _ => Status::Unheard,
        }
    }

    fn approved_at(&self) -> Option<Timestamp> {
        Timestamp::parse(self.approved_at.as_deref()?).ok()
    }

    /// Returns the refunded amount, if the payment has it.
    fn cancelled(&self) -> Option<Money> {
        let total = won(&self.total_amount)?;
        match self.status() {
            Status::Cancelled => Some(total),
            Status::PartlyCancelled => total.minus(won(self.balance_amount.as_ref()?)?),
            Status::Open | Status::Done | Status::Aborted | Status::Expired => Some(Money::ZERO),
            Status::Unheard => None,
        }
    }

    fn failure(&self) -> (Said, Said) {
        let failure = self.failure.as_ref();
        let code = failure.and_then(|failure| failure.code.as_deref()).unwrap_or(&self.status);
        let reason = failure.and_then(|failure| failure.message.as_deref());
        (Said::new(code), Said::new(reason.unwrap_or("The payment was not approved.")))
    }
}

/// Reads an amount of won: a whole number, which may be written `15000.0`.
fn won(number: &Number) -> Option<Money> {
    let text = number.to_string();
    Money::new(text.strip_suffix(".0").unwrap_or(&text).parse().ok()?)
}

/// Reads the outcome of a capture.
pub(super) fn capture(reply: &Reply, asked: &Capture) -> OrLook<CaptureOutcome> {
    let unknown = |why| OrLook::Answered(CaptureOutcome::Unknown { why });
    if !is_success(reply) {
        let (code, reason) = error_of(reply);
        return match of_capture(reply.status, code.as_ref()) {
            Verdict::Refused => {
                let code = code.unwrap_or_else(|| Said::new(""));
                OrLook::Answered(CaptureOutcome::Declined { code, reason })
            }
            Verdict::Look => OrLook::Look { code: code.unwrap_or_else(|| Said::new("")), reason },
            Verdict::Unknown(why) => {
                complain("confirm", reply.status, code.as_ref(), why);
                unknown(why)
            }
        };
    }

    let Some(payment) = Document::parse(&reply.body) else {
        complain("confirm", reply.status, None, Why::NotUnderstood);
        return unknown(Why::NotUnderstood);
    };

    // Money counts only for the payment that was asked for: key, order and amount must all be the same.
    let named =
        payment.payment_key == asked.payment_key.as_str() && payment.order_id == asked.order_id.as_str();

    if !named || won(&payment.total_amount) != Some(asked.amount) {
        tracing::error!(
            order_id = %asked.order_id,
            "the payment gateway confirmed another payment than the one it was asked to"
        );
        return unknown(Why::NotUnderstood);
    }

    match payment.status() {
        Status::Done => OrLook::Answered(CaptureOutcome::Captured {
            payment_key: asked.payment_key.clone(),
            transaction: payment.last_transaction_key.as_deref().map(Said::new),
            approved_at: payment.approved_at(),
        }),
        Status::Aborted => {
            let (code, reason) = payment.failure();
            OrLook::Answered(CaptureOutcome::Declined { code, reason })
        }
        Status::Expired => OrLook::Answered(expired()),
        Status::Open => unknown(Why::UnderWay),
        Status::Cancelled | Status::PartlyCancelled => unknown(Why::AlreadyProcessed),
        Status::Unheard => unknown(Why::NotUnderstood),
    }
}

/// Reads the state of a payment.
pub(super) fn find(reply: &Reply, asked: &Find) -> Found {
    if !is_success(reply) {
        let (code, _) = error_of(reply);
        let known = code.as_ref().map(Said::as_str);
        return match (reply.status, known) {
            (404, Some("NOT_FOUND" | "NOT_FOUND_PAYMENT" | "NOT_FOUND_PAYMENT_SESSION"))
            | (400 | 404, Some("INVALID_PAYMENT_KEY" | "INVALID_ORDER_ID")) => Found::NoSuchOrder,
            (_, Some("FORBIDDEN_REQUEST")) => unknown_found(reply, code.as_ref(), Why::Misconfigured),
            (status, _) => {
                let why = in_common(status, known).unwrap_or(Why::NotUnderstood);
                unknown_found(reply, code.as_ref(), why)
            }
        };
    }

    let not_understood = || unknown_found(reply, None, Why::NotUnderstood);
    let Some(payment) = Document::parse(&reply.body) else { return not_understood() };
    let Ok(payment_key) = PaymentKey::parse(&payment.payment_key) else { return not_understood() };
    if asked.payment_key.as_ref().is_some_and(|asked| *asked != payment_key) {
        return not_understood();
    }

    // A client may confirm with the key of another order: that captures nothing of this one.
    if payment.order_id != asked.order_id.as_str() {
        return match asked.payment_key {
            Some(_) => Found::NotCaptured(NotCaptured::Declined {
                code: Said::new("PAYMENT_KEY_OF_ANOTHER_ORDER"),
                reason: Said::new("The payment key belongs to another order."),
            }),
            None => not_understood(),
        };
    }

    let declined = || {
        let (code, reason) = payment.failure();
        Found::NotCaptured(NotCaptured::Declined { code, reason })
    };

    match payment.status() {
        Status::Open => Found::NotCaptured(NotCaptured::Open),
        Status::Expired => Found::NotCaptured(NotCaptured::Expired),
        Status::Aborted => declined(),
        Status::Cancelled if payment.approved_at.is_none() => declined(),
        Status::Done | Status::Cancelled | Status::PartlyCancelled => {
            let (Some(amount), Some(cancelled_amount)) = (won(&payment.total_amount), payment.cancelled())
            else {
                return not_understood();
            };
            Found::Captured { payment_key, amount, cancelled_amount, approved_at: payment.approved_at() }
        }
        Status::Unheard => not_understood(),
    }
}

/// Reads the outcome of a refund.
pub(super) fn cancel(reply: &Reply, asked: &Cancel) -> OrLook<CancelOutcome> {
    if !is_success(reply) {
        let (code, reason) = error_of(reply);
        let said = || code.clone().unwrap_or_else(|| Said::new(""));
        return match of_cancel(reply.status, code.as_ref()) {
            Verdict::Refused => OrLook::Answered(CancelOutcome::Refused { code: said(), reason }),
            Verdict::Look => OrLook::Look { code: said(), reason },
            Verdict::Unknown(why) => {
                complain("cancel", reply.status, code.as_ref(), why);
                OrLook::Answered(CancelOutcome::Unknown { why })
            }
        };
    }
    let outcome = match went_back(reply, asked) {
        // It says that it did what it was asked to, and it didn't.
        Some(CancelOutcome::Differs { back, .. }) if back < asked.amount => None,
        outcome => outcome,
    };
    OrLook::Answered(outcome.unwrap_or_else(|| {
        complain("cancel", reply.status, None, Why::NotUnderstood);
        CancelOutcome::Unknown { why: Why::NotUnderstood }
    }))
}

/// Reads from the payment's state whether the money was refunded before. `code` and `reason` are the answer to the
/// refund.
pub(super) fn cancelled_before(
    looked: Option<&Reply>,
    asked: &Cancel,
    code: Said,
    reason: Said,
) -> CancelOutcome {
    let has_the_money = may_have_less(code.as_str());
    let looked = looked.filter(|reply| is_success(reply)).and_then(|reply| went_back(reply, asked));
    match looked {
        // Nothing is back but what was known to be, so that it isn't why the refund was refused.
        Some(CancelOutcome::Differs { back, .. }) if back <= asked.back => {
            if has_the_money {
                CancelOutcome::Refused { code, reason }
            } else {
                CancelOutcome::Unknown { why: Why::NotUnderstood }
            }
        }
        Some(outcome) => outcome,
        // How much of it is back isn't known.
        None if has_the_money || asked.amount < asked.captured => CancelOutcome::Unknown { why: Why::Failed },
        // The gateway says that it was cancelled; only the transaction's name is missing.
        None => CancelOutcome::Cancelled { transaction: None },
    }
}

/// Reads how much was refunded. Returns `None` if the document is of another payment.
fn went_back(reply: &Reply, asked: &Cancel) -> Option<CancelOutcome> {
    let payment = Document::parse(&reply.body)?;
    let amount = payment.cancelled()?;
    if payment.payment_key != asked.payment_key.as_str() {
        return None;
    }

    // A bank may carry out a refund later, or not at all: the last cancellation says which.
    let last = payment.cancels.as_ref().and_then(|cancels| cancels.last());
    match last.and_then(|last| last.cancel_status.as_deref()) {
        Some("IN_PROGRESS") => return Some(CancelOutcome::Unknown { why: Why::UnderWay }),
        Some("ABORTED") => {
            let code = Said::new("CANCEL_ABORTED");
            return Some(CancelOutcome::Refused {
                code,
                reason: Said::new("The refund was not carried out."),
            });
        }
        Some(_) | None => {}
    }

    let transaction = last.and_then(|last| last.transaction_key.as_deref());
    let transaction = transaction.or(payment.last_transaction_key.as_deref()).map(Said::new);
    if amount == asked.amount {
        Some(CancelOutcome::Cancelled { transaction })
    } else {
        Some(CancelOutcome::Differs { back: amount, transaction })
    }
}

/// Makes a decline with a code of the engine's.
pub(super) fn declined(code: &str, reason: &str) -> CaptureOutcome {
    CaptureOutcome::Declined { code: Said::new(code), reason: Said::new(reason) }
}

/// Makes the decline of a customer who came too late.
pub(super) fn expired() -> CaptureOutcome {
    declined(super::TERMS.codes.expired, "The payment was not confirmed in time.")
}

/// Reads the order of a notice: it is in `data` if the payment's status changed, and at the top for a deposit.
pub(super) fn notice(body: &[u8]) -> Option<OrderId> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Named {
        order_id: Option<String>,
        data: Option<Box<Self>>,
    }
    let notice: Named = serde_json::from_slice(body).ok()?;
    let order_id = notice.data.and_then(|data| data.order_id).or(notice.order_id)?;
    OrderId::parse(&order_id).ok()
}

/// A movement of money: a capture, or a refund of a part of one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Movement {
    pub(super) transaction_key: String,
    pub(super) payment_key: String,
    pub(super) order_id: String,
    status: String,
}

impl Movement {
    pub(super) fn went_back(&self) -> bool {
        self.status != "DONE"
    }
}

/// Reads a page of movements.
pub(super) fn movements(reply: &Reply) -> Option<Vec<Movement>> {
    let page: Vec<Movement> = serde_json::from_slice(&reply.body).ok().filter(|_| is_success(reply))?;
    // It goes into the next request's URL, so it is checked.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    page.iter().all(|movement| movement.transaction_key.chars().all(plain)).then_some(page)
}

/// Writes an instant for the list of movements: in Korean time, without an offset.
pub(super) fn local_time(at: Timestamp) -> String {
    at.plus(Seconds::new(9 * 3_600)).to_string().trim_end_matches('Z').to_owned()
}

const fn is_success(reply: &Reply) -> bool {
    reply.status >= 200 && reply.status < 300
}

fn error_of(reply: &Reply) -> (Option<Said>, Said) {
    let error: Option<Failure> = serde_json::from_slice(&reply.body).ok();
    let (code, reason) = error.map_or((None, None), |error| (error.code, error.message));
    let code = code.filter(|code| !code.is_empty()).as_deref().map(Said::new);
    (code, Said::new(reason.as_deref().unwrap_or("The gateway gave no reason.")))
}

fn of_capture(status: u16, code: Option<&Said>) -> Verdict {
    const DECLINED: &[&str] = &[
        "REJECT_",
        "INVALID_",
        "EXCEED",
        "BELOW_",
        "NOT_ALLOWED_",
        "NOT_AVAILABLE_",
        "NOT_SUPPORTED_",
        "NOT_REGISTERED_",
        "NOT_FOUND_",
        "NOT_ENOUGH_",
        "RESTRICTED_",
        "REQUIRED_",
        "UNAPPROVED_",
        "FDS_ERROR",
        "MAINTAINED_METHOD",
        "PAY_PROCESS_",
        "USER_ACCOUNT_ON_HOLD",
    ];

    let code = code.map(Said::as_str);
    if let Some(why) = in_common(status, code) {
        return Verdict::Unknown(why);
    }

    match code {
        Some(code) if is_already(code) => Verdict::Look,
        Some("FORBIDDEN_REQUEST") => {
            tracing::warn!(
                "the payment gateway doesn't allow a capture: the order isn't the checkout's, or the secret isn't"
            );
            Verdict::Refused
        }
        Some(code) if is_refusal(status, code, DECLINED) => Verdict::Refused,
        Some(_) | None => Verdict::Unknown(Why::NotUnderstood),
    }
}

fn of_cancel(status: u16, code: Option<&Said>) -> Verdict {
    const REFUSED: &[&str] = &[
        "REJECT_",
        "INVALID_",
        "EXCEED",
        "BELOW_",
        "NOT_ALLOWED_",
        "NOT_AVAILABLE_",
        "NOT_SUPPORTED_",
        "NOT_FOUND_",
        "NOT_MATCHES_",
        "REFUND_REJECTED",
        "FORBIDDEN_BANK_REFUND_REQUEST",
    ];

    let code = code.map(Said::as_str);
    if let Some(why) = in_common(status, code) {
        return Verdict::Unknown(why);
    }

    match code {
        Some("FORBIDDEN_CONSECUTIVE_REQUEST" | "ALREADY_REFUNDING_PAYMENT") => {
            Verdict::Unknown(Why::UnderWay)
        }
        Some("NOT_AVAILABLE_BANK" | "EXCEED_MAX_REFUND_AMOUNT") => Verdict::Unknown(Why::Failed),
        Some("FORBIDDEN_REQUEST") => Verdict::Unknown(Why::Misconfigured),
        Some(code) if is_already(code) || may_have_less(code) => Verdict::Look,
        Some(code) if is_refusal(status, code, REFUSED) => Verdict::Refused,
        Some(_) | None => Verdict::Unknown(Why::NotUnderstood),
    }
}

/// Tells whether a refusal of a refund may mean that it was made before: the gateway has less than was asked for, or expected.
fn may_have_less(code: &str) -> bool {
    code.starts_with("NOT_CANCELABLE_") || code == "NOT_MATCHES_REFUNDABLE_AMOUNT"
}

fn is_already(code: &str) -> bool {
    matches!(
        code,
        "ALREADY_PROCESSED_PAYMENT"
            | "ALREADY_COMPLETED_PAYMENT"
            | "ALREADY_CANCELED_PAYMENT"
            | "ALREADY_REFUND_PAYMENT"
            | "DUPLICATED_ORDER_ID"
    )
}

fn is_refusal(status: u16, code: &str, beginnings: &[&str]) -> bool {
    matches!(status, 400 | 402 | 403 | 404 | 422) && beginnings.iter().any(|begin| code.starts_with(begin))
}

/// Reads the errors that mean the same in every call: the outcome is unknown.
fn in_common(status: u16, code: Option<&str>) -> Option<Why> {
    if status >= 500 || matches!(status, 408 | 429) {
        return Some(Why::Failed);
    }
    let Some(code) = code else {
        return Some(match status {
            409 => Why::UnderWay,
            // Toss's errors have a code, so this answer is from a proxy or another site.
            300..=399 | 401 | 403 | 404 | 405 => Why::Misconfigured,
            _ => Why::NotUnderstood,
        });
    };

    match code {
        "IDEMPOTENT_REQUEST_PROCESSING" | "ALREADY_PROCESSING_REQUEST" | "DUPLICATED_REQUEST" => {
            Some(Why::UnderWay)
        }
        "PROVIDER_ERROR" | "CARD_PROCESSING_ERROR" | "COMMON_ERROR" => Some(Why::Failed),
        "UNAUTHORIZED_KEY"
        | "INVALID_API_KEY"
        | "INVALID_CLIENT_KEY"
        | "INCORRECT_BASIC_AUTH_FORMAT"
        | "INSECURE_KEY_USAGE"
        | "API_VERSION_UPDATE_NEEDED"
        | "NOT_FOUND_HTTP_METHOD" => Some(Why::Misconfigured),
        // The code is about the request, not about the payment.
        "INVALID_IDEMPOTENCY_KEY" => Some(Why::NotUnderstood),
        _ if code.starts_with("FAILED_") || code.starts_with("UNKNOWN_") => Some(Why::Failed),
        _ if code.starts_with("NOT_FOUND_MERCHANT") => Some(Why::Misconfigured),
        _ if status == 401 || (300..400).contains(&status) => Some(Why::Misconfigured),
        _ if status == 409 => Some(Why::UnderWay),
        _ => None,
    }
}

fn unknown_found(reply: &Reply, code: Option<&Said>, why: Why) -> Found {
    complain("find", reply.status, code, why);
    Found::Unknown { why }
}

/// Logs why an answer leaves the outcome unknown: as an error if an operator must act.
fn complain(call: &'static str, status: u16, code: Option<&Said>, why: Why) {
    let code = code.map_or("", Said::as_str);
    if why == Why::Misconfigured {
        tracing::error!(
            call,
            status,
            code,
            "the payment gateway doesn't take our requests: look at toss.url and toss.secret; no payment is lost, they are \
             asked about again"
        );
    } else {
        tracing::warn!(
            call,
            status,
            code,
            why = why.as_str(),
            "the payment gateway's answer settles nothing"
        );
    }
}
