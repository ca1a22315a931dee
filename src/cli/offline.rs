//! Work on the data directory of a stopped engine: open the engine here, call its own routes, close it.

use core::time::Duration;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, header};
use axum::response::Response;
use futures_util::StreamExt;
use onsale::clock::{Clock, SystemClock};
use onsale::config::{ClusterConfig, Config, NatsLogin, Retain, Secret};
use onsale::domain::time::Seconds;
use onsale::engine::{ClockLimit, Engine, EngineConfig, EngineOpenError};
use onsale::http::HttpParts;
use onsale::http::app::App;
use onsale::http::request::Site;
use onsale::journal::{StreamConfig, StreamLogin};
use onsale::{journal, random};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::answer::{Answer, Taker};
use super::output::{Failure, plain};
use super::quiet_logs;

/// What to do if no engine has run in the data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IfMissing {
    /// Create it.
    Create,
    /// Refuse it, since it is probably mistyped.
    Refuse,
}

/// Opens the engine, sends a body to one of its routes as an administrator, and closes it, which takes a snapshot.
pub(super) fn post(
    config: Config,
    path: &str,
    body: Vec<u8>,
    if_missing: IfMissing,
) -> Result<Answer, Failure> {
    within(config, if_missing, async |site, token| call(site, path, &token, body).await)
}

/// Opens the engine, hands over the bytes of a route's answer as they come, and closes it. Returns an answer that isn't
/// a success.
pub(super) fn download(config: Config, path: &str, take: &mut Taker<'_>) -> Result<Option<Answer>, Failure> {
    within(config, IfMissing::Refuse, async |site, token| {
        let request = Request::get(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", token.expose()))
            .body(Body::empty())
            .map_err(Failure::failed)?;
        let Ok(response) = site.oneshot(request).await;
        if !response.status().is_success() {
            return answer(response).await.map(Some);
        }
        let mut chunks = response.into_body().into_data_stream();
        while let Some(chunk) = chunks.next().await {
            take(&chunk.map_err(Failure::failed)?)?;
        }
        Ok(None)
    })
}

/// Opens the engine of a data directory, runs `work` with its site and an administrator's token, and closes it.
fn within<T>(
    mut config: Config,
    if_missing: IfMissing,
    work: impl AsyncFnOnce(Site, Secret) -> Result<T, Failure>,
) -> Result<T, Failure> {
    quiet_logs(&config)?;
    if !config.cluster.log.is_empty() {
        return Err(Failure::Usage(
            "cluster.log is set, and this command would take the log over from the process that has it: name that one with --url"
                .to_owned(),
        ));
    }
    if if_missing == IfMissing::Refuse {
        check_has_journal(&config)?;
    }

    // This engine doesn't listen, so a random token is enough, and the provider's keys aren't needed.
    config.auth.jwks_file = None;
    let token = Secret::new(random::token());
    config.auth.admin_token = Some(token.clone());
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::failed)?;

    runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let parts = HttpParts::new(&config, Arc::clone(&clock), CancellationToken::new())
            .map_err(Failure::settings)?;
        let engine =
            Engine::open(engine_config(&config, clock)).await.map_err(|error| not_opened(&error, &config))?;
        let site = App::new(engine.clone(), parts, None).site();
        let done = work(site, token).await;

        // Closed even after a failure: the engine must release the directory.
        engine.close().await.map_err(Failure::failed)?;
        done
    })
}

/// Refuses a data directory in which no engine has run: opening it would make an empty one.
fn check_has_journal(config: &Config) -> Result<(), Failure> {
    let dir = &config.server.data_dir;
    if journal::is_data_dir(dir) || journal::is_of_a_stream(dir) {
        // The latter is refused when it is opened, with what to do.
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "no engine has run in {}: name its data directory with --data-dir, or a running engine with --url",
        plain(&dir.display().to_string())
    )))
}

/// Calls a route of this process.
pub(super) async fn call(site: Site, path: &str, token: &Secret, body: Vec<u8>) -> Result<Answer, Failure> {
    let request = Request::post(path)
        .header(header::AUTHORIZATION, format!("Bearer {}", token.expose()))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, body.len())
        .body(Body::from(body))
        .map_err(Failure::failed)?;
    let Ok(response) = site.oneshot(request).await;
    answer(response).await
}

async fn answer(response: Response) -> Result<Answer, Failure> {
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.map_err(Failure::failed)?;
    Ok(Answer { status, body: body.into() })
}

