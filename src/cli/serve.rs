//! `onsale serve`: bind → recover → serve → drain.
//!
//! The socket is bound first: a taken address is an error at once, and probes are answered (alive, not ready) while
//! recovery runs. The URLs are printed only when everything works.
//!
//! At the first SIGTERM or SIGINT no connection is accepted any more, running requests are answered, event streams end,
//! the demonstration's crowd goes home, and a snapshot is taken. The second signal ends the process at once. Neither
//! loses anything: what was acknowledged is durable.

use core::net::SocketAddr;
use core::time::Duration;
use std::process;
use std::sync::{Arc, OnceLock};

use axum::http::header;
use clap::{Arg, ArgAction, ArgMatches, Command};
use metrics_exporter_prometheus::PrometheusHandle;
use onsale::clock::{Clock, Stopwatch, SystemClock};
use onsale::config::{AddressRange, Config, LogFormat, Secret, Source, demo_secrets};
use onsale::engine::{Engine, EngineConfig, EngineOpenError};
use onsale::files;
use onsale::gateway::Gateways;
use onsale::http::app::App;
use onsale::http::hop::Standby;
use onsale::http::hosts::Hosts;
use onsale::http::limits::ServerLimits;
use onsale::http::routes::metrics::exposition;
use onsale::http::table::{Routes, get};
use onsale::http::{HttpParts, server};
use onsale::journal::Membership;
use onsale::mock_gateway::DEMO_SECRET;
use onsale::telemetry::{self, Process};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::crowd::{self, CrowdRequest};
use super::not_ready_server::NotReadyServer;
use super::output::{Failure, print};
use super::standby_server::StandbyServer;
use super::urls::Urls;
use super::{demo, gateways, load, node, offline, reload, service_manager};

/// The histograms with buckets of their own: entries in one flush, in steps of four; and waits, which take minutes.
const BUCKETS: &[(&str, &[f64])] = &[
    ("onsale_gateway_seconds", &[0.01, 0.03, 0.1, 0.3, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 60.0, 120.0]),
    ("onsale_journal_batch_entries", &[1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0]),
    (
        "onsale_queue_wait_seconds",
        &[0.1, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0],
    ),
];
/// How often a long recovery logs that it goes on.
const PROGRESS: Duration = Duration::from_secs(5);

pub(super) fn command() -> Command {
    let demo = Arg::new("demo")
        .long("demo")
        .action(ArgAction::SetTrue)
        .help("Try it out: make secrets and a theatre in the data directory, and print commands to paste");
    let print_config = Arg::new("print-config")
        .long("print-config")
        .action(ArgAction::SetTrue)
        .help("Print every setting with its value, source and meaning, and exit");
    Command::new("serve")
        .about("Run the engine and its HTTP API")
        .args([demo, crowd::flag(), crowd::standing_flag(), print_config])
        .args(Config::flags())
        .after_help(
            "EXAMPLES\n  onsale serve --demo\n  onsale serve --demo --crowd 5000\n  ONSALE_JWT_SECRET=$(openssl rand -base64 48) \\\n    \
             onsale serve --listen 0.0.0.0:8080\n  \
             onsale serve --config onsale.toml --print-config\n\n\
             PRINTS\n  the URLs, when it is ready (/readyz is 200). Logs go to standard error. -h shows the most used settings, \
             --help all of them\n\n\
             SIGNALS\n  SIGTERM or SIGINT stops it. SIGHUP reads the secrets, the administrators' tokens and the key file again\n\n\
             SYSTEMD\n  With Type=notify, the unit has started when /readyz is 200\n\n\
             EXIT CODES\n  0        stopped by SIGTERM or SIGINT: requests were answered, and all changes are kept\n  \
             1        it can't start, the journal failed, or its servers didn't answer at the stop: the reason is on standard error\n  \
             2        wrong usage or settings\n  \
             3        another process has taken the log over (--log). With cluster.address start this one again: it stands by. Without it don't\n  130/143  a second SIGINT/SIGTERM ended it at once",
        )
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let mut config = load(matches)?;
    let demo = matches.get_flag("demo");
    if matches.get_flag("print-config") {
        if demo {
            // Printing makes no file. The secrets are hidden, so empty ones do.
            let secret = || Secret::new("");
            config.apply_demo(&onsale::config::DemoSecrets { jwt_secret: secret(), admin_token: secret() });
        }
        return print(&config.print());
    }

    if demo {
        let secrets = demo_secrets(&config.server.data_dir).map_err(Failure::failed)?;
        config.apply_demo(&secrets);
    }

    config.require_tokens().map_err(Failure::settings)?;
    config.check_log().map_err(Failure::settings)?;
    let crowd_request = CrowdRequest::read(matches);
    let logs = match &crowd_request {
        Some(request) => request.init_logs(&config.log),
        None => telemetry::init_logs(&config.log),
    };
    logs.map_err(Failure::settings)?;

    let runtime = runtime(&config)?;
    let is_json = config.log.format == LogFormat::Json;
    let node = OnceLock::new();
    let done = runtime.block_on(async {
        let done = serve(config, matches.clone(), demo, crowd_request, &node).await;
        // Nothing is answered any more, and nothing is under way: another one may take over at once.
        if let Some(node) = node.get() {
            Membership::leave(node).await;
        }
        done
    });

    // A recovery that was interrupted still reads on a thread of its own: nobody waits for it.
    runtime.shutdown_background();
    done.map_err(|failure| if is_json { failure.logged() } else { failure })
}

