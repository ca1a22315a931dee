//! A small HTTP/1.1 client for the commands that talk to a running engine: one request, one answer. An answer that has no
//! bound is a download, which reqwest reads.
//!
//! Absent on purpose: TLS. An engine behind a proxy is reached on its own address, or through a tunnel.
//!
//! Invariants: waits have limits ([`CONNECT_TIMEOUT`], [`ANSWER_TIMEOUT`]), an answer has one ([`ANSWER_LEN_MAX`]) unless it
//! is a download; the token is never part of an error.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::output::{Failure, plain};
use super::target::Taker;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// An import may take a minute (`limits::LARGE_TIMEOUT_FACTOR`); the engine's own limit comes first.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);
/// Counts and problem documents are small; 16 MiB is far from any of them.
const ANSWER_LEN_MAX: u64 = 16 << 20;

/// An engine's address, from a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    /// The host and port as `Host` says them.
    authority: String,
    /// The host alone.
    host: String,
    port: u16,
    /// What a proxy puts before the API's paths, without a slash at the end.
    prefix: String,
}

/// What the engine answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The status code.
    pub(super) status: u16,
    /// The body.
    pub(super) body: Vec<u8>,
}

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
        let rest = text.strip_prefix("http://").ok_or_else(wrong)?;
        let (authority, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'@' | b'?' | b'#' | b'\\');
        if authority.is_empty() || !authority.bytes().chain(prefix.bytes()).all(allowed) {
            return Err(wrong());
        }
        let after_bracket = authority.rfind(']').map_or(0, |at| at + 1);
        let (host, port) = match authority.rfind(':').filter(|colon| *colon >= after_bracket) {
            Some(colon) => (&authority[..colon], authority[colon + 1..].parse().map_err(|_| wrong())?),
            None => (authority, 80),
        };
        // The documents' own `API` names the routes' beginning, which comes with each of them.
        let prefix = prefix.trim_end_matches('/');
        let prefix = prefix.strip_suffix("api/v1").unwrap_or(prefix).trim_end_matches('/');
        Ok(Self {
            authority: authority.to_owned(),
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port,
            prefix: if prefix.is_empty() { String::new() } else { format!("/{prefix}") },
        })
    }

    /// Sends JSON and waits for the answer.
    ///
    /// # Errors
    /// When there is no connection, or no whole answer.
    pub(super) fn post(&self, path: &str, bearer: &str, body: &[u8]) -> Result<Answer, Failure> {
        let mut stream = self.connect()?;
        let head = format!(
            "POST {}{path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {bearer}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nAccept: application/json\r\nConnection: close\r\n\r\n",
            self.prefix,
            self.authority,
            body.len()
        );
        // An engine that refuses early (413, 401) may close before it has read all: its answer counts.
        let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        let mut received = Vec::new();
        let read = stream.take(ANSWER_LEN_MAX).read_to_end(&mut received);
        if let Some(answer) = parse(&received) {
            return Ok(answer);
        }
        let why = match (sent, read) {
            (Err(error), _) | (Ok(()), Err(error)) => error.to_string(),
            (Ok(()), Ok(_)) => "the answer isn't whole, or not HTTP".to_owned(),
        };
        Err(Failure::Failed(format!(
            "{self} gave no answer: {why}. It may or may not have done it; doing it again is safe"
        )))
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
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(Failure::failed)?.block_on(async {
            let client = reqwest::Client::builder()
                .no_proxy()
                .http1_only()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(CONNECT_TIMEOUT)
                .read_timeout(ANSWER_TIMEOUT)
                .build()
                .map_err(Failure::failed)?;
            let sent = client.get(format!("{self}{path}")).bearer_auth(bearer).send().await;
            let mut response = sent.map_err(|error| {
                let why = innermost(&error);
                Failure::Failed(format!("{self} can't be reached: {why}. Is `onsale serve` running there?"))
            })?;
            let broken = |error: reqwest::Error| {
                Failure::Failed(format!("{self} broke off its answer: {}", innermost(&error)))
            };
            if response.status().is_success() {
                while let Some(bytes) = response.chunk().await.map_err(broken)? {
                    take(&bytes)?;
                }
                return Ok(None);
            }
            let status = response.status().as_u16();
            let mut body = Vec::new();
            while let Some(bytes) = response.chunk().await.map_err(broken)? {
                body.extend_from_slice(&bytes);
                if u64::try_from(body.len()).is_ok_and(|length| length > ANSWER_LEN_MAX) {
                    break;
                }
            }
            Ok(Some(Answer { status, body }))
        })
    }

    fn connect(&self) -> Result<TcpStream, Failure> {
        let failed = |error: &dyn core::fmt::Display| {
            Failure::Failed(format!("{self} can't be reached: {error}. Is `onsale serve` running there?"))
        };
        let addresses = (self.host.as_str(), self.port).to_socket_addrs().map_err(|error| failed(&error))?;
        let mut last = failed(&"the name has no address");
        for address in addresses {
            match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(ANSWER_TIMEOUT)).map_err(Failure::failed)?;
                    stream.set_write_timeout(Some(ANSWER_TIMEOUT)).map_err(Failure::failed)?;
                    return Ok(stream);
                }
                Err(error) => last = failed(&error),
            }
        }
        Err(last)
    }
}

