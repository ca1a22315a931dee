//! Orders to send a mail: signed calls to the platform, which writes and delivers the mails.
//!
//! ```text
//! POST <mail.hook_url>
//! webhook-id: msg_…, webhook-timestamp: <seconds since 1970>, webhook-signature: v1,<base64 of HMAC-SHA-256>
//! {"purpose": "sign_up" | "has_account", "email", "token", "expiresAt"}
//! ```
//!
//! Headers and signature follow Standard Webhooks 1.0.0 (`webhook_signature.rs`). Any 2xx accepts the order.
//!
//! Absent on purpose: the mails, repeats (people sign up again), and the name of the sign-up: a mail to a stranger
//! mustn't carry a text that anyone can choose.
//!
//! Invariants: a bounded number of calls at once, each of a bounded time; neither an address nor a token is logged.

use core::time::Duration;

use aws_lc_rs::hmac;
use reqwest::Client;
use serde::Serialize;
use tokio::sync::Semaphore;

use super::webhook_signature;
use crate::config::MailConfig;
use crate::domain::time::Timestamp;
use crate::outbound;
use crate::random;

/// The most calls at once. One more is refused, to be tried again.
const CALLS_MAX: usize = 64;
/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a call may take in all, unless half the time of a request is less: the sign-up that waits for it has to be answered.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The purpose of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Someone wants an account for the address; the mail leads them on.
    SignUp,
    /// The same, of an address that has one: the mail says so, and leads to a new password.
    HasAccount,
}

/// An order to send a mail.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mail {
    /// What it is for.
    pub purpose: Purpose,
    /// To whom, as they wrote it.
    pub email: String,
    /// What the mail's link carries to the page that completes the sign-up.
    pub token: String,
    /// When the token is over.
    pub expires_at: String,
}

/// A hook that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum MailHookError {
    /// One setting without the other.
    #[error("mail.hook_url and mail.hook_secret: set both, or none")]
    Half,
    /// A URL or a client that can't be.
    #[error("mail.hook_url {0}")]
    Client(String),
}

/// How surely an order wasn't accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSent {
    /// It was never asked, or said no.
    Surely,
    /// It was asked, and gave no answer in time: it may have taken it.
    Perhaps,
}

/// The client of the platform's hook.
#[derive(Debug)]
pub struct MailHook {
    client: Client,
    url: String,
    key: hmac::Key,
    calls: Semaphore,
}

impl MailHook {
    /// Makes the hook of the settings, where they name one; `request_timeout` is what a sign-up has in all.
    ///
    /// # Errors
    /// When one setting is there without the other, the URL can't be used, or TLS can't be set up.
    pub fn of(config: &MailConfig, request_timeout: Duration) -> Result<Option<Self>, MailHookError> {
        let (url, secret) = match (&config.hook_url, &config.hook_secret) {
            (None, None) => return Ok(None),
            (Some(url), Some(secret)) => (url, secret),
            (None, Some(_)) | (Some(_), None) => return Err(MailHookError::Half),
        };
        let timeout = TIMEOUT.min(request_timeout / 2);
        let made = outbound::client("mail.hook_url", url, CONNECT_TIMEOUT, timeout);
        let (client, url) = made.map_err(|error| MailHookError::Client(error.to_string()))?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        Ok(Some(Self { client, url, key, calls: Semaphore::new(CALLS_MAX) }))
    }

    /// Has a mail sent.
    ///
    /// # Errors
    /// [`NotSent`], with the reason in the log.
    pub async fn send(&self, mail: &Mail, now: Timestamp) -> Result<(), NotSent> {
        let outcome = self.call(mail, now).await;
        let label = if outcome.is_ok() { "taken" } else { "failed" };
        metrics::counter!("onsale_mail_orders_total", "outcome" => label).increment(1);
        outcome.map_err(|(not_sent, reason)| {
            tracing::warn!(reason, "an order to send a mail wasn't taken");
            not_sent
        })
    }

    async fn call(&self, mail: &Mail, now: Timestamp) -> Result<(), (NotSent, String)> {
        let busy = |_| (NotSent::Surely, "too many orders are being sent".to_owned());
        let _call = self.calls.try_acquire().map_err(busy)?;

        let body = serde_json::to_string(mail).expect("an order is JSON");
        let id = random::name("msg_");
        let seconds = now.as_millis() / 1_000;

        let request = self
            .client
            .post(&self.url)
            .header("content-type", "application/json")
            .header(webhook_signature::ID, &id)
            .header(webhook_signature::TIMESTAMP, seconds)
            .header(
                webhook_signature::SIGNATURE,
                webhook_signature::sign(&self.key, &id, seconds, body.as_bytes()),
            )
            .body(body);

        // Without a connection nothing was sent. After that, the mail may be on its way though no answer came.
        let answer = request.send().await.map_err(|error| {
            let not_sent = if error.is_connect() { NotSent::Surely } else { NotSent::Perhaps };
            (not_sent, outbound::chain(&error.without_url()))
        })?;

        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        Err((NotSent::Surely, format!("it was answered with {status}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Secret};

    #[test]
    fn a_hook_has_a_url_and_a_secret_or_neither() {
        let mut config = Config::defaults().mail;
        assert!(MailHook::of(&config, TIMEOUT).unwrap().is_none());
        config.hook_url = Some("http://127.0.0.1:1/mails".into());
        assert!(matches!(MailHook::of(&config, TIMEOUT), Err(MailHookError::Half)));
        config.hook_secret = Some(Secret::new("x".repeat(32)));
        assert!(MailHook::of(&config, TIMEOUT).unwrap().is_some());
        config.hook_url = Some("http://user:password@127.0.0.1/".into());
        assert!(matches!(MailHook::of(&config, TIMEOUT), Err(MailHookError::Client(_))));
        config.hook_url = None;
        assert!(matches!(MailHook::of(&config, TIMEOUT), Err(MailHookError::Half)));
    }

    #[tokio::test]
    async fn an_order_that_was_refused_surely_came_to_nothing_and_one_without_an_answer_perhaps() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut config = Config::defaults().mail;
        config.hook_url = Some(format!("http://{address}/mails"));
        config.hook_secret = Some(Secret::new("x".repeat(32)));
        let hook = MailHook::of(&config, TIMEOUT).unwrap().unwrap();
        let mail = Mail {
            purpose: Purpose::SignUp,
            email: "ann@example.org".to_owned(),
            token: "t".to_owned(),
            expires_at: Timestamp::from_millis(0).to_string(),
        };
        let answers: [(&[u8], Result<(), NotSent>); 3] = [
            (b"HTTP/1.1 204 No Content\r\n\r\n", Ok(())),
            (b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", Err(NotSent::Surely)),
            (b"", Err(NotSent::Perhaps)),
        ];
        for (answer, expected) in answers {
            let platform = async {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut order = [0; 16 << 10];
                assert_ne!(socket.read(&mut order).await.unwrap(), 0);
                socket.write_all(answer).await.unwrap();
            };
            let (sent, ()) = tokio::join!(hook.send(&mail, Timestamp::from_millis(0)), platform);
            assert_eq!(sent, expected);
        }
        drop(listener);
        assert_eq!(hook.send(&mail, Timestamp::from_millis(0)).await, Err(NotSent::Surely), "nobody listens");
    }
}
