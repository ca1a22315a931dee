//! Two processes claim one log at the same moment, again and again, while its owner writes.
//!
//! What each of them was told is held against the log's own messages, read one by one.
//! `ONSALE_RACES=10000 cargo test --lib stream::tests::races -- --nocapture` runs so many instead of a few.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::super::frame;
use super::super::super::lane::{Lane, NatsLane, Sealed};
use super::super::super::mark::Mark;
use super::super::super::records::RecordSlices;
use super::super::super::store::StoreError;
use super::super::names::Names;
use super::super::session::Session;
use super::*;

/// How many races there are unless it is said.
const RACES: u32 = 300;
/// How many records an owner has to have written before it is raced for: some races find it busy, some find it quiet.
const APPENDS: u32 = 3;

/// What an owner was told of its records: where each of them stands.
type Told = BTreeMap<u64, Vec<u8>>;

/// An owner of the log, as far as it knows.
struct Owner {
    lane: NatsLane<SessionPen>,
    log_id: u128,
    epoch: u64,
    /// Its last record.
    last: Ordinal,
    told: Told,
}

impl Owner {
    /// Claims the log; nothing where others were faster each time that it tried. Blocks.
    fn claim(config: &StreamConfig) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let claimed = match claim_unchecked(dir.path(), config) {
            Ok(claimed) => claimed,
            Err(LogRefused::Contended(_)) => return None,
            Err(error) => panic!("{error}"),
        };

        let Claimed { pen, log_id, mark, last, .. } = claimed;
        let mark = Mark { durable: last, bridging: false, ..mark };
        let (lane, mark) = match pen.lane(mark, Arc::new(|| 1), Duration::from_secs(1)) {
            Ok(made) => made,
            Err(StoreError::Deposed { .. }) => return None,
            Err(error) => panic!("{error}"),
        };
        Some(Self { lane, log_id, epoch: mark.epoch, last, told: Told::new() })
    }

    /// Claims the log while nobody else does.
    async fn claim_alone(config: &StreamConfig) -> Self {
        let config = config.clone();
        tokio::task::spawn_blocking(move || Self::claim(&config).unwrap()).await.unwrap()
    }

    /// Appends a record that no other owner writes. Tells whether it still owns the log.
    async fn append(&mut self) -> bool {
        let record = format!("{} writes {}", self.epoch, self.last).into_bytes();
        let first = self.last.next();
        let (header, bytes) = sealed(self.log_id, self.epoch, first, &record);

        match self.lane.append(Sealed { header: &header, bytes: &bytes }).await {
            Ok(appended) => {
                self.last = first;
                self.told.insert(appended.position.sequence(), record);
                true
            }
            Err(StoreError::Deposed { epoch, .. }) => {
                assert!(epoch > self.epoch, "a later life has begun");
                false
            }
            Err(error) => panic!("{error}"),
        }
    }

    async fn append_until_deposed(mut self) -> Told {
        while self.append().await {}
        assert!(!self.append().await, "who was deposed stays so");
        self.told
    }
}

/// What became of the races.
#[derive(Default)]
struct Outcome {
    told: Told,
    /// In how many races both had the log, one after the other.
    both_began: u32,
    /// In how many neither got it from the owner.
    none_began: u32,
}

impl Outcome {
    fn note(&mut self, told: Told) {
        for (sequence, record) in told {
            assert_eq!(self.told.insert(sequence, record), None, "message {sequence} was given to two");
        }
    }
}

