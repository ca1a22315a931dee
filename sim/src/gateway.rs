//! The payment gateway of a simulated world: it delays, lies, forgets, answers twice, refuses, and once in a while its client panics.
//!
//! Its ledger is the truth about money outside. It outlives the engine's lives; a capture that was sent can arrive minutes later,
//! whoever still waits. What it says for certain is true: `Captured` and `Declined` are never lies, only `Unknown` hides something.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onsale::domain::money::{Currency, Money};
use onsale::domain::time::Timestamp;
use onsale::gateway::{
    Answer, Cancel, CancelOutcome, Capture, CaptureOutcome, Find, Found, Gateway, NotCaptured, OrderId,
    PaymentKey, Said, Terms, Why,
};

use crate::clock::TrueTime;
use crate::disk::Life;

/// How long a checkout lives that nobody captures.
const CHECKOUT_LIFE: u64 = 20 * 60_000;
/// What a panic of the client says, so that it is told from a bug.
pub(crate) const PANIC: &str = "the gateway's client panicked, as it was asked to";

/// What goes wrong at the gateway with one call to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// The answer takes so many milliseconds.
    Slow(u64),
    /// No answer, and nothing was done.
    LostBefore,
    /// It was done, and there is no answer.
    LostAfter,
    /// No answer, and it is done so many milliseconds later.
    Late(u64),
    /// The customer's bank says no.
    Decline,
    /// The client panics.
    Panic,
}

/// What goes wrong at the gateway for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// It answers nothing at all.
    Silent,
    /// It refuses to give money back.
    RefusesRefunds,
    /// It knows nothing of any payment when it is asked.
    Forgetful,
}

/// What happened to one checkout.
#[derive(Debug, Clone)]
struct Checkout {
    order: OrderId,
    amount: Money,
    agreed_at: u64,
    declined: bool,
    captured_at: Option<u64>,
    /// How much was given back, once it was.
    given_back: Option<Money>,
    /// A capture that is on its way.
    arrives_at: Option<u64>,
}

#[derive(Default)]
struct Book {
    by_key: BTreeMap<String, Checkout>,
    lies: VecDeque<Lie>,
    weather: Vec<(Weather, u64)>,
    told: GatewayCounts,
}

/// What the faults came to, for the report.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct GatewayCounts {
    pub(crate) calls: u64,
    pub(crate) lies: u64,
    pub(crate) refused: u64,
    pub(crate) panics: u64,
}

/// The gateway; clones share it.
#[derive(Clone)]
pub(crate) struct Desk {
    book: Arc<Mutex<Book>>,
    time: TrueTime,
}

impl Desk {
    pub(crate) fn new(time: TrueTime) -> Self {
        Self { book: Arc::default(), time }
    }

    /// Returns it with the book as it stands now: what was on its way has arrived, if its time has come.
    fn book(&self) -> MutexGuard<'_, Book> {
        let now = self.time.now();
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        for checkout in book.by_key.values_mut() {
            if checkout.arrives_at.is_some_and(|at| at <= now) {
                checkout.arrives_at = None;
                checkout.capture(now);
            }
        }
        book.weather.retain(|(_, until)| *until > now);
        book
    }

    /// Connects an engine's life with it.
    pub(crate) fn connect(&self, life: Arc<Life>) -> Arc<dyn Gateway> {
        Arc::new(Client { desk: self.clone(), life })
    }

    /// A customer agrees at the checkout to pay for an order.
    pub(crate) fn agree(&self, order: &OrderId, amount: Money, key: &str) {
        let agreed_at = self.time.now();
        let checkout = Checkout {
            order: order.clone(),
            amount,
            agreed_at,
            declined: false,
            captured_at: None,
            given_back: None,
            arrives_at: None,
        };
        self.book().by_key.entry(key.to_owned()).or_insert(checkout);
    }

    pub(crate) fn lie(&self, lie: Lie) {
        self.book().lies.push_back(lie);
    }

    pub(crate) fn weather(&self, weather: Weather, millis: u64) {
        let until = self.time.now() + millis;
        self.book().weather.push((weather, until));
    }

    /// Nothing goes wrong any more.
    pub(crate) fn mend(&self) {
        let mut book = self.book();
        book.lies.clear();
        book.weather.clear();
    }

    pub(crate) fn counts(&self) -> GatewayCounts {
        self.book().told
    }

    /// Returns, by order, what was captured and not given back; the orders of which anything was ever captured.
    pub(crate) fn ledger(&self) -> BTreeMap<String, (u64, u64)> {
        let mut ledger: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for checkout in self.book().by_key.values().filter(|checkout| checkout.captured_at.is_some()) {
            let entry = ledger.entry(checkout.order.to_string()).or_default();
            entry.0 += checkout.amount.minor();
            entry.1 += checkout.given_back.map_or(0, Money::minor);
        }
        ledger
    }
}