fn runtime(config: &Config) -> Result<Runtime, Failure> {
    let mut builder = Builder::new_multi_thread();
    builder.enable_all().thread_name("onsale");
    if let Some(threads) = config.server.worker_threads {
        builder.worker_threads(threads);
    }
    builder.build().map_err(|error| Failure::Failed(format!("the runtime can't be started: {error}")))
}

async fn serve(
    mut config: Config,
    matches: ArgMatches,
    demo: bool,
    crowd_request: Option<CrowdRequest>,
    joined: &OnceLock<Membership>,
) -> Result<(), Failure> {
    let shutdown = CancellationToken::new();
    stop_on_signals(shutdown.clone())?;

    // By default a hangup ends the process. From here on it waits until the settings can be read again.
    let hangups = reload::hangups()?;
    let recorder = telemetry::init_metrics(BUCKETS, shutdown.clone()).map_err(Failure::failed)?;

    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    tell_start(clock.as_ref());

    let parts = HttpParts::new(&config, Arc::clone(&clock), shutdown.clone()).map_err(Failure::settings)?;
    reload::on_hangup(hangups, matches, config.clone(), Arc::clone(&parts.authenticator), shutdown.clone());
    allow_files(&config);
    warn(&config, demo);

    let (first, second) = bind_twice(config.server.listen)?;
    // Bound now, so that a taken address is an error at once.
    let metrics_listener = config.server.metrics_listen.map(bind).transpose()?;
    let metrics = metrics_listener.as_ref().map(address_of).transpose()?;
    let mut urls = Urls { api: address_of(&second)?, metrics, checkout: None };

    // The mock gateway's notices go to the API's URL, which is known only once the port is bound.
    let mock = if demo { demo::start_gateway(&mut config, &urls).await? } else { None };
    urls.checkout = mock.as_ref().map(|mock| mock.url().to_owned());
    let gateways = gateways::of(&config)?;

    let mut limits = ServerLimits::new(&config.server, &config.limits);
    if demo {
        limits.hosts = Hosts::Loopback(urls.api.ip());
    }
    let mut servers = JoinSet::new();

    let shown = Arc::new(OnceLock::new());
    if let Some(listener) = metrics_listener {
        let site = parts.dress(metrics_route(Arc::clone(&shown), recorder.clone()), &());
        servers.spawn(server::serve(listener, site, limits, shutdown.clone()));
    }

    let node = node::join(&config, &clock, &shutdown).await?;
    // Keys are looked after and limits swept while it stands by, too.
    parts.spawn_upkeep();
    // The API serves the metrics unless they have an address of their own.
    let own = urls.metrics.is_none().then_some(recorder);
    let node = node.map(|node| joined.get_or_init(|| node));
    let starting = FirstServer::begin(first, limits, &parts, node, own.clone());
    if node.is_some() {
        urls.tell(&config, "standing by")?;
        service_manager::tell_ready();
    }
    let engine = match open_in_turn(&config, clock, gateways, node, &shutdown).await {
        Some(Ok(engine)) => engine,
        Some(Err(failure)) => return Err(failure),
        None => {
            starting.end().await;
            tracing::info!("stopped before recovery was done; nothing is lost");
            return Ok(());
        }
    };

    // One block, so that a failure in it still drains the servers and closes the engine.
    let mut fans = None;
    let served = async {
        let app = match node {
            None => App::new(engine.clone(), parts.clone(), own),
            Some(node) => App::in_cluster(engine.clone(), parts.clone(), own, node::of_api(node, &shutdown)),
        };
        shown.get_or_init(|| app.clone());

        let site = if demo { demo::site(app, &urls, own_secrets(&config).is_empty()) } else { app.site() };
        if demo {
            demo::import_into_empty(&engine, site.clone(), &config).await?;
        }
        let crowd = match crowd_request {
            Some(request) => request.prepare(&engine).await?,
            None => None,
        };

        // The first server ends before the second begins: no caller hears "ready" and then "not ready".
        match starting {
            FirstServer::NotReady(server) => server.end().await,
            FirstServer::Standby(server) => drop(servers.spawn(server.give_way(site.clone()))),
        }
        servers.spawn(server::serve(second, site, limits, shutdown.clone()));

        match node {
            None => {
                urls.tell(&config, "ready")?;
                service_manager::tell_ready();
                stop_when_deposed(&engine, shutdown.clone());
            }
            Some(node) => {
                node.serve();
                node::stop_when_lost(node, &engine, shutdown.clone());
            }
        }
        if demo {
            print(&demo::greeting(&engine, &config, &urls, crowd.as_ref())?)?;
        }
        fans = crowd.map(|crowd| tokio::spawn(crowd.run(engine.clone(), shutdown.clone())));
        Ok(())
    };
    let served: Result<(), Failure> = served.await;
    if served.is_err() {
        shutdown.cancel();
    }

    // The engine closes last: until then requests and fans are still answered.
    drain(servers, fans).await;
    let closed = close(engine).await;
    if let Some(mock) = mock {
        mock.stop().await;
    }

    served?;
    closed?;
    if let Some(lost) = node.and_then(Membership::has_lost) {
        return Err(node::taken_over(&lost));
    }
    tracing::info!("stopped");
    Ok(())
}

