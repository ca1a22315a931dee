//! Many clients follow their places at once, each with a stream of its own.
//!
//! Each checks what it is told: that its position never grows, that `active` comes once, last, and with the own place.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    crowd::Crowd,
    events::{Decoder, Event},
};
use crate::{
    book::Faults,
    clock::Clock,
    instant,
    target::Target,
    wire::{WireError, number_field, text_field},
};

/// How many connect at a time; the server's backlog is longer.
const CONNECTING: usize = 64;
/// How long all may take to connect and to hear their first position.
const CONNECT_SECONDS: u64 = 120;
/// How often a wait looks whether it is over.
const PAUSE: Duration = Duration::from_millis(20);
/// What a client reads into; an event is well below it.
const INPUT_LEN: usize = 1 << 10;

/// What all clients count together.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Who has heard the first event.
    pub(super) connected: AtomicU32,
    pub(super) events: AtomicU64,
    pub(super) active: AtomicU32,
    /// Whose stream broke or was refused.
    pub(super) lost: AtomicU32,
}

/// What one client was told.
#[derive(Debug, Default)]
pub(super) struct Followed {
    /// Where it stood when it joined.
    pub(super) position: u32,
    /// The instant of its admission by the server's clock (ms since 1970), and when `active` had come by ours (ns).
    pub(super) admitted: Option<(u64, u64)>,
    last: Option<u32>,
    pub(super) faults: Faults,
}

impl Followed {
    fn take(&mut self, event: &Event<'_>, now: u64) {
        let data = event.data.as_bytes();
        let admitted = || instant::millis(text_field(data, "\"activatedAt\"")?);
        let joined = self.position;
        match (event.name, self.admitted) {
            ("position", None) => {
                let last = self.last.unwrap_or(joined);
                let position = number_field(data, "\"position\"");
                if position.is_none_or(|position| position > last) {
                    self.faults.add(format!("position {joined}: after {last} came {}", event.data));
                }
                self.last = position.or(self.last);
            }
            ("active", None) => match admitted() {
                Some(at) => self.admitted = Some((at, now)),
                None => self.faults.add(format!("position {joined}: active, and since when? {}", event.data)),
            },
            (name, _) => self.faults.add(format!("position {joined}: {name} {}", event.data)),
        }
    }
}

/// Clients that are connected.
pub(super) struct Streams {
    counts: Arc<Counts>,
    clients: JoinSet<Followed>,
    /// Dropped or told, it ends them.
    stop: watch::Sender<bool>,
}

impl Streams {
    /// Connects a client for each of these people and waits until all have heard where they stand.
    pub(super) async fn connect(
        crowd: &Arc<Crowd>,
        people: &[usize],
        target: Target,
        clock: Clock,
        counts: Arc<Counts>,
    ) -> Result<Self> {
        let turns = Arc::new(Semaphore::new(CONNECTING));
        let (stop, stopped) = watch::channel(false);
        let host: Arc<str> = target.host().into();
        let mut clients = JoinSet::new();
        for &person in people {
            let place = crowd.people[person].place.as_ref().context("who follows has a place")?;
            let mut client = Client {
                followed: Followed { position: place.position, ..Followed::default() },
                counts: Arc::clone(&counts),
                clock,
                stopped: stopped.clone(),
            };
            let (crowd, host, turns) = (Arc::clone(crowd), Arc::clone(&host), Arc::clone(&turns));
            clients.spawn(async move {
                let mut request = Vec::with_capacity(512);
                crowd.write_follow(&mut request, &host, person);
                drop((crowd, host));
                if let Err(error) = client.follow(target, &request, turns).await {
                    client.counts.lost.fetch_add(1, Ordering::Relaxed);
                    let joined = client.followed.position;
                    client.followed.faults.add(format!("position {joined}: the stream was lost: {error}"));
                }
                client.followed
            });
        }

        let streams = Self { counts, clients, stop };
        let here = || streams.connected() + streams.counts.lost.load(Ordering::Relaxed);
        let all = async {
            while usize::try_from(here()).is_ok_and(|here| here < people.len()) {
                sleep(PAUSE).await;
            }
        };
        let in_time = timeout(Duration::from_secs(CONNECT_SECONDS), all).await;
        ensure!(
            in_time.is_ok(),
            "{} of {} connected in {CONNECT_SECONDS} s",
            streams.connected(),
            people.len()
        );
        Ok(streams)
    }

    pub(super) fn connected(&self) -> u32 {
        self.counts.connected.load(Ordering::Relaxed)
    }

    /// Waits until everyone is active or lost, but no longer than this; returns whether they all are.
    pub(super) async fn wait_until_active(&self, most: Duration) -> bool {
        let all = async {
            let done =
                || self.counts.active.load(Ordering::Relaxed) + self.counts.lost.load(Ordering::Relaxed);
            while usize::try_from(done()).is_ok_and(|done| done < self.clients.len()) {
                sleep(PAUSE).await;
            }
        };
        timeout(most, all).await.is_ok()
    }

