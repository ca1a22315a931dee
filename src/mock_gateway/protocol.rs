//! The routes of Toss's protocol, and their faults on demand.

use core::time::Duration;
use std::io;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State as AxumState};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use serde::Deserialize;
use serde_json::Value;

use super::book::{Change, Payment};
use super::codes::Refusal;
use super::faults::{Call, Moment, Trouble};
use super::keys::{Answer, EarlierUse};
use super::server::DropConnection;
use super::{MockGateway, State, document};
use crate::domain::time::Timestamp;

/// The longest idempotency key.
const IDEMPOTENCY_KEY_LEN_MAX: usize = 300;
/// The most movements of one page.
const LIST_MAX: usize = 5_000;
/// The longest reason of a cancellation, in characters.
const REASON_LEN_MAX: usize = 200;

pub(super) fn routes() -> Router<MockGateway> {
    Router::new()
        .route("/v1/payments/confirm", post(confirm))
        .route("/v1/payments/orders/{orderId}", get(find_order))
        .route("/v1/payments/{paymentKey}", get(find_payment))
        .route("/v1/payments/{paymentKey}/cancel", post(cancel))
        .route("/v1/transactions", get(list))
}

pub(super) async fn no_such_route() -> Response {
    Served::refused(&Refusal::new("NOT_FOUND")).into_response()
}

/// Returns the header of a caller who knows the secret.
pub(super) fn authorization(secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{secret}:")))
}

/// What to do with a connection.
pub(super) enum Served {
    Whole(Answer),
    /// Half of the answer, then the end of the connection.
    Cut(Answer),
    DropConnection,
}

impl Served {
    pub(super) fn refused(refusal: &Refusal) -> Self {
        Self::Whole(Answer::refused(refusal))
    }
}

impl Answer {
    fn new(status: u16, body: &Value) -> Self {
        Self { status, body: body.to_string().into() }
    }

    fn refused(refusal: &Refusal) -> Self {
        Self::new(refusal.status(), &refusal.to_json())
    }

    fn payment(payment: &Payment) -> Self {
        Self::new(200, &document::payment(payment))
    }
}

