//! A process that is deposed in the middle of its start.

use std::path::Path;
use std::sync::{Arc, Mutex};

use onsale::clock::{Clock, SystemClock};
use onsale::domain::time::Timestamp;
use onsale::engine::{Engine, EngineConfig, EngineOpenError};
use onsale::journal::{Journal, JournalConfig, StreamConfig, StreamLogin};

use crate::faults::hold;
use crate::servers::{LOGIN, SYSTEM, Servers};
use crate::{environment, prepare, serve};

/// What the engine asks first when it has recovered: meanwhile something else happens, once.
struct Interrupted {
    clock: SystemClock,
    meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Clock for Interrupted {
    fn now(&self) -> Timestamp {
        let meanwhile = self.meanwhile.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        self.clock.now()
    }

    fn advance_to(&self, at: Timestamp) {
        self.clock.advance_to(at);
    }
}

fn stream(servers: &Servers, node: &str) -> StreamConfig {
    let login = |(user, password): (&str, &str)| StreamLogin::Password {
        user: user.to_owned(),
        password: password.to_owned(),
    };
    let secret = environment(servers, "1", node).into_iter().find(|(name, _)| name.ends_with("_SECRET"));
    StreamConfig {
        servers: servers.urls(),
        cluster: "onsale".to_owned(),
        replicas: 1,
        node: node.to_owned(),
        secret: secret.unwrap().1.into_bytes().into(),
        login: Some(login(LOGIN)),
        system: Some(login(SYSTEM)),
        ca_file: None,
    }
}

fn journal(servers: &Servers, dir: &Path, node: &str) -> JournalConfig {
    JournalConfig { stream: Some(stream(servers, node)), ..JournalConfig::new(dir) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_deposed_in_the_middle_of_its_start_is_told_by_whom() {
    let Some(servers) = Servers::start(1) else { return };
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let first = serve(dirs[0].path(), &environment(&servers, "1", "node-a"));
    prepare(&first).await;
    assert_eq!(hold(&first, 1, "one").await.0, 201);
    first.kill();

    let taking_over = journal(&servers, dirs[2].path(), "node-c");
    let mut config = EngineConfig::new(dirs[1].path());
    config.journal = journal(&servers, dirs[1].path(), "node-b");
    let meanwhile: Box<dyn FnOnce() + Send> = Box::new(move || drop(Journal::open(taking_over).unwrap()));
    config.clock =
        Arc::new(Interrupted { clock: SystemClock::new(), meanwhile: Mutex::new(Some(meanwhile)) });
    let told = Engine::open(config).await.map(drop).unwrap_err();
    assert!(told.is_deposed() && matches!(told, EngineOpenError::Deposed(_)), "{told:?}");
    assert!(told.to_string().contains("node-c has taken the log over, as its life 3"), "{told}");
}