    /// Ends the streams, and returns what each was told.
    pub(super) async fn end(mut self) -> Result<Vec<Followed>> {
        self.stop.send_replace(true);
        let mut all = Vec::with_capacity(self.clients.len());
        while let Some(followed) = self.clients.join_next().await {
            all.push(followed.context("a stream's task")?);
        }
        Ok(all)
    }
}

struct Client {
    followed: Followed,
    counts: Arc<Counts>,
    clock: Clock,
    stopped: watch::Receiver<bool>,
}

impl Client {
    async fn follow(
        &mut self,
        target: Target,
        request: &[u8],
        turns: Arc<Semaphore>,
    ) -> Result<(), WireError> {
        let mut turn = turns.acquire_owned().await.ok();
        let mut stream = TcpStream::connect(target.address()).await?;
        stream.set_nodelay(true)?;
        stream.write_all(request).await?;
        let (mut decoder, mut input) = (Decoder::new(), vec![0; INPUT_LEN]);

        loop {
            let read = tokio::select! {
                read = stream.read(&mut input) => read?,
                _ = self.stopped.changed() => return Ok(()),
            };
            if read == 0 || decoder.is_over() {
                return Err(WireError::Closed);
            }
            let now = self.clock.nanos();
            let (was_active, mut events) = (self.followed.admitted.is_some(), 0);
            decoder.feed(&input[..read], |event| {
                self.followed.take(&event, now);
                events += 1;
            })?;
            self.counts.events.fetch_add(events, Ordering::Relaxed);
            if !was_active && self.followed.admitted.is_some() {
                self.counts.active.fetch_add(1, Ordering::Relaxed);
            }
            if events > 0 && turn.take().is_some() {
                self.counts.connected.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::{queue::crowd::Place, token::Signer};

    fn position(position: u32) -> String {
        format!("event: position\ndata: {{\"status\":\"waiting\",\"position\":{position}}}\n\n")
    }

    fn active() -> String {
        "event: active\ndata: {\"status\":\"active\",\"activatedAt\":\"1970-01-01T00:00:01.000Z\"}\n\n"
            .to_owned()
    }

    /// Follows a place that joined at position 5; the server tells this and then keeps the stream open, or not.
    async fn follow(told: &[String], ended: bool) -> Followed {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target::new(listener.local_addr().unwrap()).unwrap();
        let chunk = |event: &String| format!("{:x}\r\n{event}\r\n", event.len());
        let events = told.iter().map(chunk).collect::<Vec<_>>().concat();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut thrown_away = [0; 1024];
            let _ = stream.read(&mut thrown_away).await.unwrap();
            let end = if ended { "0\r\n\r\n" } else { "" };
            stream.write_all([head, &events, end].concat().as_bytes()).await.unwrap();
            if !ended {
                std::future::pending::<()>().await;
            }
        });
        let mut crowd = Crowd::new("s", "u", 1, &Signer::new(&[1; 32]), 5);
        let place = Place { pass: "p".into(), position: 5, issued_at: 0, sent: 0, acknowledged: 0 };
        crowd.people[0].place = Some(place);
        let streams =
            Streams::connect(&Arc::new(crowd), &[0], target, Clock::start(), Arc::default()).await.unwrap();
        let done = || {
            let counts = &streams.counts;
            let events = usize::try_from(counts.events.load(Ordering::Relaxed)).unwrap();
            counts.lost.load(Ordering::Relaxed) > 0 || (!ended && events >= told.len())
        };
        while !done() {
            tokio::task::yield_now().await;
        }
        let followed = streams.end().await.unwrap().pop().unwrap();
        server.abort();
        followed
    }

    #[tokio::test]
    async fn a_client_that_moves_up_and_gets_in_finds_nothing_wrong() {
        let followed = follow(&[position(5), position(5), position(2), active()], false).await;
        assert_eq!(followed.faults.first, [""; 0]);
        assert_eq!(followed.admitted.map(|(at, _)| at), Some(1_000));
    }

    #[tokio::test]
    async fn a_position_that_grows_is_found() {
        let followed = follow(&[position(4), position(5)], false).await;
        assert!(followed.faults.first[0].starts_with("position 5: after 4 came"), "{:?}", followed.faults);
        assert_eq!(follow(&[position(6)], false).await.faults.count, 1);
    }

    #[tokio::test]
    async fn what_comes_after_active_is_found() {
        let followed = follow(&[active(), position(1)], false).await;
        assert_eq!(followed.faults.count, 1);
        assert!(follow(&[position(1)], false).await.admitted.is_none());
    }

    #[tokio::test]
    async fn a_stream_that_the_server_ends_is_found() {
        let followed = follow(&[position(5)], true).await;
        assert!(followed.faults.first[0].contains("was lost"), "{:?}", followed.faults);
    }
}