impl IntoResponse for Served {
    fn into_response(self) -> Response {
        let (answer, cut) = match self {
            Self::Whole(answer) => (answer, false),
            Self::Cut(answer) => (answer, true),
            Self::DropConnection => {
                let mut response = Response::new(Body::empty());
                response.extensions_mut().insert(DropConnection);
                return response;
            }
        };

        // The length announces the whole body, so that the client sees that a cut one is cut.
        let Answer { status, body } = answer;
        let len = body.len();
        let body = if cut {
            let half = body.slice(..len / 2);
            let rest = stream::once(async {
                // Yields, so that the first half is sent before the connection breaks.
                tokio::task::yield_now().await;
                Err(io::Error::from(io::ErrorKind::BrokenPipe))
            });
            Body::from_stream(stream::once(async { Ok::<Bytes, io::Error>(half) }).chain(rest))
        } else {
            Body::from(body)
        };

        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);

        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_LENGTH, len.into());
        response
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfirmBody {
    payment_key: String,
    order_id: String,
    amount: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CancelBody {
    cancel_reason: String,
    cancel_amount: Option<u64>,
    refundable_amount: Option<u64>,
}

type AnyBody = Result<Bytes, BytesRejection>;

async fn confirm(AxumState(gateway): AxumState<MockGateway>, headers: HeaderMap, body: AnyBody) -> Served {
    let asked: Option<ConfirmBody> = parse(body);
    let order_id = asked.as_ref().map(|asked| asked.order_id.clone());
    if let Some(order_id) = &order_id {
        gateway.state().book.asked_to_capture(order_id);
    }
    let effect = move |state: &mut State, trouble: &Trouble, at| {
        let asked = asked.as_ref().ok_or_else(|| Refusal::new("INVALID_REQUEST"))?;
        if let Some(code) = &trouble.decline {
            let refusal = Refusal::new(code);
            if let Some(change) = state.book.abort(&asked.payment_key, refusal.clone()) {
                return Ok(CallResult { refusal: Some(refusal), change });
            }
        }
        let ConfirmBody { payment_key, order_id, amount } = asked;
        let change = state.book.capture(payment_key, order_id, *amount, at, &mut state.random)?;
        Ok(CallResult { refusal: None, change })
    };
    gateway.change(Call::Confirm, "confirm", order_id, &headers, effect).await
}

async fn cancel(
    AxumState(gateway): AxumState<MockGateway>,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: AnyBody,
) -> Served {
    let asked: Option<CancelBody> = parse(body);
    let at = gateway.now();
    let order_id = gateway.state().book.payment(&key, at).map(|payment| payment.order_id.clone());
    let path = format!("cancel {key}");

    let effect = move |state: &mut State, trouble: &Trouble, at| {
        let asked = asked.as_ref().ok_or_else(|| Refusal::new("INVALID_REQUEST"))?;
        let reason = &asked.cancel_reason;
        if reason.is_empty() || reason.chars().count() > REASON_LEN_MAX {
            return Err(Refusal::new("INVALID_REQUEST"));
        }
        if let Some(code) = &trouble.decline {
            return Err(Refusal::new(code));
        }
        let CancelBody { cancel_amount, refundable_amount, .. } = *asked;
        let random = &mut state.random;
        let change = state.book.cancel(&key, cancel_amount, refundable_amount, reason, at, random)?;
        Ok(CallResult { refusal: None, change })
    };

    gateway.change(Call::Cancel, &path, order_id, &headers, effect).await
}

async fn find_payment(
    AxumState(gateway): AxumState<MockGateway>,
    Path(key): Path<String>,
    headers: HeaderMap,
) -> Served {
    let at = gateway.now();
    let order_id = gateway.state().book.payment(&key, at).map(|payment| payment.order_id.clone());
    gateway.find(order_id, &headers, move |state, at| state.book.payment(&key, at).cloned()).await
}

async fn find_order(
    AxumState(gateway): AxumState<MockGateway>,
    Path(order_id): Path<String>,
    headers: HeaderMap,
) -> Served {
    let found = Some(order_id.clone());
    gateway.find(found, &headers, move |state, at| state.book.order(&order_id, at)?.present().cloned()).await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListQuery {
    start_date: String,
    end_date: String,
    starting_after: Option<String>,
    limit: Option<usize>,
}

async fn list(
    AxumState(gateway): AxumState<MockGateway>,
    query: Result<Query<ListQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Served {
    if !gateway.is_authorized(&headers) {
        return Served::refused(&Refusal::new("UNAUTHORIZED_KEY"));
    }

    // The protocol's instants have no offset: they are Korean time.
    let instant = |text: &str| Timestamp::parse(&format!("{text}+09:00")).ok();
    let asked = query.ok().and_then(|Query(asked)| {
        let times = instant(&asked.start_date)?..=instant(&asked.end_date)?;
        Some((times, asked.starting_after, asked.limit.unwrap_or(100).min(LIST_MAX)))
    });
    let Some((times, after, limit)) = asked else {
        return Served::refused(&Refusal::new("INVALID_REQUEST"));
    };

    let movements = gateway.state().book.movements(&times);
    let behind = after.map_or(Some(0), |after| {
        movements.iter().position(|movement| movement.transaction == after).map(|at| at + 1)
    });
    let Some(behind) = behind else { return Served::refused(&Refusal::new("INVALID_TRANSACTION_KEY")) };

    let page = movements.iter().skip(behind).take(limit).map(document::movement).collect();
    Served::Whole(Answer::new(200, &Value::Array(page)))
}

fn parse<T: for<'a> Deserialize<'a>>(body: AnyBody) -> Option<T> {
    serde_json::from_slice(&body.ok()?).ok()
}

/// The result of a call: a change, and the refusal if it was one.
struct CallResult {
    refusal: Option<Refusal>,
    change: Change,
}

impl MockGateway {
    fn is_authorized(&self, headers: &HeaderMap) -> bool {
        headers
            .get(header::AUTHORIZATION)
            .is_some_and(|given| given.as_bytes() == self.0.authorization.as_bytes())
    }

    /// Answers a call that changes something, once for each idempotency key.
    async fn change<E>(
        self,
        call: Call,
        path: &str,
        order_id: Option<String>,
        headers: &HeaderMap,
        effect: E,
    ) -> Served
    where
        E: Fn(&mut State, &Trouble, Timestamp) -> Result<CallResult, Refusal> + Send + 'static,
    {
        if !self.is_authorized(headers) {
            return Served::refused(&Refusal::new("UNAUTHORIZED_KEY"));
        }
        let Ok(permit) = self.0.calls.clone().try_acquire_owned() else {
            return Served::refused(&Refusal::new("TOO_MANY_REQUESTS"));
        };
        let key = match headers.get("idempotency-key").map(HeaderValue::as_bytes) {
            Some(key) if key.len() > IDEMPOTENCY_KEY_LEN_MAX => {
                return Served::refused(&Refusal::new("INVALID_IDEMPOTENCY_KEY"));
            }
            Some(key) if !key.is_empty() => Some(format!("{path} {}", String::from_utf8_lossy(key))),
            Some(_) | None => None,
        };
        let trouble = {
            let state = &mut *self.state();
            match key.as_deref().map_or(EarlierUse::Nothing, |key| state.keys.begin(key)) {
                EarlierUse::Nothing => state.faults.take(call, order_id.as_deref(), &mut state.random),
                EarlierUse::Begun => return Served::refused(&Refusal::new("IDEMPOTENT_REQUEST_PROCESSING")),
                EarlierUse::Answered(answer) => return Served::Whole(answer),
            }
        };

        // On its own task: a gateway goes on when its client hangs up.
        let task = tokio::spawn(async move {
            let served = self.perform(key.as_deref(), &trouble, effect).await;
            drop(permit);
            served
        });

        task.await.unwrap_or_else(|_| Served::refused(&Refusal::new("FAILED_INTERNAL_SYSTEM_PROCESSING")))
    }

    async fn perform<E>(&self, key: Option<&str>, trouble: &Trouble, effect: E) -> Served
    where
        E: Fn(&mut State, &Trouble, Timestamp) -> Result<CallResult, Refusal>,
    {
        wait(trouble.delay_before).await;
        if trouble.drop == Some(Moment::Before) {
            if let Some(key) = key {
                self.state().keys.forget(key);
            }
            return Served::DropConnection;
        }

        let failed = || Answer::refused(&Refusal::new("FAILED_INTERNAL_SYSTEM_PROCESSING"));
        let early = match &trouble.error {
            Some(code) => Some(Answer::refused(&Refusal::new(code))),
            None => (trouble.fail == Some(Moment::Before)).then(failed),
        };
        if let Some(answer) = early {
            self.keep(key, &answer);
            return Served::Whole(answer);
        }

        // A network may deliver a request twice: both are handled, and the second one's answer is sent.
        let mut answer = self.carry_out(trouble, &effect);
        if trouble.duplicate {
            answer = self.carry_out(trouble, &effect);
        }

        if trouble.fail == Some(Moment::After) {
            answer = failed();
        }
        wait(trouble.delay_after).await;
        self.keep(key, &answer);

        match trouble.drop {
            Some(_) => Served::DropConnection,
            None if trouble.cut => Served::Cut(answer),
            None => Served::Whole(answer),
        }
    }

    fn carry_out<E>(&self, trouble: &Trouble, effect: E) -> Answer
    where
        E: Fn(&mut State, &Trouble, Timestamp) -> Result<CallResult, Refusal>,
    {
        let at = self.now();
        let state = &mut *self.state();
        match effect(state, trouble, at) {
            Err(refusal) => Answer::refused(&refusal),
            Ok(CallResult { refusal, change }) => {
                self.0.notices.announce(&change, at, &trouble.notices, &mut state.random);
                refusal.map_or_else(|| Answer::payment(&change.after), |refusal| Answer::refused(&refusal))
            }
        }
    }

    fn keep(&self, key: Option<&str>, answer: &Answer) {
        if let Some(key) = key {
            self.state().keys.end(key, answer);
        }
    }

    /// Answers a call that only reads.
    async fn find(
        self,
        order_id: Option<String>,
        headers: &HeaderMap,
        look: impl Fn(&mut State, Timestamp) -> Option<Payment>,
    ) -> Served {
        if !self.is_authorized(headers) {
            return Served::refused(&Refusal::new("UNAUTHORIZED_KEY"));
        }
        let trouble = {
            let state = &mut *self.state();
            state.faults.take(Call::Find, order_id.as_deref(), &mut state.random)
        };
        wait(trouble.delay_before).await;

        let found = look(&mut self.state(), self.now());
        let answer = found
            .as_ref()
            .map_or_else(|| Answer::refused(&Refusal::new("NOT_FOUND_PAYMENT")), Answer::payment);
        wait(trouble.delay_after).await;
        if let Some(code) = &trouble.error {
            return Served::refused(&Refusal::new(code));
        }

        if trouble.fail.is_some() {
            return Served::refused(&Refusal::new("FAILED_INTERNAL_SYSTEM_PROCESSING"));
        }
        match trouble.drop {
            Some(_) => Served::DropConnection,
            None if trouble.cut => Served::Cut(answer),
            None => Served::Whole(answer),
        }
    }
}

async fn wait(millis: u64) {
    if millis > 0 {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}