fn tell_start(clock: &dyn Clock) {
    let started = Duration::from_millis(clock.now().as_millis());
    metrics::gauge!("onsale_process_start_time_seconds").set(started.as_secs_f64());
}

/// Opens the engine: at once, or when it is this node's turn. Returns `None` if it is stopped meanwhile.
async fn open_in_turn(
    config: &Config,
    clock: Arc<dyn Clock>,
    gateways: Gateways,
    node: Option<&Membership>,
    shutdown: &CancellationToken,
) -> Option<Result<Engine, Failure>> {
    match node {
        // It was stopped while it joined.
        None if config.cluster.address.is_some() => None,
        None => {
            let opened = open(config, clock, gateways, None, shutdown).await?;
            Some(opened.map_err(|error| offline::not_opened(&error, config)))
        }
        Some(node) => {
            let open =
                async || open(config, Arc::clone(&clock), gateways.clone(), Some(node), shutdown).await;
            node::open_in_turn(node, config, shutdown, open).await
        }
    }
}

/// Who answers until this process's own site does.
enum FirstServer {
    NotReady(NotReadyServer),
    Standby(StandbyServer),
}

impl FirstServer {
    /// Starts to answer on `listener`; `metrics` are shown by a node that stands by.
    fn begin(
        listener: TcpListener,
        limits: ServerLimits,
        parts: &HttpParts,
        node: Option<&Membership>,
        metrics: Option<PrometheusHandle>,
    ) -> Self {
        let Some(node) = node else {
            return Self::NotReady(NotReadyServer::begin(listener, limits, parts));
        };
        let standby = Standby::new(parts.clone(), node::of_api(node, &parts.shutdown), metrics);
        let standby = standby.expect("a cluster has a secret: the settings were checked");
        Self::Standby(StandbyServer::begin(listener, limits, standby, &parts.shutdown))
    }

    async fn end(self) {
        match self {
            Self::NotReady(server) => server.end().await,
            Self::Standby(server) => server.end().await,
        }
    }
}

