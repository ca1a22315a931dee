//! A flood of sign-ins beside the load that is measured: what hashing passwords takes from holds.
//!
//! Each connection tries one address after another that nobody has, each time with a password: the server answers 401 after
//! the same work as for a right one. Where it is told to come back (503, 429), it waits a second, as the answer asks.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{target::Target, wire::Connection};

/// How long a connection waits that was told to come back.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the last answers may take.
const GRACE: Duration = Duration::from_secs(15);

/// What a flood was answered, by status.
pub(crate) type Answered = BTreeMap<u16, u64>;

/// A flood that runs.
pub(crate) struct Flood {
    stop: Arc<AtomicBool>,
    connections: JoinSet<Result<Answered>>,
}

impl Flood {
    /// Starts it; `run` sets its addresses apart from those of an earlier one.
    pub(crate) fn start(target: Target, connections: u16, run: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut flood = Self { stop, connections: JoinSet::new() };
        for number in 0..connections {
            let stop = Arc::clone(&flood.stop);
            let names = format!("{run}-{number}");
            flood.connections.spawn(async move { try_on(target, &names, &stop).await });
        }
        flood
    }

    /// Ends it, and adds what it was answered.
    pub(crate) async fn end(mut self, answered: &mut Answered) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let gather = async {
            while let Some(connection) = self.connections.join_next().await {
                for (status, count) in connection.context("a connection's task")?.context("signing in")? {
                    *answered.entry(status).or_default() += count;
                }
            }
            Ok(())
        };
        timeout(GRACE, gather).await.context("the last sign-ins got no answer")?
    }
}

async fn try_on(target: Target, names: &str, stop: &AtomicBool) -> Result<Answered> {
    let mut connection = Connection::open(target.address()).await.context("connecting")?;
    let mut answered = Answered::new();
    let mut number = 0_u64;
    loop {
        number += 1;
        let body =
            json!({ "email": format!("nobody-{names}-{number}@example.org"), "password": "not a password" });
        let body = body.to_string();
        let (host, len) = (target.host(), body.len());
        let request = format!(
            "POST /api/v1/sessions HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {len}\r\n\r\n{body}"
        );
        let status = connection.exchange(request.as_bytes()).await?.status;
        *answered.entry(status).or_default() += 1;
        if stop.load(Ordering::Relaxed) {
            return Ok(answered);
        }
        if matches!(status, 429 | 503) {
            sleep(PAUSE).await;
        }
    }
}

/// Says what a flood was answered.
pub(crate) fn line(connections: u16, answered: &Answered, seconds: u64) -> String {
    let words: Vec<String> = answered.iter().map(|(status, count)| format!("{status}: {count}")).collect();
    format!("sign-ins: {connections} connections for {seconds} s, {}\n", words.join(", "))
}

/// The same as JSON.
pub(crate) fn json(connections: u16, answered: &Answered) -> Value {
    json!({ "connections": connections, "statuses": answered })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stub::{self, Fault};

    #[tokio::test]
    async fn a_flood_counts_its_answers_until_it_is_ended() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target::new(listener.local_addr().unwrap()).unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, stub::app(Fault::None)).await });
        let flood = Flood::start(target, 2, 1);
        // The stub has no such route, and says so. Each connection tries once at least.
        let mut answered = Answered::new();
        flood.end(&mut answered).await.unwrap();
        assert_eq!(answered.keys().copied().collect::<Vec<_>>(), [404]);
        assert_eq!(line(2, &[(401, 7)].into(), 5), "sign-ins: 2 connections for 5 s, 401: 7\n");
        server.abort();
    }
}
