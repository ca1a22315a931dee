//! HTTP/1.1 as a client needs it here, and no more.
//!
//! Written by hand because the generator shares its cores with the server it measures: a general
//! client keeps pools, header maps and bodies for each request, and all of that would be missing
//! at the server. This one writes prepared bytes, reads once, and looks at the status line
//! and four headers. Whatever it doesn't understand (chunks, 1xx, an answer without a length,
//! bytes beyond the answer) ends the connection with an error that says so; nothing is guessed.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The longest status line and headers of an answer.
const HEAD_LEN_MAX: usize = 16 << 10;
/// The longest body of an answer: a map of 250,000 seats fits.
const BODY_LEN_MAX: usize = 128 << 20;
/// What a connection reads into at first; an answer to a hold is well below it.
const INPUT_LEN: usize = 4 << 10;
/// How long a connection to this machine may take.
const CONNECT_SECONDS: u64 = 5;

/// Why a connection can't be used any more. What was under way may or may not have happened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the server closed the connection before its answer was whole")]
    Closed,
    #[error("the answer isn't HTTP/1.1 as expected: {0}")]
    Malformed(&'static str),
    #[error("the answer has what this client doesn't read: {0}")]
    Unsupported(&'static str),
    #[error("the answer is too long")]
    TooLong,
    #[error("the server sent more than was asked for")]
    Surplus,
}

/// What the head of an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    status: u16,
    /// The length of status line, headers and empty line.
    len: usize,
    body_len: usize,
    close: bool,
    retry_after: Option<u32>,
}

/// Reads the head of an answer; nothing while it isn't whole.
fn parse_head(bytes: &[u8]) -> Result<Option<Head>, WireError> {
    let mut head: Option<Head> = None;
    let mut body_len = None;
    let mut start = 0;
    while let Some(end) = memchr::memchr(b'\n', &bytes[start..]) {
        let line = &bytes[start..start + end];
        start += end + 1;
        if start > HEAD_LEN_MAX {
            return Err(WireError::TooLong);
        }
        let line = line.strip_suffix(b"\r").ok_or(WireError::Malformed("a line without CR"))?;
        let Some(head) = &mut head else {
            head = Some(Head {
                status: parse_status(line)?,
                len: 0,
                body_len: 0,
                close: false,
                retry_after: None,
            });
            continue;
        };
        if line.is_empty() {
            head.len = start;
            head.body_len = match (body_len, head.status) {
                (_, 204 | 304) => 0,
                (Some(body_len), _) => body_len,
                (None, _) => return Err(WireError::Unsupported("a body without Content-Length")),
            };
            return Ok(Some(*head));
        }
        parse_field(line, head, &mut body_len)?;
    }

    if bytes.len() > HEAD_LEN_MAX { Err(WireError::TooLong) } else { Ok(None) }
}

