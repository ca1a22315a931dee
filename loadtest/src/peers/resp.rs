//! Redis' protocol (RESP2) as the peer needs it: commands of byte strings, pipelined on one connection.
//!
//! Whoever asks meanwhile is gathered into one write, and Redis then answers as many with one sync of its log. By hand, because a general client costs
//! the service more CPU a command than its own work; what isn't understood ends the connection.

use std::{collections::VecDeque, net::SocketAddr};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, oneshot},
};

/// How many commands wait at most until they are written; whoever comes then waits.
const WAITING_MAX: usize = 4096;
/// The longest reply.
const REPLY_LEN_MAX: usize = 1 << 20;

/// What Redis answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    Number(i64),
    Text(Vec<u8>),
    Nothing,
    /// Redis refused the command, or the script failed.
    Refused(String),
}

struct Asked {
    command: Vec<u8>,
    reply: oneshot::Sender<Reply>,
}

/// A pipelined connection; it is closed when it is dropped.
pub(super) struct Connection(mpsc::Sender<Asked>);

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("connecting to Redis")?;
        stream.set_nodelay(true)?;
        let (sender, asked) = mpsc::channel(WAITING_MAX);
        // Its error is seen by whoever asks: the sender of the reply is dropped.
        tokio::spawn(run(stream, asked));
        Ok(Self(sender))
    }

    /// Sends a command and waits for its reply; a refusal is an error.
    pub(super) async fn ask(&self, command: Vec<u8>) -> Result<Reply> {
        let (reply, told) = oneshot::channel();
        let sent = self.0.send(Asked { command, reply }).await;
        sent.ok().context("the connection to Redis is closed")?;
        let reply = told.await.context("the connection to Redis broke")?;
        if let Reply::Refused(why) = reply {
            bail!("Redis: {why}");
        }
        Ok(reply)
    }
}

/// Writes a command.
pub(super) fn command(parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|part| part.len() + 16).sum();
    let mut bytes = Vec::with_capacity(len + 16);
    push_count(&mut bytes, b'*', parts.len());
    for part in parts {
        push_count(&mut bytes, b'$', part.len());
        bytes.extend_from_slice(part);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn push_count(bytes: &mut Vec<u8>, mark: u8, count: usize) {
    bytes.push(mark);
    bytes.extend_from_slice(count.to_string().as_bytes());
    bytes.extend_from_slice(b"\r\n");
}

async fn run(stream: TcpStream, mut asked: mpsc::Receiver<Asked>) -> Result<()> {
    let (mut reader, mut writer) = stream.into_split();
    let mut waiting = VecDeque::new();
    let (mut batch, mut output, mut input) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        tokio::select! {
            taken = asked.recv_many(&mut batch, WAITING_MAX) => {
                if taken == 0 {
                    return Ok(());
                }
                for Asked { command, reply } in batch.drain(..) {
                    output.extend_from_slice(&command);
                    waiting.push_back(reply);
                }
                // Redis reads on while its replies wait, so this ends.
                writer.write_all(&output).await?;
                output.clear();
            }
            read = reader.read_buf(&mut input) => {
                ensure!(read? > 0, "Redis closed the connection");
                let mut start = 0;
                while let Some((reply, len)) = parse(&input[start..])? {
                    start += len;
                    let told: oneshot::Sender<Reply> = waiting.pop_front().context("a reply to nothing")?;
                    // Who has gone away doesn't want it.
                    let _ = told.send(reply);
                }
                input.drain(..start);
            }
        }
    }
}

/// Reads a reply and its length; nothing while it isn't whole.
fn parse(bytes: &[u8]) -> Result<Option<(Reply, usize)>> {
    let Some(end) = memchr::memchr(b'\n', bytes) else { return Ok(None) };
    let line = bytes[..end].strip_suffix(b"\r").context("a line without CR")?;
    let (mark, rest) = line.split_first().context("an empty line")?;
    let rest = str::from_utf8(rest).context("a line that isn't text")?;
    let reply = match mark {
        b'+' => Reply::Text(rest.as_bytes().to_vec()),
        b'-' => Reply::Refused(rest.to_owned()),
        b':' => Reply::Number(rest.parse().context("a number")?),
        b'$' if rest == "-1" => Reply::Nothing,
        b'$' => {
            let len: usize = rest.parse().context("the length of a text")?;
            ensure!(len <= REPLY_LEN_MAX, "a reply of {len} bytes");
            let (from, until) = (end + 1, end + 1 + len);
            if bytes.len() < until + 2 {
                return Ok(None);
            }
            ensure!(bytes[until..].starts_with(b"\r\n"), "a text without its end");
            return Ok(Some((Reply::Text(bytes[from..until].to_vec()), until + 2)));
        }
        mark => bail!("a reply of the kind {:?}", char::from(*mark)),
    };
    Ok(Some((reply, end + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_has_its_lengths() {
        assert_eq!(command(&[b"GET", b"", b"a\r\nb"]), b"*3\r\n$3\r\nGET\r\n$0\r\n\r\n$4\r\na\r\nb\r\n");
    }

    #[test]
    fn replies_are_read_wherever_they_are_cut() {
        let text = |text: &str| Reply::Text(text.as_bytes().to_vec());
        for (bytes, expected) in [
            (":-12\r\n", Reply::Number(-12)),
            ("+OK\r\n", text("OK")),
            ("-ERR no\r\n", Reply::Refused("ERR no".to_owned())),
            ("$-1\r\n", Reply::Nothing),
            ("$0\r\n\r\n", text("")),
            ("$4\r\na\r\nb\r\n", text("a\r\nb")),
        ] {
            for cut in 0..bytes.len() {
                assert_eq!(parse(&bytes.as_bytes()[..cut]).unwrap(), None, "{bytes:?} cut at {cut}");
            }
            let followed = format!("{bytes}:1\r\n");
            assert_eq!(parse(followed.as_bytes()).unwrap(), Some((expected, bytes.len())), "{bytes:?}");
        }
        for bytes in ["*1\r\n", ":1\n", "\r\n", "$x\r\n", "$1\r\nabc", "$9999999\r\n"] {
            assert!(parse(bytes.as_bytes()).is_err(), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn replies_come_to_those_who_asked_and_a_broken_connection_is_an_error() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connection = Connection::open(listener.local_addr().unwrap()).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let server = async {
            let mut input = [0; 256];
            let mut read = 0;
            while read < 2 * command(&[b"A"]).len() {
                read += stream.read(&mut input[read..]).await.unwrap();
            }
            stream.write_all(b":1\r\n-ERR two\r\n").await.unwrap();
            drop(stream);
        };
        let (first, second, ()) =
            tokio::join!(connection.ask(command(&[b"A"])), connection.ask(command(&[b"B"])), server);
        assert_eq!(first.unwrap(), Reply::Number(1));
        assert_eq!(second.unwrap_err().to_string(), "Redis: ERR two");
        assert!(connection.ask(command(&[b"C"])).await.is_err());
    }
}