impl Book {
    fn is(&self, weather: Weather) -> bool {
        self.weather.iter().any(|(of, _)| *of == weather)
    }

    fn next_lie(&mut self) -> Option<Lie> {
        self.told.calls += 1;
        let lie = if self.is(Weather::Silent) { Some(Lie::LostBefore) } else { self.lies.pop_front() };
        self.told.lies += u64::from(lie.is_some());
        self.told.panics += u64::from(lie == Some(Lie::Panic));
        lie
    }
}

impl Checkout {
    fn capture(&mut self, now: u64) {
        if self.captured_at.is_none() && !self.declined && !self.is_expired(now) {
            self.captured_at = Some(now);
        }
    }

    fn is_expired(&self, now: u64) -> bool {
        self.captured_at.is_none() && self.arrives_at.is_none() && self.agreed_at + CHECKOUT_LIFE <= now
    }
}

/// The gateway as one life of the engine reaches it.
struct Client {
    desk: Desk,
    life: Arc<Life>,
}

impl Client {
    /// Waits as long as an answer takes. A process that is dead asks nobody, so it never gets one.
    async fn reach(&self, lie: Option<Lie>) {
        let millis = if let Some(Lie::Slow(millis)) = lie { millis } else { 5 };
        tokio::time::sleep(Duration::from_millis(millis)).await;
        if self.life.is_over() {
            std::future::pending::<()>().await;
        }
    }

    /// Takes the next fault, if the process lives; a dead one never gets further.
    async fn begin(&self) -> Option<Lie> {
        if self.life.is_over() {
            std::future::pending::<()>().await;
        }
        let lie = self.desk.book().next_lie();
        assert!(lie != Some(Lie::Panic), "{PANIC}");
        lie
    }

    fn capture_now(&self, capture: &Capture, lie: Option<Lie>) -> CaptureOutcome {
        let now = self.desk.time.now();
        let mut book = self.desk.book();
        let Some(checkout) = book.by_key.get_mut(capture.payment_key.as_str()) else {
            return declined("NOT_FOUND_PAYMENT");
        };
        if checkout.order != capture.order_id || checkout.amount != capture.amount {
            return declined("INVALID_REQUEST");
        }

        if checkout.captured_at.is_some() {
            return CaptureOutcome::Unknown { why: Why::AlreadyProcessed };
        }
        if checkout.declined || checkout.is_expired(now) {
            return declined("EXPIRED");
        }

        match lie {
            Some(Lie::LostBefore | Lie::Panic) => CaptureOutcome::Unknown { why: Why::TimedOut },
            Some(Lie::LostAfter) => {
                checkout.capture(now);
                CaptureOutcome::Unknown { why: Why::Broken }
            }
            Some(Lie::Late(millis)) => {
                checkout.arrives_at = Some(now + millis);
                CaptureOutcome::Unknown { why: Why::TimedOut }
            }
            Some(Lie::Decline) => {
                checkout.declined = true;
                declined("REJECT_CARD_COMPANY")
            }
            Some(Lie::Slow(_)) | None => {
                checkout.capture(now);
                CaptureOutcome::Captured {
                    payment_key: capture.payment_key.clone(),
                    transaction: None,
                    approved_at: Some(Timestamp::from_millis(now)),
                }
            }
        }
    }