fn parse_status(line: &[u8]) -> Result<u16, WireError> {
    let malformed = WireError::Malformed("the status line");
    let Some(([a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'], rest)) =
        line.strip_prefix(b"HTTP/1.1 ").and_then(<[u8]>::split_first_chunk)
    else {
        return Err(malformed);
    };
    if !matches!(rest, [] | [b' ', ..]) {
        return Err(malformed);
    }
    let digit = |d: &u8| u16::from(d - b'0');
    match digit(a) * 100 + digit(b) * 10 + digit(c) {
        100..200 => Err(WireError::Unsupported("an informational answer (1xx)")),
        status => Ok(status),
    }
}

fn parse_field(line: &[u8], head: &mut Head, body_len: &mut Option<usize>) -> Result<(), WireError> {
    let colon = memchr::memchr(b':', line).ok_or(WireError::Malformed("a header without a colon"))?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    if name.eq_ignore_ascii_case(b"content-length") {
        if body_len.replace(parse_len(value)?).is_some() {
            return Err(WireError::Malformed("Content-Length twice"));
        }
    } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
        return Err(WireError::Unsupported("Transfer-Encoding"));
    } else if name.eq_ignore_ascii_case(b"connection") {
        head.close |= value.split(|&b| b == b',').any(|v| v.trim_ascii().eq_ignore_ascii_case(b"close"));
    } else if name.eq_ignore_ascii_case(b"retry-after") {
        // A date may stand there, too, which nobody here needs.
        head.retry_after = str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    }
    Ok(())
}

fn parse_len(value: &[u8]) -> Result<usize, WireError> {
    // Digits alone: `parse` would take a plus sign, too.
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(WireError::Malformed("Content-Length"));
    }
    let len = str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    len.filter(|&len| len <= BODY_LEN_MAX).ok_or(WireError::TooLong)
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
    /// Whether the server will close the connection.
    pub(crate) close: bool,
    /// In how many seconds the server wants to be asked again.
    pub(crate) retry_after: Option<u32>,
}

/// A keep-alive connection with one request at a time.
pub(crate) struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, WireError> {
        let connect = TcpStream::connect(address);
        let stream = tokio::time::timeout(Duration::from_secs(CONNECT_SECONDS), connect)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        stream.set_nodelay(true)?;
        Ok(Self { stream, input: vec![0; INPUT_LEN] })
    }

    /// Sends the bytes of one request, for a client that won't wait for its answer. The connection is not to be used again.
    pub(crate) async fn send(mut self, request: &[u8]) -> Result<(), WireError> {
        Ok(self.stream.write_all(request).await?)
    }

    /// Sends the bytes of one request and waits for its answer. After an error, or when the future
    /// is dropped before its end, the connection is not to be used again.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>, WireError> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        let mut known = None;
        let head = loop {
            if filled == self.input.len() {
                let len = known.map_or(filled * 2, |head: Head| head.len + head.body_len + 1);
                self.input.resize(len, 0);
            }
            let read = self.stream.read(&mut self.input[filled..]).await?;
            if read == 0 {
                return Err(WireError::Closed);
            }
            filled += read;
            if known.is_none() {
                known = parse_head(&self.input[..filled])?;
            }
            if let Some(head) = known
                && filled >= head.len + head.body_len
            {
                break head;
            }
        };

        if filled > head.len + head.body_len {
            return Err(WireError::Surplus);
        }
        Ok(Answer {
            status: head.status,
            body: &self.input[head.len..filled],
            close: head.close,
            retry_after: head.retry_after,
        })
    }

    /// Finds a line of the last answer's head by its name, in lower case.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let end = memchr::memmem::find(&self.input, b"\r\n\r\n")?;
        let lines = str::from_utf8(&self.input[..end]).ok()?.lines();
        let mut fields = lines.filter_map(|line| line.split_once(':'));
        fields.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// Finds the text value of a field in JSON without reading the rest: what an acknowledgement needs
/// of an answer. Values with escapes are nobody's id and count as absent.
pub(crate) fn text_field<'a>(json: &'a [u8], quoted_name: &str) -> Option<&'a str> {
    let value = value(json, quoted_name)?.strip_prefix(b"\"")?;
    let end = memchr::memchr2(b'"', b'\\', value)?;
    if value[end] != b'"' {
        return None;
    }
    str::from_utf8(&value[..end]).ok()
}

/// Finds the value of a field that is a whole number.
pub(crate) fn number_field(json: &[u8], quoted_name: &str) -> Option<u32> {
    let value = value(json, quoted_name)?;
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    str::from_utf8(&value[..digits]).ok()?.parse().ok()
}