/// Closes the engine. Whoever keeps its log may say nothing: then nobody waits for ever.
async fn close(engine: Engine) -> Result<(), Failure> {
    let journal = engine.journal().clone();
    let closed = tokio::select! {
        closed = engine.close() => closed,
        () = journal.silent() => {
            let lost = journal.health().lost;
            let why = lost.map_or("don't answer".to_owned(), |lost| format!("have lost what was acknowledged ({lost})"));
            return Err(Failure::Failed(format!(
                "the log's servers {why}, so it isn't known what became of the last changes, which nobody was acknowledged; stopped \
                 without them. Look at the servers and at their newest data, and start again"
            )));
        }
    };
    closed.map_err(|error| match journal.failure() {
        Some(failure) if journal.is_deposed() => Failure::TakenOver(failure.to_string()),
        Some(failure) if !journal.is_local() => Failure::Failed(failure.to_string()),
        Some(_) | None => Failure::Failed(format!(
            "the journal had failed: {error}. What was acknowledged is kept: look for the disk's error in the log, mend it, and start again"
        )),
    })
}

/// Opens the engine, and logs now and then that recovery goes on. Returns `None` if it is stopped meanwhile.
async fn open(
    config: &Config,
    clock: Arc<dyn Clock>,
    gateways: Gateways,
    node: Option<&Membership>,
    shutdown: &CancellationToken,
) -> Option<Result<Engine, EngineOpenError>> {
    let watch = Stopwatch::start();
    let data_dir = config.server.data_dir.display();
    tracing::info!(%data_dir, "recovering what is durable");
    service_manager::tell_status("recovering what is durable");
    let progress = async {
        loop {
            tokio::time::sleep(PROGRESS).await;
            let seconds = watch.elapsed().as_secs_f64();
            tracing::info!(seconds, "still recovering; /readyz is 503 until it is done");
            service_manager::tell_status(&format!(
                "recovering for {seconds:.0} s; /readyz is 503 until it is done"
            ));
        }
    };
    let engine = EngineConfig { gateways, node: node.cloned(), ..offline::engine_config(config, clock) };
    tokio::select! {
        opened = Engine::open(engine) => Some(opened),
        () = progress => None,
        () = shutdown.cancelled() => None,
    }
}

/// Stops the process once another one has taken the log over: what it would show is no longer so.
fn stop_when_deposed(engine: &Engine, shutdown: CancellationToken) {
    let journal = engine.journal().clone();
    if journal.is_local() {
        return;
    }
    tokio::spawn(async move {
        tokio::select! {
            () = journal.deposed() => {
                tracing::error!("another process has taken the log over: this one stops");
                shutdown.cancel();
            }
            () = shutdown.cancelled() => {}
        }
    });
}

async fn drain(mut servers: JoinSet<server::DrainReport>, fans: Option<JoinHandle<()>>) {
    while let Some(ended) = servers.join_next().await {
        match ended {
            Ok(report) => {
                let server::DrainReport { open, dropped, took } = report;
                tracing::info!(open, dropped, seconds = took.as_secs_f64(), "the connections are drained");
            }
            Err(error) => tracing::error!(%error, "a server ended early"),
        }
    }
    if let Some(fans) = fans
        && let Err(error) = fans.await
    {
        tracing::error!(%error, "the crowd ended early");
    }
}

/// Shows the metrics: those of the process, and the engine's once there is one.
fn metrics_route(app: Arc<OnceLock<App>>, recorder: PrometheusHandle) -> Routes<()> {
    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    let metrics = move || async move {
        let text = app.get().map_or_else(|| recorder.render(), |app| exposition(app, &recorder));
        ([(header::CONTENT_TYPE, TEXT)], text)
    };
    Routes::new().route("/metrics", get(metrics)).strict()
}

fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    server::bind(address).map_err(|error| {
        Failure::Failed(format!(
            "{address} can't be listened on: {error}. Stop the process that listens there, or choose another address \
             (--listen, --metrics-listen)"
        ))
    })
}

/// Binds an address, and returns two listeners on the one socket.
fn bind_twice(address: SocketAddr) -> Result<(TcpListener, TcpListener), Failure> {
    let socket = bind(address)?.into_std().map_err(Failure::failed)?;
    let again = socket.try_clone().map_err(Failure::failed)?;
    let listener = |socket| TcpListener::from_std(socket).map_err(Failure::failed);
    Ok((listener(socket)?, listener(again)?))
}

fn address_of(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(Failure::failed)
}

