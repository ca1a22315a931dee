//! `onsale mock-gateway`: a payment gateway to try the engine with, as a process of its own.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::sync::Arc;

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

/// A day. A longer time is a mistake.
const SESSION_SECONDS_MAX: u64 = 86_400;

pub(super) fn command() -> Command {
    let listen = Arg::new("listen")
        .long("listen")
        .value_name("ADDRESS:PORT")
        .default_value("127.0.0.1:9090")
        .value_parser(value_parser!(SocketAddr))
        .help(
            "The address to listen on. Anyone who reaches it can set faults and read every payment: keep it on this machine",
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
        .help("The secret key that the engine must use [default: a fixed one, which is printed]");
    let webhook_url = Arg::new("webhook-url")
        .long("webhook-url")
        .value_name("URL")
        .help("The URL to which it posts a notice of each changed payment [default: none]");
    let fault = Arg::new("fault")
        .long("fault")
        .value_name("FAULT")
        .action(ArgAction::Append)
        .value_parser(value_parser!(Fault))
        .help("A fault of every payment: [CALL/]NAME[:VALUE][@PERCENT]. May be repeated");
    let seed =
        Arg::new("seed").long("seed").value_name("NUMBER").value_parser(value_parser!(u64)).help(
            "The seed of payment keys and of faults with a percentage [default: a new one at each start]",
        );
    let session = Arg::new("session-seconds")
        .long("session-seconds")
        .value_name("SECONDS")
        .value_parser(value_parser!(u64).range(1..=SESSION_SECONDS_MAX))
        .help("How long a payment can be confirmed after its customer has agreed [default: 600]");

    Command::new("mock-gateway")
        .about("Run a payment gateway to try the engine with: it speaks Toss Payments' protocol and moves no money")
        .args([listen, secret, webhook_url, fault, seed, session])
        .after_help(
            "EXAMPLES\n  onsale mock-gateway \\\n    --webhook-url http://127.0.0.1:8080/api/v1/webhooks/payments/toss\n  \
             onsale mock-gateway --fault decline@10 --fault drop-after@5 --seed 7\n\n\
             FAULTS (CALL is confirm, cancel or find; the default is confirm)\n  \
             delay-before:MS    wait before the money moves\n  \
             delay-after:MS     wait after it\n  \
             decline[:CODE]     refuse for good\n  \
             error:CODE         answer this error, and do nothing else\n  \
             fail-before        answer 500 before the money moves\n  \
             fail-after         answer 500 after it\n  \
             drop-before        close the connection before the money moves\n  \
             drop-after         close it after it\n  \
             cut                move the money, and break off the answer\n  \
             duplicate          handle the request twice\n  \
             webhook-copies:N   send the notice N times\n  \
             webhook-delay:MS   send it later\n  \
             webhook-stale      send a notice of the state before, too\n  \
             webhook-stray      send a notice of an unknown order, too\n  \
             webhook-lost       send no notice\n\n\
             ROUTES (beside Toss Payments' own)\n  \
             GET /checkout?orderId=…&amount=…  the page where a customer agrees\n  \
             POST /checkout                    the same for programs: {\"orderId\", \"amount\"};\n  \
             \u{20}                                 answers the paymentKey\n  \
             GET /mock/ledger                  the money that was captured and given back\n  \
             POST /mock/faults                 sets a fault: {\"fault\", \"orderId\", \"times\"}\n  \
             DELETE /mock/faults               clears all faults\n\n\
             PRINTS\n  its URLs, how to start the engine with it, and its secret if that is the fixed one. \
             Logs go to standard error\n\n\
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
    // Only the fixed secret is printed: it is no secret.
    let shown = (config.secret == DEMO_SECRET).then_some(DEMO_SECRET);
    let gateway = MockGateway::new(config, Arc::new(SystemClock::new()))
        .map_err(|error| Failure::Usage(format!("--webhook-url: {error}")))?;
    let listener = server::bind(address).map_err(|error| {
        Failure::Failed(format!(
            "{address} can't be listened on: {error}. Choose another address with --listen"
        ))
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
    let secret = secret.unwrap_or("<its secret>");
    format!(
        "The mock gateway is ready. It moves no money\n  API       {url}/v1/payments\n  \
         checkout  {url}/checkout?orderId=order-1&amount=50000\n  ledger    {url}/mock/ledger\n  \
         faults    {url}/mock/faults\n\nStart the engine with it:\n  \
         ONSALE_TOSS_URL={url} ONSALE_TOSS_SECRET={secret} onsale serve --demo\n\nStop it with Ctrl-C; it forgets everything.\n"
    )
}

/// Cancels `shutdown` at the first signal. Later signals do nothing, since the stop takes seconds at most.
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
