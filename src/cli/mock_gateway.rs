//! `onsale mock-gateway`: a payment gateway to try the engine with, as a process of its own.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use onsale::clock::SystemClock;
use onsale::config::{LogConfig, LogFormat};
use onsale::http::server;
use onsale::mock_gateway::{DEMO_SECRET, Fault, MockConfig, MockGateway, SESSION};
use onsale::telemetry;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::output::{Failure, print};

/// A day: an agreement that lives longer is a mistake.
const SESSION_SECONDS_MAX: u64 = 86_400;

pub(super) fn command() -> Command {
    let listen = Arg::new("listen")
        .long("listen")
        .value_name("ADDRESS:PORT")
        .default_value("127.0.0.1:9090")
        .value_parser(value_parser!(SocketAddr))
        .help(
            "Where it listens. Who reaches it can set faults and read every payment: keep it on this machine",
        );
    let secret = Arg::new("secret")
        .long("secret")
        .value_name("TEXT")
        .env("ONSALE_TOSS_SECRET")
        .hide_env_values(true)
        .value_parser(|text: &str| {
            let visible = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
            if visible { Ok(text.to_owned()) } else { Err("must be visible ASCII characters") }
        })
        .help("The secret key that the engine has to know [default: one that is printed]");
    let webhook_url = Arg::new("webhook-url")
        .long("webhook-url")
        .value_name("URL")
        .help("Where it sends a notice of each changed payment [default: nowhere]");
    let fault = Arg::new("fault")
        .long("fault")
        .value_name("FAULT")
        .action(ArgAction::Append)
        .value_parser(value_parser!(Fault))
        .help("What goes wrong with every payment: [CALL/]NAME[:VALUE][@PERCENT]; may be repeated");
    let seed =
        Arg::new("seed").long("seed").value_name("NUMBER").value_parser(value_parser!(u64)).help(
            "What payment keys and faults with a percentage follow from [default: another at each start]",
        );
    let session = Arg::new("session-seconds")
        .long("session-seconds")
        .value_name("SECONDS")
        .value_parser(value_parser!(u64).range(1..=SESSION_SECONDS_MAX))
        .help("How long a customer's agreement can be captured [default: 600]");

    Command::new("mock-gateway")
        .about("Run a payment gateway to try the engine with: it speaks Toss Payments' protocol and moves no money")
        .args([listen, secret, webhook_url, fault, seed, session])
        .after_help(
            "EXAMPLES\n  onsale mock-gateway \\\n    --webhook-url http://127.0.0.1:8080/api/v1/webhooks/payments/toss\n  \
             onsale mock-gateway --fault decline@10 --fault drop-after@5 --seed 7\n\n\
             FAULTS (CALL is confirm, cancel or find; confirm if it isn't named)\n  \
             delay-before:MS  delay-after:MS    it waits before or after the money moves\n  \
             decline[:CODE]   error:CODE        it refuses for good; it answers an error and does nothing else\n  \
             fail-before      fail-after        it answers 500, before or after the money moves\n  \
             drop-before      drop-after        it closes the connection instead of answering\n  \
             cut              duplicate         it breaks off its answer; it gets the request twice\n  \
             webhook-copies:N  webhook-delay:MS  webhook-stale  webhook-stray  webhook-lost\n\n\
             PRINTS\n  where it listens, how to start the engine with it, and its secret if that is the demonstration's; \
             logs go to standard error.\n  GET /checkout?orderId=…&amount=… is the page where a customer agrees, POST /checkout \
             {\"orderId\", \"amount\"} the same for programs: it answers the paymentKey that confirms a payment.\n  GET /mock/ledger tells what was captured and given back, POST /mock/faults \
             {\"fault\": \"drop-after\", \"orderId\": \"…\", \"times\": 1} sets a fault, DELETE clears them\n\n\
             EXIT CODES\n  0  stopped by SIGTERM or SIGINT\n  1  it can't start: the reason is on standard error\n  \
             2  wrong usage",
        )
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let filter = std::env::var("ONSALE_LOG_FILTER").unwrap_or_else(|_| "info".to_owned());
    telemetry::init_logs(&LogConfig { format: LogFormat::Human, filter }).map_err(Failure::settings)?;
    Runtime::new().map_err(Failure::failed)?.block_on(serve(matches))
}

async fn serve(matches: &ArgMatches) -> Result<(), Failure> {
    let shutdown = CancellationToken::new();
    stop_on_signals(shutdown.clone())?;
    let address = matches.get_one::<SocketAddr>("listen").copied();
    let address = address.ok_or_else(|| Failure::Usage("--listen is needed".to_owned()))?;
    let config = config(matches)?;
    let shown = (config.secret == DEMO_SECRET).then_some(DEMO_SECRET);
    let gateway = MockGateway::new(config, Arc::new(SystemClock::new()))
        .map_err(|error| Failure::Usage(format!("--webhook-url: {error}")))?;
    let listener = server::bind(address).map_err(|error| {
        Failure::Failed(format!("{address} can't be listened on: {error}. Name another with --listen"))
    })?;
    print(&greeting(listener.local_addr().map_err(Failure::failed)?, shown))?;
    gateway.serve(listener, shutdown).await;
    tracing::info!("stopped");
    Ok(())
}

fn config(matches: &ArgMatches) -> Result<MockConfig, Failure> {
    let seed = match matches.get_one::<u64>("seed") {
        Some(seed) => *seed,
        None => getrandom::u64().map_err(Failure::failed)?,
    };
    let usual = MockConfig::default();
    Ok(MockConfig {
        secret: matches.get_one::<String>("secret").cloned().unwrap_or(usual.secret.clone()),
        webhook_url: matches.get_one::<String>("webhook-url").cloned(),
        seed,
        session: matches
            .get_one::<u64>("session-seconds")
            .map_or(SESSION, |seconds| Duration::from_secs(*seconds)),
        faults: matches.get_many::<Fault>("fault").into_iter().flatten().cloned().collect(),
        ..usual
    })
}

fn greeting(address: SocketAddr, secret: Option<&str>) -> String {
    let host = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(_) => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
    };
    let url = format!("http://{}", SocketAddr::new(host, address.port()));
    let secret = secret.unwrap_or("<the secret it was given>");
    format!(
        "The mock gateway is ready: no money moves\n  API       {url}/v1/payments\n  \
         checkout  {url}/checkout?orderId=order-1&amount=50000\n  ledger    {url}/mock/ledger\n  \
         faults    {url}/mock/faults\n\nStart the engine with it:\n  \
         ONSALE_TOSS_URL={url} ONSALE_TOSS_SECRET={secret} onsale serve --demo\n\nStop it with Ctrl-C; it forgets everything.\n"
    )
}

/// Cancels `shutdown` at the first signal; later ones change nothing, since the stop takes seconds at most.
fn stop_on_signals(shutdown: CancellationToken) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        shutdown.cancel();
    });
    Ok(())
}
