//! Clients that follow a seat map and only read.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};

use crate::target::Target;

/// How many connect at a time; the server's backlog is longer.
const CONNECTING: usize = 64;
/// How long all may take.
const CONNECT: Duration = Duration::from_mins(1);

/// Streams that are open until this is dropped.
pub(super) struct Followers(JoinSet<()>);

impl Followers {
    /// Connects so many, and waits until each has its first bytes.
    pub(super) async fn connect(target: Target, schedule: &str, count: u32) -> Result<Self> {
        let turns = Arc::new(Semaphore::new(CONNECTING));
        let request: Arc<str> = format!(
            "GET /api/v1/schedules/{schedule}/seats/events HTTP/1.1\r\nhost: {}\r\naccept: text/event-stream\r\n\r\n",
            target.host()
        )
        .into();
        let (mut connecting, mut followers) = (JoinSet::new(), JoinSet::new());
        for _ in 0..count {
            let (turns, request) = (Arc::clone(&turns), Arc::clone(&request));
            connecting.spawn(async move {
                let _turn = turns.acquire_owned().await.context("nobody closes it")?;
                let mut stream = TcpStream::connect(target.address()).await?;
                stream.write_all(request.as_bytes()).await?;
                let mut input = [0; 16];
                stream.read_exact(&mut input).await?;
                ensure!(input.starts_with(b"HTTP/1.1 200"), "a stream was refused");
                anyhow::Ok(stream)
            });
        }

        while let Some(stream) =
            timeout(CONNECT, connecting.join_next()).await.context("connecting streams")?
        {
            let mut stream = stream.context("a stream's task")??;
            followers.spawn(async move {
                let mut input = [0; 4096];
                // Until the server or this set ends it; what comes isn't looked at.
                while stream.read(&mut input).await.is_ok_and(|read| read > 0) {}
            });
        }
        Ok(Self(followers))
    }

    /// Counts those whose streams are open.
    pub(super) fn open(&mut self) -> usize {
        while self.0.try_join_next().is_some() {}
        self.0.len()
    }
}
