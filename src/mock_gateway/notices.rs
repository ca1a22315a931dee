//! Notices of a changed payment, sent to the shop's webhook as Toss sends them: unsigned, until 200 is answered, a bounded number of times.
//!
//! Invariants: at most [`WAITING_MAX`] wait and [`DELIVERIES_MAX`] are under way; one that finds no room is dropped and counted.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use reqwest::{Client, Url, redirect};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

use super::book::{Change, Payment};
use super::document;
use super::faults::NoticeTrouble;
use super::random::Random;
use crate::domain::time::Timestamp;

/// Why notices can't be sent.
#[derive(Debug, thiserror::Error)]
pub enum NoticesError {
    /// The URL can't be used.
    #[error("the webhook's URL must begin with http:// or https://")]
    WebhookUrl,
    /// The client that sends them can't be made.
    #[error("notices can't be sent: {0}")]
    Client(reqwest::Error),
}

/// The changes whose notices wait.
const WAITING_MAX: usize = 1024;
/// The changes whose notices are being sent.
const DELIVERIES_MAX: usize = 64;
/// How often a notice is sent: once, and Toss's seven retries.
const ATTEMPTS_MAX: u32 = 8;
/// The longest wait between two attempts; Toss's grow to days.
const RETRY_MAX: Duration = Duration::from_secs(10);
/// How long the shop may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What is sent one after the other.
struct Delivery {
    wait: Duration,
    notices: Vec<Bytes>,
}

#[derive(Default)]
struct Counts {
    attempts: AtomicU64,
    delivered: AtomicU64,
    given_up: AtomicU64,
    dropped: AtomicU64,
}

/// The queue of notices.
pub(super) struct Notices {
    queue: Option<mpsc::Sender<Delivery>>,
    counts: Arc<Counts>,
}

impl Notices {
    pub(super) fn new(url: Option<&str>, retry: Duration) -> Result<Self, NoticesError> {
        let counts = Arc::new(Counts::default());
        let Some(url) = url else { return Ok(Self { queue: None, counts }) };
        let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or(NoticesError::WebhookUrl)?;
        let mut client =
            Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none()).http1_only().no_gzip();
        if url.scheme() == "http" {
            client = client.tls_certs_only([]);
        }
        let shop = Shop { client: client.build().map_err(NoticesError::Client)?, url, retry };
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(deliver_all(waiting, shop, counts.clone()));
        Ok(Self { queue: Some(queue), counts })
    }

    /// Sends the notices of a change, with the faults that were asked for.
    pub(super) fn announce(
        &self,
        change: &Change,
        at: Timestamp,
        trouble: &NoticeTrouble,
        random: &mut Random,
    ) {
        let Some(queue) = &self.queue else { return };
        let write = |payment: &Payment, at| Bytes::from(document::notice(payment, at).to_string());
        let mut notices = Vec::new();

        if trouble.stray {
            let stray = Payment {
                key: format!("mock{}", random.word(24)),
                order_id: format!("stray-{}", random.word(12)),
                ..change.after.clone()
            };
            notices.push(write(&stray, at));
        }

        let notice = write(&change.after, at);
        notices.extend((0..trouble.copies).map(|_| notice.clone()));
        if trouble.stale {
            notices.push(write(&change.before, change.before.requested_at));
        }

        let delivery = Delivery { wait: Duration::from_millis(trouble.delay), notices };
        if queue.try_send(delivery).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        json!({
            "attempts": count(&self.counts.attempts),
            "delivered": count(&self.counts.delivered),
            "givenUp": count(&self.counts.given_up),
            "dropped": count(&self.counts.dropped),
        })
    }
}

/// The receiver of the notices.
#[derive(Clone)]
struct Shop {
    client: Client,
    url: Url,
    retry: Duration,
}

async fn deliver_all(mut waiting: mpsc::Receiver<Delivery>, shop: Shop, counts: Arc<Counts>) {
    let permits = Arc::new(Semaphore::new(DELIVERIES_MAX));
    while let Some(delivery) = waiting.recv().await {
        // Nobody closes the semaphore.
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        let (shop, counts) = (shop.clone(), counts.clone());
        tokio::spawn(async move {
            tokio::time::sleep(delivery.wait).await;
            for notice in delivery.notices {
                shop.deliver(notice, &counts).await;
            }
            drop(permit);
        });
    }
}

impl Shop {
    async fn deliver(&self, notice: Bytes, counts: &Counts) {
        let mut wait = self.retry;
        for attempt in 1..=ATTEMPTS_MAX {
            counts.attempts.fetch_add(1, Ordering::Relaxed);
            let request = self.client.post(self.url.clone()).header("content-type", "application/json");
            let answered = request.body(notice.clone()).send().await;
            if answered.is_ok_and(|response| response.status() == 200) {
                counts.delivered.fetch_add(1, Ordering::Relaxed);
                return;
            }
            if attempt < ATTEMPTS_MAX {
                tokio::time::sleep(wait).await;
                wait = (wait * 4).min(RETRY_MAX);
            }
        }
        counts.given_up.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(attempts = ATTEMPTS_MAX, "a notice was given up: the webhook never answered 200");
    }
}
