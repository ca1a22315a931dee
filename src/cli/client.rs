//! The client of the commands that talk to a running engine.
//!
//! Absent on purpose: TLS. An engine behind a proxy is reached on its own address, or through a tunnel.
//!
//! Invariants: waits have limits ([`CONNECT_TIMEOUT`], [`ANSWER_TIMEOUT`]), an answer has one ([`ANSWER_LEN_MAX`]) unless it
//! is a download; the token is never part of an error.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, header};

use super::answer::{Answer, Taker};
use super::output::{Failure, plain};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest silence. An import may take a minute (`limits::LARGE_TIMEOUT_FACTOR`); the engine's own limit comes first.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);
/// Counts and problem documents are small; 16 MiB is far from any of them.
const ANSWER_LEN_MAX: usize = 16 << 20;

/// An engine's address: what stands before the paths of its API, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url(String);

impl Url {
    /// Reads `http://host[:port][/prefix]`.
    ///
    /// # Errors
    /// A sentence that says what is allowed.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("https://") {
            return Err(
                "https isn't spoken here: name the engine's own http:// address, or one end of a tunnel \
                        (`ssh -L 8080:127.0.0.1:8080 host`)"
                    .to_owned(),
            );
        }
        let wrong = || "must be a URL such as http://127.0.0.1:8080".to_owned();
        let url: reqwest::Url = text.parse().map_err(|_| wrong())?;
        let names_more = url.query().is_some() || url.fragment().is_some();
        let names_user = !url.username().is_empty() || url.password().is_some();
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if url.scheme() != "http" || !url.has_host() || names_more || names_user || !is_plain {
            return Err(wrong());
        }

        // The documents' own `API` names the routes' beginning, which comes with each of them.
        let base = url.as_str().trim_end_matches('/');
        let base = base.strip_suffix("/api/v1").unwrap_or(base).trim_end_matches('/');
        Ok(Self(base.to_owned()))
    }

    /// Sends JSON and waits for the answer.
    ///
    /// # Errors
    /// When there is no connection, or no whole answer.
    pub(super) fn post(&self, path: &str, bearer: &str, body: &[u8]) -> Result<Answer, Failure> {
        on_this_thread(async {
            let request = client()?.post(format!("{}{path}", self.0)).body(body.to_vec());
            let request = request.header(header::CONTENT_TYPE, "application/json");
            let unsure = |why: String| {
                Failure::Failed(format!(
                    "{self} gave no answer: {why}. It may or may not have done it; doing it again is safe"
                ))
            };
            let mut response = self.send(request, bearer).await?.map_err(unsure)?;
            short(&mut response).await.map_err(|error| unsure(innermost(&error)))
        })
    }

    /// Fetches a path and shows the bytes of a success as they come; returns what is no success.
    ///
    /// # Errors
    /// When there is no connection, the answer isn't whole, or `take` fails.
    pub(super) fn download(
        &self,
        path: &str,
        bearer: &str,
        take: &mut Taker<'_>,
    ) -> Result<Option<Answer>, Failure> {
        on_this_thread(async {
            let broken = |why: String| Failure::Failed(format!("{self} broke off its answer: {why}"));
            let request = client()?.get(format!("{}{path}", self.0));
            let mut response = self.send(request, bearer).await?.map_err(broken)?;
            if !response.status().is_success() {
                return short(&mut response).await.map(Some).map_err(|error| broken(innermost(&error)));
            }
            while let Some(bytes) = response.chunk().await.map_err(|error| broken(innermost(&error)))? {
                take(&bytes)?;
            }
            Ok(None)
        })
    }

    /// Sends a request. The inner error is what went wrong once there was a connection.
    ///
    /// # Errors
    /// When there is no connection.
    async fn send(&self, request: RequestBuilder, bearer: &str) -> Result<Result<Response, String>, Failure> {
        match request.bearer_auth(bearer).send().await {
            Ok(response) => Ok(Ok(response)),
            Err(error) if error.is_connect() => {
                let why = innermost(&error);
                Err(Failure::Failed(format!(
                    "{self} can't be reached: {why}. Is `onsale serve` running there?"
                )))
            }
            Err(error) => Ok(Err(innermost(&error))),
        }
    }
}

impl core::fmt::Display for Url {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&plain(&self.0))
    }
}

fn on_this_thread<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Failure::failed)?.block_on(work)
}

fn client() -> Result<Client, Failure> {
    Client::builder()
        .no_proxy()
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(ANSWER_TIMEOUT)
        .build()
        .map_err(Failure::failed)
}

/// Reads an answer that has a bound; what is beyond it is left.
async fn short(response: &mut Response) -> Result<Answer, reqwest::Error> {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(bytes) = response.chunk().await? {
        body.extend_from_slice(&bytes);
        if body.len() > ANSWER_LEN_MAX {
            break;
        }
    }
    Ok(Answer { status, body })
}

/// Returns the first reason of an error, which is the one that a person can act on.
fn innermost(error: &dyn core::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_host_a_port_and_what_stands_before_the_api() {
        for (text, base) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:9/", "http://[::1]:9"),
            ("http://[::1]", "http://[::1]"),
            ("http://tickets.internal/sale/", "http://tickets.internal/sale"),
            ("http://127.0.0.1:8080/api/v1", "http://127.0.0.1:8080"),
            ("http://x/sale/api/v1/", "http://x/sale"),
        ] {
            assert_eq!(Url::parse(text).unwrap().to_string(), base);
        }
    }

    #[test]
    fn a_url_that_cannot_be_used_says_what_can() {
        assert!(Url::parse("https://tickets.example.com").unwrap_err().contains("http://"));
        for wrong in [
            "",
            "127.0.0.1:8080",
            "http://",
            "http://a:b",
            "http://user@host",
            "http://h/a b",
            "http://h:99999",
        ] {
            assert!(Url::parse(wrong).is_err(), "{wrong}");
        }
    }
}