fn value<'a>(json: &'a [u8], quoted_name: &str) -> Option<&'a [u8]> {
    let at = memchr::memmem::find(json, quoted_name.as_bytes())? + quoted_name.len();
    Some(json[at..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Serves the pieces, each in a write of its own, to one request.
    async fn exchange(
        pieces: &'static [&'static str],
        close: bool,
    ) -> Result<(u16, String, bool), WireError> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let mut thrown_away = [0; 64];
            let _ = stream.read(&mut thrown_away).await.unwrap();
            for piece in pieces {
                stream.write_all(piece.as_bytes()).await.unwrap();
                // Lets the client run between the pieces; where it doesn't, they are read as one.
                tokio::task::yield_now().await;
            }
            if !close {
                std::future::pending::<()>().await;
            }
        });
        let mut connection = Connection::open(address).await.unwrap();
        let answer = connection.exchange(b"GET / HTTP/1.1\r\n\r\n").await;
        let answer = answer.map(|a| (a.status, String::from_utf8(a.body.to_vec()).unwrap(), a.close));
        server.abort();
        answer
    }

    #[tokio::test]
    async fn an_answer_in_pieces_is_read_whole() {
        let answer = exchange(
            &["HT", "TP/1.1 201 Created\r", "\ncontent-", "Length:  5 \r\nx: y\r\n", "\r", "\n", "ab", "cde"],
            false,
        );
        assert_eq!(answer.await.unwrap(), (201, "abcde".into(), false));
    }

    #[tokio::test]
    async fn a_line_of_the_last_head_is_found_by_its_name() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut connection = Connection::open(listener.local_addr().unwrap()).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer = b"HTTP/1.1 200 OK\r\nETag: \"1:2\"\r\ncontent-length: 9\r\n\r\nx-y: no\r\n";
        stream.write_all(answer).await.unwrap();
        connection.exchange(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!(connection.field("etag"), Some("\"1:2\""));
        assert_eq!(connection.field("x-y"), None);
    }

    #[test]
    fn a_head_is_the_same_wherever_it_is_cut() {
        let text = b"HTTP/1.1 409 Conflict\r\nConnection: keep-alive, Close\r\nRetry-After: 17\r\nContent-Length: 12\r\n\r\nabc";
        let whole =
            Head { status: 409, len: text.len() - 3, body_len: 12, close: true, retry_after: Some(17) };
        for cut in 0..=text.len() {
            let expected = (cut >= whole.len).then_some(whole);
            assert_eq!(parse_head(&text[..cut]).unwrap(), expected, "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn a_body_longer_than_the_first_buffer_is_read() {
        static BODY: [u8; 3 * INPUT_LEN] = [b'x'; 3 * INPUT_LEN];
        static HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 12288\r\n\r\n";
        assert_eq!(BODY.len(), 12_288);
        let body: &'static str = str::from_utf8(&BODY).unwrap();
        let pieces: &'static [&'static str] = Box::leak(Box::new([HEAD, body]));
        assert_eq!(exchange(pieces, false).await.unwrap().1.len(), BODY.len());
    }

    #[test]
    fn what_is_not_understood_is_an_error_and_says_what() {
        let check = |head: &str, expected: &str| {
            let error = parse_head(head.as_bytes()).expect_err(head).to_string();
            assert!(error.contains(expected), "{head:?}: {error}");
        };
        check("HTTP/1.0 200 OK\r\n", "status line");
        check("HTTP/1.1 20 OK\r\n", "status line");
        check("HTTP/1.1 2000\r\n", "status line");
        check("HTTP/1.1 200 OK\n", "without CR");
        check("HTTP/1.1 100 Continue\r\n\r\n", "1xx");
        check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n", "Transfer-Encoding");
        check("HTTP/1.1 200 OK\r\nnonsense\r\n", "colon");
        check("HTTP/1.1 200 OK\r\n\r\n", "without Content-Length");
        check("HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\n", "Content-Length");
        check("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n", "twice");
        check("HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\n", "too long");
        check(&"x".repeat(HEAD_LEN_MAX + 1), "too long");
        assert_eq!(parse_head(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().unwrap().body_len, 0);
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_off_or_has_a_tail_is_an_error() {
        let cut = exchange(&["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc"], true).await;
        assert!(matches!(cut, Err(WireError::Closed)), "{cut:?}");
        let tail = exchange(&["HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nabc"], false).await;
        assert!(matches!(tail, Err(WireError::Surplus)), "{tail:?}");
    }

    #[test]
    fn a_text_field_is_found_with_and_without_spaces() {
        let field = |json: &'static str| text_field(json.as_bytes(), "\"id\"");
        assert_eq!(field(r#"{"a":1,"id":"x-1","b":2}"#), Some("x-1"));
        assert_eq!(field(r#"{ "id" : "x" }"#), Some("x"));
        assert_eq!(field(r#"{"id":7}"#), None);
        assert_eq!(field(r#"{"id":"a\"b"}"#), None);
        assert_eq!(field(r#"{"id":"cut"#), None);
        assert_eq!(field("{}"), None);
        let number = |json: &'static str| number_field(json.as_bytes(), "\"id\"");
        assert_eq!(number(r#"{"a":1,"id": 72,"b":2}"#), Some(72));
        assert_eq!(number(r#"{"id":null}"#), None);
        assert_eq!(number(r#"{"id":"7"}"#), None);
        assert_eq!(number(r#"{"id":99999999999}"#), None);
    }
}
