//! The client of the commands that talk to a running engine.
//!
//! Absent on purpose: TLS. An engine behind a proxy is reached on its own address, or through a tunnel.
//!
//! Invariants: waits have limits ([`CONNECT_TIMEOUT`], [`ANSWER_TIMEOUT`]), an answer has one ([`ANSWER_LEN_MAX`]) unless it
//! is a download; the token is never part of an error.

use core::time::Duration;

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
        // No certificate is ever looked at, so that a machine without any is no reason to fail.
        .tls_certs_only([])
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
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// Takes one request and gives an answer to it, byte by byte as it stands, then hangs up.
    fn answering(answer: Vec<u8>) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            // What was left unread would reset the connection, and the answer with it.
            let is_whole = |head: &[u8]| {
                let end: &[u8] = if head.starts_with(b"POST") { b"{}" } else { b"\r\n\r\n" };
                head.ends_with(end)
            };
            while !is_whole(&head) {
                let mut byte = [0];
                socket.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            // A client that has enough may hang up first.
            let _ = socket.write_all(&answer);
        });
        url
    }

    fn post(answer: &[u8]) -> Result<Answer, Failure> {
        answering(answer.to_vec()).post("/x", "token", b"{}")
    }

    fn downloaded(answer: &[u8]) -> (Vec<u8>, Result<Option<Answer>, Failure>) {
        let mut taken = Vec::new();
        let ended = answering(answer.to_vec()).download("/x", "token", &mut |bytes| {
            taken.extend_from_slice(bytes);
            Ok(())
        });
        (taken, ended)
    }

    #[test]
    fn an_answer_comes_with_its_status_and_its_body_however_it_is_framed() {
        for framed in [
            "HTTP/1.1 201 Created\r\ncontent-length: 4\r\n\r\nbody",
            "HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
            "HTTP/1.1 201 Created\r\nconnection: close\r\n\r\nbody",
        ] {
            let answer = post(framed.as_bytes()).unwrap();
            assert_eq!((answer.status, answer.body.as_slice()), (201, b"body".as_slice()), "{framed}");
            assert_eq!(downloaded(framed.replace("201 Created", "200 OK").as_bytes()).0, b"body");
        }
        let (taken, ended) = downloaded(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno");
        assert_eq!((taken.len(), ended.unwrap().unwrap().status), (0, 404), "what is no success isn't taken");
    }

    #[test]
    fn half_an_answer_is_none() {
        for half in [
            "",
            "HTTP/1.1 200 OK\r\ncontent-le",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nbody",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nbo\r\n",
            "nonsense\r\n\r\n",
        ] {
            let Err(Failure::Failed(why)) = post(half.as_bytes()) else { panic!("{half}") };
            assert!(why.contains("may or may not have done it"), "{half}: {why}");
            let Err(Failure::Failed(why)) = downloaded(half.as_bytes()).1 else { panic!("{half}") };
            assert!(why.contains("broke off its answer"), "{half}: {why}");
        }
    }

    #[test]
    fn of_an_answer_without_end_a_part_is_read() {
        let len = 2 * ANSWER_LEN_MAX;
        let mut answer =
            format!("HTTP/1.1 413 Content Too Large\r\ncontent-length: {len}\r\n\r\n").into_bytes();
        answer.resize(answer.len() + len, b'x');
        let read = post(&answer).unwrap();
        assert_eq!(read.status, 413);
        assert!((ANSWER_LEN_MAX..len).contains(&read.body.len()), "{} bytes", read.body.len());
    }

    #[test]
    fn who_is_not_there_is_named_and_the_token_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let url = Url::parse(&format!("http://{address}")).unwrap();
        let Err(Failure::Failed(why)) = url.post("/x", "secret-token", b"{}") else { panic!() };
        assert!(why.contains("can't be reached") && why.contains(&address.to_string()), "{why}");
        assert!(!why.contains("secret-token"), "{why}");
    }

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
