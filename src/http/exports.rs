//! Long answers that a thread makes while their client takes them: the turn to make one, and the two sides of the stream.
//!
//! ```text
//! blocking thread ─▶ chunks, a few at most ─▶ body ─▶ client
//! ```
//!
//! Exports and backups share one turn, since each takes a core's time and the disk's. A client that goes away or takes nothing for
//! [`STALL`], and a stop of the server, end the work at the next chunk.

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::problem::{Code, Problem};
use super::stream::{Follow, KEEP_ALIVE};

/// The chunks that wait for the client.
const CHUNKS: usize = 4;
/// How long a client may accept nothing.
const STALL: Duration = Duration::from_mins(1);
/// The seconds after which to ask again while another one runs.
const RETRY_AFTER_SECONDS: u64 = 10;

/// Lets one export or backup run at a time.
#[derive(Debug)]
pub struct Exports(Arc<Semaphore>);

impl Default for Exports {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Exports {
    /// Begins one; it ends with what is returned.
    pub(super) fn begin(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.0).try_acquire_owned().map_err(|_| {
            let detail = "An export or a backup is running already; there is one at a time.";
            Problem::new(Code::Overloaded, detail).retry_after(RETRY_AFTER_SECONDS)
        })
    }
}

/// Makes the two sides of a stream. `alive` is sent when there is nothing else; it may stand between any two chunks. `failure`
/// makes the end of a stream that a stop of the server ends.
pub(super) fn stream_of(
    shutdown: &CancellationToken,
    alive: Bytes,
    failure: fn(&str) -> Vec<u8>,
) -> (Out, Given) {
    let (chunks, given) = mpsc::channel(CHUNKS);
    let out = Out { chunks, runtime: Handle::current() };
    (out, Given { chunks: given, shutdown: shutdown.clone(), alive, failure, ended: false })
}

/// Why a stream ended early by its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotTaken {
    #[error("the client went away")]
    Left,
    #[error("the client took nothing for too long")]
    Stalled,
}

/// The blocking side of a stream.
pub(super) struct Out {
    chunks: mpsc::Sender<Bytes>,
    runtime: Handle,
}

impl Out {
    /// Waits until there is room for a chunk.
    pub(super) fn send(&self, chunk: Vec<u8>) -> Result<(), NotTaken> {
        let sent = async { tokio::time::timeout(STALL, self.chunks.send(chunk.into())).await };
        match self.runtime.block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(NotTaken::Left),
            Err(_) => Err(NotTaken::Stalled),
        }
    }

    /// Tells whether somebody still waits for more.
    pub(super) fn is_wanted(&self) -> bool {
        !self.chunks.is_closed()
    }
}

/// The client's side of a stream.
pub(super) struct Given {
    chunks: mpsc::Receiver<Bytes>,
    shutdown: CancellationToken,
    alive: Bytes,
    failure: fn(&str) -> Vec<u8>,
    ended: bool,
}

impl Follow for Given {
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => {
                self.ended = true;
                Some((self.failure)("it is stopping").into())
            }
            chunk = self.chunks.recv() => chunk,
            // Chunks are whole lines or parts, so it never stands within one.
            () = tokio::time::sleep(KEEP_ALIVE) => Some(self.alive.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(shutdown: &CancellationToken) -> (Out, Given) {
        let failure = |why: &str| why.as_bytes().to_vec();
        stream_of(shutdown, Bytes::from_static(b"\n"), failure)
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_with_nothing_to_give_says_that_it_is_alive_and_a_stop_ends_it() {
        let shutdown = CancellationToken::new();
        let (out, mut given) = stream(&shutdown);
        out.chunks.send(Bytes::from_static(b"[]\n")).await.unwrap();
        assert_eq!(given.next().await.unwrap(), "[]\n");
        assert_eq!(given.next().await.unwrap(), "\n");
        shutdown.cancel();
        assert_eq!(given.next().await.unwrap(), "it is stopping");
        assert_eq!(given.next().await, None);
    }

    #[tokio::test]
    async fn a_client_that_went_away_ends_the_work() {
        let (out, given) = stream(&CancellationToken::new());
        assert!(out.is_wanted());
        drop(given);
        assert!(!out.is_wanted());
        let sent = tokio::task::spawn_blocking(move || out.send(Vec::new())).await.unwrap();
        assert_eq!(sent, Err(NotTaken::Left));
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up_after_a_while() {
        let (out, given) = stream(&CancellationToken::new());
        for _ in 0..CHUNKS {
            out.chunks.send(Bytes::new()).await.unwrap();
        }
        tokio::time::pause();
        let sent = tokio::task::spawn_blocking(move || out.send(Vec::new()));
        tokio::pin!(sent);
        let sent = loop {
            tokio::select! {
                biased;
                sent = &mut sent => break sent.unwrap(),
                () = tokio::time::advance(STALL) => tokio::task::yield_now().await,
            }
        };
        assert_eq!(sent, Err(NotTaken::Stalled));
        drop(given);
    }
}