async fn race(config: &StreamConfig, mut owner: Owner, is_busy: bool, outcome: &mut Outcome) -> Owner {
    for _ in 0..APPENDS {
        assert!(owner.append().await, "nobody else claims");
    }
    let barrier = Arc::new(std::sync::Barrier::new(2));
    let claimers = ["node-a", "node-b"].map(|node| {
        let (config, barrier) =
            (StreamConfig { node: node.to_owned(), ..config.clone() }, Arc::clone(&barrier));
        tokio::task::spawn_blocking(move || {
            barrier.wait();
            Owner::claim(&config)
        })
    });
    // The owner writes on meanwhile, or stands still. An append is never given up in the middle.
    let is_over = Arc::new(AtomicBool::new(!is_busy));
    let until = Arc::clone(&is_over);
    let writing = tokio::spawn(async move {
        let mut is_deposed = false;
        while !is_deposed && !until.load(Ordering::Relaxed) {
            is_deposed = !owner.append().await;
        }
        (owner, is_deposed)
    });
    let [one, other] = claimers;
    let (one, other) = (one.await.unwrap(), other.await.unwrap());
    is_over.store(true, Ordering::Relaxed);
    let (mut owner, is_deposed) = writing.await.unwrap();

    let mut began: Vec<Owner> = [one, other].into_iter().flatten().collect();
    outcome.both_began += u32::from(began.len() == 2);
    let Some(_) = began.first() else {
        outcome.none_began += 1;
        // Either it still owns the log, or one who had it for a moment was overtaken by the other before it knew.
        if !is_deposed && owner.append().await {
            return owner;
        }
        outcome.note(owner.told);
        return Owner::claim_alone(config).await;
    };
    outcome.note(owner.append_until_deposed().await);

    let mut owners = Vec::new();
    for mut owner in began.drain(..) {
        if owner.append().await {
            owners.push(owner);
        } else {
            outcome.note(owner.told);
        }
    }
    assert!(owners.len() < 2, "two own the log");
    match owners.pop() {
        Some(owner) => owner,
        // The later life is of one that was overtaken before it knew of itself.
        None => Owner::claim_alone(config).await,
    }
}

/// Holds the log against what its owners were told; returns how many lives it has.
fn check(servers: &Servers, told: &Told) -> u64 {
    let session = Session::connect(&servers.urls(), Some(&login(LOGIN)), None, "test").unwrap();
    let names = Names::of("test");
    let reading = Arc::clone(&session);
    let messages = session.block(async move {
        let (mut all, mut next) = (Vec::new(), 1);
        loop {
            let read = reading.many_from(&names.log, &names.lane, next, 512).await.unwrap();
            let Some((last, _)) = read.last() else { return all };
            next = last + 1;
            all.extend(read);
        }
    });

    let (mut epoch, mut last, mut found) = (0, Ordinal::START, 0);
    for (sequence, bytes) in messages {
        let header = frame::open(&bytes, super::super::super::config::CODEC).unwrap();
        assert_eq!(header.first, last.next(), "no record is left out, and none is there twice");
        last = header.first;
        if let Some(life) = Life::read(&bytes) {
            epoch += 1;
            assert_eq!(life.epoch, epoch, "exactly one life follows each");
            continue;
        }

        assert_eq!(header.epoch, epoch, "nothing of a life stands behind the beginning of the next");
        let record = RecordSlices::new(&bytes[frame::HEADER_LEN..]).next().unwrap();
        assert_eq!(told.get(&sequence).map(Vec::as_slice), Some(record), "what is there was acknowledged");
        found += 1;
    }
    assert_eq!(found, told.len(), "what was acknowledged is there");
    epoch
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_claim_a_log_at_once_one_owns_it_and_what_each_was_told_is_there_in_order() {
    let Some(servers) = Servers::start(1) else { return };
    let races = std::env::var("ONSALE_RACES").map_or(RACES, |races| races.parse().unwrap());
    let config = stream(servers.urls());
    let mut owner = Owner::claim_alone(&config).await;
    let mut outcome = Outcome::default();
    for number in 0..races {
        owner = race(&config, owner, number % 2 == 0, &mut outcome).await;
    }
    outcome.note(owner.told);

    let lives = check(&servers, &outcome.told);
    let Outcome { told, both_began, none_began } = outcome;
    println!(
        "{races} races of two for one log: {lives} lives, each followed by one; {} appends acknowledged, all there in \
         order; both had it in {both_began}, neither in {none_began}",
        told.len()
    );
    assert!(both_began > 0 && lives > u64::from(races - none_began), "they raced");
}