/// Cancels `shutdown` at the first signal, and ends the process at the second.
fn stop_on_signals(shutdown: CancellationToken) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
    tokio::spawn(async move {
        let (name, _) = next(&mut terminate, &mut interrupt).await;
        tracing::info!(signal = name, "stopping: requests under way are answered, then a snapshot is taken");
        service_manager::tell_stopping();
        shutdown.cancel();
        let (name, code) = next(&mut terminate, &mut interrupt).await;
        tracing::warn!(signal = name, "stopped at once by a second signal; what was acknowledged is kept");
        process::exit(code);
    });
    Ok(())
}

/// Waits for a signal; returns its name and the exit code that a shell gives a process it ended.
async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> (&'static str, i32) {
    tokio::select! {
        _ = terminate.recv() => ("SIGTERM", 128 + 15),
        _ = interrupt.recv() => ("SIGINT", 128 + 2),
    }
}

/// Warns of settings that are allowed, and seldom meant.
fn warn(config: &Config, demo: bool) {
    warn_of_open_secrets(config);
    warn_of_foreign_tokens(config);
    warn_of_trust(config, demo);
}

/// Warns when no audience is set: a provider signs the tokens of all its applications with the same keys, and only
/// the audience tells them apart.
fn warn_of_foreign_tokens(config: &Config) {
    if config.auth.jwks_file.is_some() && config.auth.jwt_audience.is_none() {
        tracing::warn!(
            "jwt_audience isn't set, so tokens that the identity provider made for other applications are accepted too: set it \
             to the `aud` of your tokens"
        );
    }
}

/// Warns of secrets that others can read: with one of them anyone can act as anyone. The engine's own secret is in
/// the data directory's `identity`.
fn warn_of_open_secrets(config: &Config) {
    let identity = config.server.data_dir.join("identity");
    for path in config.secret_files().into_iter().chain([identity]) {
        if files::is_open_to_others(&path) {
            let path = path.display();
            tracing::warn!(%path, "other users of this machine can read or write a file that holds secrets: chmod 600");
        }
    }
}

/// Raises the soft limit of open files, and warns if the hard one is too low. Each connection is a file: with too few
/// of them the system would refuse connections in the rush at an opening.
fn allow_files(config: &Config) {
    let connections = u64::try_from(config.limits.connections_max).unwrap_or(u64::MAX);
    // The journal, snapshots and logs are files too.
    let needed = connections.saturating_add(256);
    raise_soft_limit(needed);
    let Some(allowed) = Process::now().open_files_max else { return };
    if allowed < needed {
        tracing::warn!(
            allowed,
            needed,
            "the system allows fewer open files than limits.connections_max needs: raise its limit (ulimit -n, LimitNOFILE)"
        );
    }
}

/// Warns of settings that trust more than the operator may have meant.
fn warn_of_trust(config: &Config, demo: bool) {
    let secrets = own_secrets(config).join(", ");
    if demo && !secrets.is_empty() {
        tracing::warn!(
            %secrets,
            "--demo runs with secrets of your own: users may charge their balance without paying, and no limit holds, perhaps for \
             your real users and money. Start without --demo, or without these secrets"
        );
    }
    if config.server.trusted_proxies.iter().any(AddressRange::is_vast) {
        tracing::warn!(
            "trusted_proxies names more than any private network: anyone in it can write any address into X-Forwarded-For and so \
             evade the limits by address. Name only your proxies"
        );
    }
}

/// Returns the settings that hold secrets or name keys, except those that `--demo` made.
fn own_secrets(config: &Config) -> Vec<&'static str> {
    let is_own = |key: &&str| !matches!(config.source(key), Source::Default | Source::Demo);
    let mocks = config.payments.toss_secret.as_ref().is_some_and(|secret| secret.expose() == DEMO_SECRET);
    let set = [
        ("jwt_secret", config.auth.jwt_secret.is_some()),
        ("jwks_file", config.auth.jwks_file.is_some()),
        ("admin_token", config.auth.admin_token.is_some()),
        ("toss.secret", config.payments.toss_secret.is_some() && !mocks),
    ];
    set.into_iter().filter(|(_, set)| *set).map(|(key, _)| key).filter(is_own).collect()
}

/// Raises the soft limit of open files to `needed`, or to the hard limit if that is lower.
#[cfg(target_os = "linux")]
fn raise_soft_limit(needed: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(needed, |maximum| needed.min(maximum));
    if current.is_none_or(|current| current >= wanted) {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        tracing::debug!(%error, "the limit of open files can't be raised");
    }
}

#[cfg(not(target_os = "linux"))]
fn raise_soft_limit(_: u64) {}
