//! A stream of server-sent events, as far as the server sends them: chunks, `event:` and `data:` lines, comments.

use crate::wire::WireError;

/// The longest event, and the longest head of an answer.
const EVENT_LEN_MAX: usize = 8 << 10;

/// One event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event<'a> {
    pub(super) name: &'a str,
    pub(super) data: &'a str,
}

/// What of a chunk comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    /// A digit of its length so far, or the end of the line.
    Len(usize),
    /// So many bytes of it, and the end of the line.
    Bytes(usize),
    /// That it is the last was said.
    Last,
}

/// Reads events out of the bytes of an answer, however they are cut.
#[derive(Debug)]
pub(super) struct Decoder {
    /// The head, while it isn't whole.
    head: Option<Vec<u8>>,
    chunk: Chunk,
    text: Vec<u8>,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { head: Some(Vec::new()), chunk: Chunk::Len(0), text: Vec::new() }
    }

    /// Tells whether the server ended the stream.
    pub(super) fn is_over(&self) -> bool {
        self.chunk == Chunk::Last
    }

    /// Takes bytes and hands over the events that are whole with them.
    pub(super) fn feed(&mut self, bytes: &[u8], take: impl FnMut(Event<'_>)) -> Result<(), WireError> {
        let Some(mut head) = self.head.take() else {
            self.unchunk(bytes)?;
            return self.hand_over(take);
        };
        head.extend_from_slice(bytes);
        let Some(end) = memchr::memmem::find(&head, b"\r\n\r\n") else {
            if head.len() > EVENT_LEN_MAX {
                return Err(WireError::TooLong);
            }
            self.head = Some(head);
            return Ok(());
        };
        check_head(&head[..end])?;
        self.unchunk(&head[end + 4..])?;
        self.hand_over(take)
    }

    fn unchunk(&mut self, mut bytes: &[u8]) -> Result<(), WireError> {
        while let Some((first, rest)) = bytes.split_first() {
            match (self.chunk, first) {
                (Chunk::Len(0), b'\n') => self.chunk = Chunk::Last,
                // The bytes, and the CR and LF behind them.
                (Chunk::Len(len), b'\n') => self.chunk = Chunk::Bytes(len + 2),
                (Chunk::Len(_), b'\r') | (Chunk::Last, _) => {}
                (Chunk::Len(len), digit) => {
                    let digit = char::from(*digit).to_digit(16).and_then(|digit| usize::try_from(digit).ok());
                    let digit = digit.ok_or(WireError::Malformed("the length of a chunk"))?;
                    let len = len * 16 + digit;
                    if len > EVENT_LEN_MAX {
                        return Err(WireError::TooLong);
                    }
                    self.chunk = Chunk::Len(len);
                }
                (Chunk::Bytes(left), _) => {
                    let here = bytes.len().min(left);
                    self.text.extend_from_slice(&bytes[..here.min(left.saturating_sub(2))]);
                    self.chunk = if here == left { Chunk::Len(0) } else { Chunk::Bytes(left - here) };
                    bytes = &bytes[here..];
                    continue;
                }
            }
            bytes = rest;
        }
        Ok(())
    }

    fn hand_over(&mut self, mut take: impl FnMut(Event<'_>)) -> Result<(), WireError> {
        let mut start = 0;
        while let Some(end) = memchr::memmem::find(&self.text[start..], b"\n\n") {
            let text = str::from_utf8(&self.text[start..start + end]);
            let text = text.map_err(|_| WireError::Malformed("an event that isn't UTF-8"))?;
            start += end + 2;
            let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
            if let (Some(name), Some(data)) = (field("event: "), field("data: ")) {
                take(Event { name, data });
            }
        }
        self.text.drain(..start);
        if self.text.len() > EVENT_LEN_MAX { Err(WireError::TooLong) } else { Ok(()) }
    }
}

fn check_head(head: &[u8]) -> Result<(), WireError> {
    let head = head.to_ascii_lowercase();
    let has = |part: &[u8]| memchr::memmem::find(&head, part).is_some();
    if !head.starts_with(b"http/1.1 200") {
        return Err(WireError::Malformed("the stream was refused"));
    }
    if has(b"transfer-encoding: chunked") && has(b"content-type: text/event-stream") {
        Ok(())
    } else {
        Err(WireError::Unsupported("an answer that isn't chunked events"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

    fn chunked(events: &[&str]) -> String {
        events.iter().fold(HEAD.to_owned(), |text, event| format!("{text}{:x}\r\n{event}\r\n", event.len()))
    }

    /// Feeds a stream in pieces of so many bytes.
    fn read(stream: &str, piece: usize) -> Result<(Vec<String>, bool), WireError> {
        let mut decoder = Decoder::new();
        let mut events = Vec::new();
        for bytes in stream.as_bytes().chunks(piece) {
            decoder.feed(bytes, |Event { name, data }| events.push(format!("{name} {data}")))?;
        }
        Ok((events, decoder.is_over()))
    }

    #[test]
    fn events_are_the_same_however_the_bytes_are_cut() {
        let events =
            ["retry: 1\nevent: a\ndata: {\"b\":1}\n\n", ": still here\n\n", "event: c\nda", "ta: d\n\n"];
        let stream = chunked(&events) + "0\r\n\r\n";
        for piece in 1..=stream.len() {
            let expected = (vec![r#"a {"b":1}"#.to_owned(), "c d".to_owned()], true);
            assert_eq!(read(&stream, piece).unwrap(), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn an_open_stream_is_not_over() {
        assert_eq!(read(&chunked(&[]), 7).unwrap(), (vec![], false));
        assert_eq!(read(&chunked(&["event: a\ndata: b\n"]), 7).unwrap(), (vec![], false));
    }

    #[test]
    fn what_is_not_a_stream_of_events_is_an_error() {
        let check = |stream: &str, expected: &str| {
            let error = read(stream, 4096).expect_err(stream).to_string();
            assert!(error.contains(expected), "{stream:?}: {error}");
        };
        check("HTTP/1.1 403 Forbidden\r\n\r\n", "refused");
        check("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "isn't chunked events");
        check(&format!("{HEAD}xyz\r\n"), "length of a chunk");
        check(&format!("{HEAD}fffff\r\n"), "too long");
        check(&"x".repeat(EVENT_LEN_MAX + 1), "too long");
    }
}