impl core::fmt::Display for Url {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "http://{}{}", plain(&self.authority), plain(&self.prefix))
    }
}

/// Returns the first reason of an error, which is the one that a person can act on.
fn innermost(error: &dyn core::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// Reads a whole answer; nothing when it isn't one.
fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = core::str::from_utf8(&bytes[..end]).ok()?;
    let body = &bytes[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let header = |name: &str| {
        let mut found = lines.clone().filter_map(|line| line.split_once(':'));
        found.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let body = match (header("content-length"), header("transfer-encoding")) {
        (Some(length), _) => body.get(..length.parse().ok()?)?.to_vec(),
        (None, Some(coding)) if coding.eq_ignore_ascii_case("chunked") => unchunk(body)?,
        (None, _) => body.to_vec(),
    };
    // 1xx answers come before the one that counts.
    if (100..200).contains(&status) { parse(&bytes[end + 4..]) } else { Some(Answer { status, body }) }
}

/// Puts a chunked body together (RFC 9112, section 7.1); nothing when its last chunk is missing.
fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = core::str::from_utf8(&rest[..line]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = &rest[line + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> (String, u16, String) {
        let url = Url::parse(text).unwrap();
        (url.host, url.port, url.prefix)
    }

    #[test]
    fn a_url_names_a_host_a_port_and_what_stands_before_the_api() {
        assert_eq!(url("http://127.0.0.1:8080"), ("127.0.0.1".into(), 8080, String::new()));
        assert_eq!(url("http://[::1]:9/"), ("::1".into(), 9, String::new()));
        assert_eq!(url("http://[::1]"), ("::1".into(), 80, String::new()));
        assert_eq!(url("http://tickets.internal/sale/"), ("tickets.internal".into(), 80, "/sale".into()));
        assert_eq!(url("http://127.0.0.1:8080/api/v1"), ("127.0.0.1".into(), 8080, String::new()));
        assert_eq!(url("http://x/sale/api/v1/"), ("x".into(), 80, "/sale".into()));
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

    #[test]
    fn an_answer_is_read_by_its_length_by_its_chunks_or_to_its_end() {
        let answer = |text: &str| parse(text.as_bytes()).map(|answer| (answer.status, answer.body));
        assert_eq!(answer("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}junk"), Some((200, b"{}".to_vec())));
        assert_eq!(
            answer(
                "HTTP/1.1 422 X\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\n{\"\r\n3\r\na\"}\r\n0\r\n\r\n"
            ),
            Some((422, b"{\"a\"}".to_vec()))
        );
        assert_eq!(answer("HTTP/1.1 503 X\r\n\r\nend"), Some((503, b"end".to_vec())));
        assert_eq!(answer("HTTP/1.1 100 X\r\n\r\nHTTP/1.1 201 X\r\n\r\n"), Some((201, Vec::new())));
    }

    #[test]
    fn half_an_answer_is_none() {
        for half in
            ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}", "SSH-2.0\r\n\r\n"]
        {
            assert_eq!(parse(half.as_bytes()), None, "{half}");
        }
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n"), None);
    }
}