/// Returns the engine's settings.
pub(super) fn engine_config(config: &Config, clock: Arc<dyn Clock>) -> EngineConfig {
    let mut engine = EngineConfig::new(&config.server.data_dir);
    engine.clock = clock;
    let ahead_max = config.clock.ahead_max.and_then(|max| u32::try_from(max).ok()).map(Seconds::new);
    engine.clock_limit = ClockLimit { ahead_max, today: config.clock.accept };
    engine.journal.retain = match config.journal.retain {
        Retain::Snapshot => journal::Retain::Snapshot,
        Retain::Seconds(seconds) => journal::Retain::For(Duration::from_secs(seconds)),
        Retain::Forever => journal::Retain::Forever,
    };
    engine.journal.reserve_bytes = u64::try_from(config.journal.reserve_bytes).unwrap_or(u64::MAX);
    engine.journal.queue_len_max = config.journal.queue_len_max;
    engine.mailbox_len_max = config.limits.mailbox_len_max;

    // A request has a deadline of its own already, and a second timer costs time.
    engine.reply_timeout = None;
    let retention_seconds = config.limits.ended_retention_days.saturating_mul(u64::from(Seconds::DAY.get()));
    engine.ended_retention = Seconds::new(u32::try_from(retention_seconds).unwrap_or(u32::MAX));
    engine.unpaid_holds_max = config.limits.unpaid_holds_per_hour;
    engine.keys_max = u32::try_from(config.limits.idempotency_keys_max).unwrap_or(u32::MAX);

    // The setting's longest time, a hundred years, fits into 32 bits of seconds.
    engine.archive_after = config.archive.after.and_then(|after| u32::try_from(after).ok()).map(Seconds::new);
    if !config.cluster.log.is_empty() {
        engine.journal.stream = Some(stream_config(&config.cluster));
        // The archive is a file on a disk, which the process that takes over hasn't.
        engine.archive_after = None;
    }
    engine.snapshot_every_events = config.snapshots.events_between;
    engine.snapshot_every = Duration::from_secs(config.snapshots.seconds_between);
    engine
}

/// Returns where the log is, and who this process is there.
fn stream_config(cluster: &ClusterConfig) -> StreamConfig {
    let login = |login: &NatsLogin| match login {
        NatsLogin::Password { user, password } => {
            StreamLogin::Password { user: user.clone(), password: password.expose().to_owned() }
        }
        NatsLogin::Credentials(path) => StreamLogin::Credentials(path.clone()),
    };
    let secret = cluster.secret.as_ref().map_or("", Secret::expose);
    StreamConfig {
        servers: cluster.log.clone(),
        cluster: cluster.name.clone(),
        replicas: cluster.replicas,
        node: cluster.node.clone().unwrap_or_else(machine),
        secret: secret.as_bytes().into(),
        login: cluster.login.as_ref().map(login),
        system: cluster.system_login.as_ref().map(login),
        ca_file: cluster.ca_file.clone(),
    }
}

/// Returns the machine's name.
fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "a node without a name".to_owned() } else { name.trim().to_owned() }
}

/// Returns why the engine can't be opened, and what the operator can do.
pub(super) fn not_opened(error: &EngineOpenError, config: &Config) -> Failure {
    use journal::{OpenError, StoreError};
    if error.is_deposed() {
        return Failure::TakenOver(format!("the log was taken over while this process started: {error}"));
    }

    let is_local = config.cluster.log.is_empty();
    let what_to_do = match error {
        // Their own messages say what to do.
        EngineOpenError::Journal(
            OpenError::Full { .. }
            | OpenError::Damaged { .. }
            | OpenError::Format(_)
            | OpenError::Refused(_)
            | OpenError::Store { source: StoreError::Locked(_), .. },
        )
        | EngineOpenError::SnapshotAhead { .. }
        | EngineOpenError::Archive(_)
        | EngineOpenError::Clock { .. }
        | EngineOpenError::Deposed(_) => "",
        _ if !is_local => {
            ". What was acknowledged is kept, and nothing was deleted: look at the log's servers and at their newest data, and \
             start again"
        }
        EngineOpenError::Journal(_) | EngineOpenError::Snapshot(_) => {
            ". Nothing was changed: check that the directory is on a healthy disk with room left, and that this user may \
             read and write it, then start again"
        }
        EngineOpenError::Read(_) | EngineOpenError::Rebuild(_) | EngineOpenError::Panicked => {
            ". Run `onsale verify` on the data directory to see what is wrong, and keep a copy of it"
        }
        EngineOpenError::Commit(_) => {
            ". What was acknowledged is kept: look for the disk's error in the log, free space or repair it, then start again"
        }
    };

    Failure::Failed(format!("the engine can't start: {error}{what_to_do}"))
}

#[cfg(test)]
mod tests {
    use onsale::journal::CommitError;

    use super::*;

    #[test]
    fn whoever_is_deposed_in_its_start_says_so_and_nobody_on_nats_is_sent_to_a_disk() {
        let mut config = Config::defaults();
        config.cluster.log = vec!["nats://127.0.0.1:4222".to_owned()];
        let deposed = EngineOpenError::Deposed(Arc::from("node-b has taken the log over, as its life 2"));
        let Failure::TakenOver(told) = not_opened(&deposed, &config) else { panic!("the exit code isn't 3") };
        assert!(told.contains("was taken over") && told.contains("node-b"), "{told}");

        for error in [EngineOpenError::Commit(CommitError::Unavailable), EngineOpenError::Panicked] {
            let Failure::Failed(told) = not_opened(&error, &config) else { panic!("the exit code isn't 1") };
            assert!(told.contains("servers"), "{told}");
            assert!(!["verify", "disk", "directory"].iter().any(|word| told.contains(word)), "{told}");
            let Failure::Failed(told) = not_opened(&error, &Config::defaults()) else { panic!() };
            assert!(told.contains("verify") || told.contains("disk"), "{told}");
        }
    }
}