    fn find_now(&self, find: &Find, lie: Option<Lie>) -> Found {
        let now = self.desk.time.now();
        let book = self.desk.book();
        match lie {
            Some(Lie::LostBefore | Lie::LostAfter | Lie::Late(_) | Lie::Panic) => {
                return Found::Unknown { why: Why::TimedOut };
            }
            Some(Lie::Decline | Lie::Slow(_)) | None => {}
        }

        let key = find.payment_key.as_ref().map(PaymentKey::as_str).unwrap_or_default();
        let Some(checkout) = book.by_key.get(key) else { return Found::NoSuchOrder };
        if checkout.order != find.order_id || book.is(Weather::Forgetful) && checkout.captured_at.is_none() {
            return Found::NoSuchOrder;
        }

        if let Some(at) = checkout.captured_at {
            return Found::Captured {
                payment_key: PaymentKey::parse(key).expect("it was one when it was given"),
                amount: checkout.amount,
                cancelled_amount: checkout.given_back.unwrap_or(Money::ZERO),
                approved_at: Some(Timestamp::from_millis(at)),
            };
        }

        Found::NotCaptured(if checkout.declined {
            NotCaptured::Declined { code: Said::new("REJECT_CARD_COMPANY"), reason: Said::new("No.") }
        } else if checkout.is_expired(now) {
            NotCaptured::Expired
        } else {
            NotCaptured::Open
        })
    }

    fn cancel_now(&self, cancel: &Cancel, lie: Option<Lie>) -> CancelOutcome {
        let mut book = self.desk.book();
        if book.is(Weather::RefusesRefunds) {
            book.told.refused += 1;
            return refused("NOT_CANCELABLE_PAYMENT");
        }
        let Some(checkout) = book.by_key.get_mut(cancel.payment_key.as_str()) else {
            return refused("NOT_FOUND_PAYMENT");
        };
        if checkout.captured_at.is_none() {
            return refused("NOT_FOUND_PAYMENT");
        }
        // Of less than it has it gives nothing: a part was given back before.
        let gives = cancel.captured == checkout.amount && cancel.amount <= checkout.amount;
        if !gives {
            return refused("INVALID_REFUNDABLE_AMOUNT");
        }
        match lie {
            Some(Lie::LostBefore | Lie::Panic) => CancelOutcome::Unknown { why: Why::TimedOut },
            Some(Lie::LostAfter | Lie::Late(_)) => {
                checkout.given_back.get_or_insert(cancel.amount);
                CancelOutcome::Unknown { why: Why::Broken }
            }
            Some(Lie::Decline | Lie::Slow(_)) | None => {
                checkout.given_back.get_or_insert(cancel.amount);
                CancelOutcome::Cancelled { transaction: None }
            }
        }
    }
}

fn declined(code: &str) -> CaptureOutcome {
    CaptureOutcome::Declined { code: Said::new(code), reason: Said::new("No.") }
}

fn refused(code: &str) -> CancelOutcome {
    CancelOutcome::Refused { code: Said::new(code), reason: Said::new("No.") }
}

impl Gateway for Client {
    fn terms(&self) -> &'static Terms {
        const TERMS: Terms = Terms::new("simulated");
        &TERMS
    }

    fn takes(&self, _: Currency) -> bool {
        true
    }

    fn confirm(&self, capture: Capture) -> Answer<'_, CaptureOutcome> {
        Box::pin(async move {
            let lie = self.begin().await;
            let outcome = self.capture_now(&capture, lie);
            self.reach(lie).await;
            outcome
        })
    }

    fn find(&self, find: Find) -> Answer<'_, Found> {
        Box::pin(async move {
            let lie = self.begin().await;
            let found = self.find_now(&find, lie);
            self.reach(lie).await;
            found
        })
    }

    fn cancel(&self, cancel: Cancel) -> Answer<'_, CancelOutcome> {
        Box::pin(async move {
            let lie = self.begin().await;
            let outcome = self.cancel_now(&cancel, lie);
            self.reach(lie).await;
            outcome
        })
    }

    fn read_notice(&self, _: &[u8]) -> Option<OrderId> {
        None
    }
}
