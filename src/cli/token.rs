//! `onsale token`: a bearer token with the configured secret, for curl and for tests.

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use onsale::clock::{Clock, SystemClock};
use onsale::config::Config;
use onsale::domain::ids::UserId;
use onsale::http::auth::{Authenticator, Role};

use super::output::{Failure, print};
use super::{engine_at, settings};

/// The user whose token the demonstration prints.
pub(super) const DEMO_USER: &str = "demo-1";

/// Ten years. A longer life is a mistake.
const TTL_SECONDS_MAX: u64 = 10 * 365 * 86_400;

pub(super) fn command() -> Command {
    let user = Arg::new("user")
        .long("user")
        .value_name("ID")
        .required(true)
        .value_parser(|text: &str| UserId::parse(text))
        .help("The user of the token (`sub`)");
    let admin = Arg::new("admin").long("admin").action(ArgAction::SetTrue).help("The same as --role admin");
    let role = Arg::new("role")
        .long("role")
        .value_name("ROLE")
        .value_parser(Role::ALL.map(Role::as_str))
        .conflicts_with("admin")
        .help("The role of the token [default: user]");
    let ttl = Arg::new("ttl-seconds")
        .long("ttl-seconds")
        .value_name("SECONDS")
        .value_parser(value_parser!(u64).range(1..=TTL_SECONDS_MAX))
        .help("How long the token is valid [default: the setting session_seconds]");

    Command::new("token")
        .about("Issue a bearer token (HS256) with the configured secret")
        .args([user, role, admin, ttl, engine_at::demo_flag()])
        .args(settings(&["data_dir", "jwt_secret", "jwt_issuer", "jwt_audience"]))
        .after_help(
            "EXAMPLE\n  curl -H \"Authorization: Bearer $(onsale token --user alice)\" \\\n    http://127.0.0.1:8080/api/v1/reservations\n\n\
             PRINTS\n  the token on one line\n\n\
             EXIT CODES\n  0  printed\n  2  no secret is set, or wrong usage",
        )
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let config = engine_at::load_with_secrets(matches)?;
    let user =
        matches.get_one::<UserId>("user").ok_or_else(|| Failure::Usage("--user is needed".to_owned()))?;
    let named = matches.get_one::<String>("role");
    let named = named.and_then(|name| Role::ALL.into_iter().find(|role| role.as_str() == name));
    let role = if matches.get_flag("admin") { Role::Admin } else { named.unwrap_or(Role::User) };
    let ttl = matches.get_one::<u64>("ttl-seconds").copied();
    let token = issue(&config, user, role, ttl.unwrap_or(config.auth.session_seconds))?;
    print(&format!("{token}\n"))
}

/// Issues a token that an engine with these settings accepts.
pub(super) fn issue(config: &Config, user: &UserId, role: Role, ttl_seconds: u64) -> Result<String, Failure> {
    let mut auth = config.auth.clone();
    // The public keys' file isn't needed to sign, and may be on another machine.
    auth.jwks_file = None;
    let issuer = Authenticator::new(&auth).map_err(Failure::settings)?;
    let token = issuer.issue(user, role, SystemClock::new().now(), ttl_seconds);
    token.ok_or_else(|| {
        Failure::Usage(
            "there is no secret to sign with: set ONSALE_JWT_SECRET to the engine's secret, or use --demo for the \
             demonstration's. With ONSALE_JWKS_FILE, the identity provider issues the tokens"
                .to_owned(),
        )
    })
}
