//! Two processes that start at once, with a real server: one of them has the log.

use core::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::cluster::{Owner, View};

const RACES: usize = 60;
/// How many run at once.
const TOGETHER: usize = 6;

/// A process that stands by, and takes the log when it is its turn.
struct Racer {
    node: Membership,
    config: JournalConfig,
    _dir: tempfile::TempDir,
}

impl Racer {
    fn join(servers: &Servers, cluster: String, name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let stream = StreamConfig { cluster, node: name.to_owned(), ..stream(servers.urls()) };
        let address = format!("http://{name}");
        let wall = std::time::SystemTime::UNIX_EPOCH;
        let clock = move || u64::try_from(wall.elapsed().unwrap().as_millis()).unwrap();
        let node =
            NodeConfig { address, version: "1".to_owned(), settings: String::new(), clock: Arc::new(clock) };
        let node = Membership::begin(dir.path(), &stream, node).unwrap();
        let config = JournalConfig { stream: Some(stream), ..JournalConfig::new(dir.path()) };
        Self { node, config, _dir: dir }
    }

    /// Takes the log if it comes to it, and stays until a view that the other one has is its own.
    async fn race(self, lives: &AtomicU32) -> Option<View> {
        loop {
            self.node.turn().await.unwrap();
            let (config, node) = (self.config.clone(), self.node.clone());
            let opened = tokio::task::spawn_blocking(move || Journal::open_as(config, &node)).await.unwrap();
            match opened {
                Ok(recovering) => {
                    lives.fetch_add(1, Ordering::SeqCst);
                    self.node.waited().await.unwrap();
                    self.node.serve();
                    assert!(self.node.reads().may_answer(Duration::ZERO));
                    let view = self.node.view().borrow().clone();
                    // It has it for a while, so that the other one could take it.
                    let lost = tokio::time::timeout(Duration::from_secs(1), self.node.lost()).await;
                    assert!(lost.is_err(), "{lost:?}");
                    assert_eq!(lives.load(Ordering::SeqCst), 1);
                    drop(recovering);
                    self.node.leave().await;
                    return Some(view);
                }
                Err(OpenError::Refused(LogRefused::Late(_))) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// Has two nodes start at once; one gets the log, and the other one sees whose it is.
async fn race(servers: Arc<Servers>, number: usize) {
    let join = |name: &'static str| {
        let servers = Arc::clone(&servers);
        tokio::task::spawn_blocking(move || Racer::join(&servers, format!("race-{number}"), name))
    };
    let (one, other) = tokio::join!(join("one"), join("other"));
    let (one, other) = (one.unwrap(), other.unwrap());
    let lives = AtomicU32::new(0);
    let mut views = [one.node.view(), other.node.view()];
    let nodes = [one.node.clone(), other.node.clone()];
    let won = tokio::select! {
        won = one.race(&lives) => won.unwrap(),
        won = other.race(&lives) => won.unwrap(),
    };
    assert_eq!((won.owner, won.epoch), (Owner::Me, 1));
    let loser = usize::from(won.me == "one");
    let seen = views[loser].wait_for(|view| !view.members.iter().all(|member| member.is_alive)).await;
    assert_eq!(seen.unwrap().members.len(), 2);
    nodes[loser].leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_nodes_that_start_at_once_one_has_the_log() {
    let Some(servers) = Servers::start(1) else { return };
    let servers = Arc::new(servers);
    for first in (0..RACES).step_by(TOGETHER) {
        let mut races = tokio::task::JoinSet::new();
        for number in first..first + TOGETHER {
            races.spawn(race(Arc::clone(&servers), number));
        }
        while let Some(raced) = races.join_next().await {
            raced.unwrap();
        }
    }
}
