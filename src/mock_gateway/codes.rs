//! The errors of the protocol: code, status and sentence.

use serde_json::{Value, json};

/// A refusal, as Toss writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    code: String,
}

impl Refusal {
    pub(super) fn new(code: &str) -> Self {
        Self { code: code.to_owned() }
    }

    pub(super) fn code(&self) -> &str {
        &self.code
    }

    /// Returns the status of the code: Toss's for those that it documents, 400 for the others.
    pub(super) fn status(&self) -> u16 {
        match self.code.as_str() {
            "UNAUTHORIZED_KEY" => 401,
            "IDEMPOTENT_REQUEST_PROCESSING" => 409,
            "TOO_MANY_REQUESTS" => 429,
            "INVALID_PASSWORD" | "FDS_ERROR" | "INCORRECT_BASIC_AUTH_FORMAT" | "NOT_AVAILABLE_BANK" => 403,
            "UNKNOWN_PAYMENT_ERROR" | "COMMON_ERROR" => 500,
            "NOT_FOUND_TERMINAL_ID" => 400,
            code if code.starts_with("FAILED_") => 500,
            code if code.starts_with("NOT_FOUND") => 404,
            code if [
                "REJECT_",
                "FORBIDDEN_",
                "NOT_CANCELABLE_",
                "EXCEED_MAX_REFUND_",
                "NOT_ALLOWED_PARTIAL_",
            ]
            .iter()
            .any(|begin| code.starts_with(begin)) =>
            {
                403
            }
            _ => 400,
        }
    }

    pub(super) fn message(&self) -> &'static str {
        match self.code.as_str() {
            "ALREADY_CANCELED_PAYMENT" => "The payment has already been cancelled.",
            "ALREADY_PROCESSED_PAYMENT" => "The payment has already been processed.",
            "DUPLICATED_ORDER_ID" => "The order has already been paid for.",
            "EXPIRED_PAYMENT" | "NOT_FOUND_PAYMENT_SESSION" => "The time to pay is over.",
            "FAILED_INTERNAL_SYSTEM_PROCESSING" => "The gateway failed.",
            "FORBIDDEN_REQUEST" => "The order or the key isn't the one of the checkout.",
            "IDEMPOTENT_REQUEST_PROCESSING" => "The first request with this key is still being processed.",
            "INVALID_IDEMPOTENCY_KEY" => "An idempotency key has at most 300 characters.",
            "INVALID_REQUEST" => "The request isn't right.",
            "NOT_CANCELABLE_AMOUNT" => "This amount can't be given back.",
            "NOT_CANCELABLE_PAYMENT" => "This payment can't be cancelled.",
            "NOT_FOUND_PAYMENT" => "There is no such payment.",
            "NOT_MATCHES_REFUNDABLE_AMOUNT" => "What can be given back isn't what was expected.",
            "PAY_PROCESS_CANCELED" => "The customer gave up.",
            "PROVIDER_ERROR" => "A passing error; try again in a moment.",
            "REJECT_CARD_COMPANY" => "The card company declined.",
            "TOO_MANY_REQUESTS" => "Too much at once.",
            "UNAUTHORIZED_KEY" => "The secret key isn't known.",
            _ => "The gateway said no.",
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({"code": self.code, "message": self.message()})
    }
}
