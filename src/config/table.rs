//! The table of settings: each row has a setting's name in the file, its unit, its default, its help and
//! its reader. The structs, the flags, the variables, `--print-config` and the errors come from it.
//!
//! A help is for operators: what the setting does, what happens at a limit, and why the default is what
//! it is where that isn't plain. `docs/OPERATIONS.md` repeats it word for word; a test compares them.
//!
//! The variable of `a.b_c` is `ONSALE_A_B_C` and its flag `--a-b-c`.

use core::net::SocketAddr;
use core::num::NonZeroU32;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use super::value::{self, AddressRange, LogFormat, NatsLogin, RateLimit, Retain, Secret, SigningKey};
use super::{ConfigError, Values};
use crate::domain::money::Currency;
use crate::domain::time::Timestamp;

/// The largest limit of tries that a setting may ask for.
const MILLION: NonZeroU32 = NonZeroU32::new(1_000_000).expect("a million isn't zero");

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The name in the settings file, with its table: `journal.retain`.
    pub key: &'static str,
    /// The unit or the form of a value, in a few words.
    pub unit: &'static str,
    /// The value if no source has one; empty if the setting is then unset.
    pub default: &'static str,
    /// What the setting does, in sentences for an operator.
    pub help: &'static str,
    /// Whether the value is a secret, which is never shown.
    pub secret: bool,
}

macro_rules! settings {
    ($(
        $(#[doc = $group_doc:literal])+
        $group:ident: $Group:ident {
            $(
                $(#[doc = $help:literal])+
                $field:ident: $Type:ty = $key:literal, $unit:literal, $default:literal, $read:expr, $secret:literal;
            )+
        }
    )+) => {
        /// Every setting, in the order in which help and `--print-config` show them.
        pub const SETTINGS: &[Setting] = &[$($(
            Setting {
                key: $key, unit: $unit, default: $default, secret: $secret,
                help: concat!($($help),+).trim_ascii_start(),
            },
        )+)+];

        $(
            $(#[doc = $group_doc])+
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub struct $Group {
                $($(#[doc = $help])+ pub $field: $Type,)+
            }
        )+

        /// Every setting of the process, checked.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Config {
            $($(#[doc = $group_doc])+ pub $group: $Group,)+
            pub(super) values: Values,
        }

        impl Config {
            /// Reads every value. Each wrong value gives one error, which says what is allowed.
            pub(super) fn read(values: Values) -> Result<Self, Vec<ConfigError>> {
                let mut errors = Vec::new();

                // A group is built by a closure, so that every value is read before one error ends it.
                $(let $group = {
                    $(let $field = values.read($key, $read, &mut errors);)+
                    move || Some($Group { $($field: $field?,)+ })
                };)+

                let config = move || Some(Self { $($group: $group()?,)+ values });
                match config() {
                    Some(config) if errors.is_empty() => Ok(config),
                    _ => Err(errors),
                }
            }
        }
    };
}

settings! {
    /// Where the process listens and keeps its data.
    server: ServerConfig {
        /// The address and port of the API. By default only this machine reaches it, so that nothing is
        /// open by accident.
        listen: SocketAddr = "listen", "address:port", "127.0.0.1:8080", value::address, false;
        /// A separate address and port for /metrics. If unset, the API serves /metrics.
        metrics_listen: Option<SocketAddr> = "metrics_listen", "address:port", "", |t| value::optional(t, value::address), false;
        /// The directory that holds the journal, the snapshots and the archive. Only one process at a time
        /// may use it.
        data_dir: PathBuf = "data_dir", "path", "./data", value::path, false;
        /// How many threads serve requests. If unset, one for each core.
        worker_threads: Option<usize> = "worker_threads", "threads", "", |t| value::optional(t, |t| value::number(t, 1, 1024)), false;
        /// How long a stop waits for running requests. After that it closes their connections.
        drain_seconds: u64 = "drain_seconds", "seconds", "20", |t| value::number(t, 0, 3600), false;
        /// The origins whose web pages may call the API (CORS). If unset, no page of another origin may.
        cors_origins: Vec<String> = "cors_origins", "origins separated by commas", "", value::origins, false;
        /// Whether the shop and the operations page are served. Turn them off if you have pages of your own.
        pages: bool = "pages", "on or off", "on", value::switch, false;
        /// The proxies whose X-Forwarded-For header is believed. If unset, the header is ignored, since
        /// anyone can send it.
        trusted_proxies: Vec<AddressRange> = "trusted_proxies", "addresses or prefixes separated by commas", "", value::ranges, false;
    }
    /// How tokens are checked.
    auth: AuthConfig {
        /// The secret that signs and checks HS256 tokens, those of the built-in sign-in too. Every process
        /// of the machine can see a flag: prefer the variable or the file.
        jwt_secret: Option<Secret> = "jwt_secret", "32 or more characters", "", |t| value::optional(t, value::long_secret), true;
        /// The previous `jwt_secret`, for the time of a replacement. Tokens signed with it are still
        /// accepted; no new token is signed with it.
        jwt_secret_before: Option<Secret> = "jwt_secret_before", "32 or more characters", "", |t| value::optional(t, value::long_secret), true;
        /// The file with an identity provider's public keys (JWKS), which check RS256, ES256 and Ed25519
        /// tokens. It is read again when it changes.
        jwks_file: Option<PathBuf> = "jwks_file", "path", "", |t| value::optional(t, value::path), false;
        /// The issuer that a token must name (`iss`). If unset, any issuer is accepted.
        jwt_issuer: Option<String> = "jwt_issuer", "text", "", |t| value::optional(t, value::text), false;
        /// The audience that a token must name (`aud`). If unset, any audience is accepted, so tokens that
        /// the provider made for other applications are accepted too.
        jwt_audience: Option<String> = "jwt_audience", "text", "", |t| value::optional(t, value::text), false;
        /// The claim that identifies the person behind a token, such as the hash of a verified telephone
        /// number. All accounts of a person are then one user: they share the limits, the place in the line
        /// and the balance. A user's token without the claim is refused, and the built-in sign-up is off.
        /// If unset, `sub` identifies the user.
        jwt_person_claim: Option<String> = "jwt_person_claim", "a claim's name", "", |t| value::optional(t, value::text), false;
        /// The administrator's token, for scripts. If unset, only tokens with the role admin administrate.
        admin_token: Option<Secret> = "admin_token", "32 or more characters", "", |t| value::optional(t, value::long_secret), true;
        /// The previous `admin_token`, for the time of a replacement. It is still accepted.
        admin_token_before: Option<Secret> = "admin_token_before", "32 or more characters", "", |t| value::optional(t, value::long_secret), true;
        /// How far the clock of a token's issuer may be ahead: a token is accepted so many seconds before
        /// its `nbf`. Its `exp` has no leeway.
        jwt_nbf_leeway_seconds: u64 = "jwt_nbf_leeway_seconds", "seconds", "10", |t| value::number(t, 0, 300), false;
        /// How long a token of the built-in sign-in is valid.
        session_seconds: u64 = "session_seconds", "seconds", "3600", |t| value::number(t, 60, 2_592_000), false;
    }
    /// How much is accepted, and how long it may take.
    limits: LimitsConfig {
        /// How many changes a user may make per second; twice as many at once. One more is 429. A person
        /// clicks less often than the default, and a script gains little.
        rate_limit: RateLimit = "rate_limit", "changes per second, or off", "20", value::rate_limit, false;
        /// How many times a network address (IPv4, or an IPv6 /64) may try to sign up or sign in per
        /// minute; a whole IPv6 /48 four times as often. One more is 429. Each try costs a password hash.
        /// Raise it where many people share one address. An account always has ten wrong passwords per
        /// minute.
        sign_ins_per_minute: NonZeroU32 = "limits.sign_ins_per_minute", "tries per minute", "20", |t| value::number(t, NonZeroU32::MIN, MILLION), false;
        /// How many holds of a schedule a user may let end unpaid (expired or given back) within an hour.
        /// The next hold is 429. With 3, a person can still change their mind, but can't block seats all
        /// evening.
        unpaid_holds_per_hour: Option<NonZeroU32> = "limits.unpaid_holds_per_hour", "holds per hour, or off", "off", value::unpaid_holds, false;
        /// How many reads a network address may make per second; ten times as many at once. One more is
        /// 429. A seat map counts as one more read for each 2,000 seats. Many people share one address: the
        /// default lets a thousand of them look once a second.
        reads_per_second: RateLimit = "limits.reads_per_second", "reads per second, or off", "1000", value::rate_limit, false;
        /// The largest body of a request. A larger one is 413.
        body_bytes_max: usize = "limits.body_bytes_max", "bytes", "64KiB", |t| value::bytes(t, 1024, 16 << 20), false;
        /// The largest body of an import or a venue. A larger one is 413.
        large_body_bytes_max: usize = "limits.large_body_bytes_max", "bytes", "16MiB", |t| value::bytes(t, 1024, 1 << 30), false;
        /// The largest request line and headers together. Larger ones are 431.
        header_bytes_max: usize = "limits.header_bytes_max", "bytes", "16KiB", |t| value::bytes(t, 2048, 1 << 20), false;
        /// How many connections may be open. One more is answered 503 and closed. Each needs a file
        /// descriptor.
        connections_max: usize = "limits.connections_max", "connections", "20000", |t| value::number(t, 1, 1_000_000), false;
        /// How long a request may take from its headers to its answer; an import or a venue may take six
        /// times as long. After that it is 408 if its body is late, else 503.
        request_timeout_seconds: u64 = "limits.request_timeout_seconds", "seconds", "10", |t| value::number(t, 1, 600), false;
        /// How long a request's headers may take to arrive, from their first byte. After that the
        /// connection is closed.
        header_read_timeout_seconds: u64 = "limits.header_read_timeout_seconds", "seconds", "30", |t| value::number(t, 1, 600), false;
        /// How long a connection may wait for its next request before it is closed. A load balancer must
        /// close its idle connections earlier: most do after 60 seconds.
        idle_timeout_seconds: u64 = "limits.idle_timeout_seconds", "seconds", "75", |t| value::number(t, 1, 3600), false;
        /// How long a client may accept nothing of an answer or an event stream before its connection is
        /// closed.
        write_timeout_seconds: u64 = "limits.write_timeout_seconds", "seconds", "30", |t| value::number(t, 1, 600), false;
        /// How many commands may wait for one schedule. One more is 503.
        mailbox_len_max: usize = "limits.mailbox_len_max", "commands", "4096", |t| value::number(t, 1, 1_000_000), false;
        /// How many idempotency keys each schedule keeps. Beyond that it forgets the oldest, and a metric
        /// counts them.
        idempotency_keys_max: usize = "limits.idempotency_keys_max", "keys", "1000000", |t| value::number(t, 1, 1_000_000_000), false;
        /// How long a reservation stays in memory after its end. Of each user in a schedule, only the
        /// newest 1,000 stay.
        ended_retention_days: u64 = "limits.ended_retention_days", "days", "7", |t| value::number(t, 1, 3650), false;
    }
    /// How the journal is kept.
    journal: JournalConfig {
        /// How far back history, time travel and the event feed reach. `snapshot` keeps only what recovery
        /// needs.
        retain: Retain = "journal.retain", "snapshot, forever, or a time such as 7d", "7d", value::retain, false;
        /// The size of a file that is deleted when the disk is too full to open the journal.
        reserve_bytes: usize = "journal.reserve_bytes", "bytes", "64MiB", |t| value::bytes(t, 0, 1 << 40), false;
        /// How many records may wait to be written. One more change is 503.
        queue_len_max: usize = "journal.queue_len_max", "records", "16384", |t| value::number(t, 1, 1_000_000), false;
    }
    /// Where the log is, if it isn't on this machine's disk.
    cluster: ClusterConfig {
        /// The NATS JetStream servers that keep the log instead of this machine's disk; --log is the same
        /// flag. Who starts with them takes the log over from whoever has it, unless `cluster.address` is set.
        /// If unset, the log is in `data_dir`. docs/CLUSTER.md says how to set it up.
        log: Vec<String> = "cluster.log", "nats:// URLs separated by commas", "", value::servers, false;
        /// The log's name, which is part of the names of its streams.
        name: String = "cluster.name", "1 to 32 letters, digits, - and _", "onsale", value::stream_name, false;
        /// How many servers keep each record. With 3, one may be lost and the sale goes on; 1 is for trying
        /// it out. A log that has fewer is refused.
        replicas: u8 = "cluster.replicas", "servers", "3", |t| value::number(t, 1, 5), false;
        /// What every process that may take the log over knows, and nobody else: the log's own secret is
        /// made of it. It can't be changed once there is a log.
        secret: Option<Secret> = "cluster.secret", "32 or more characters", "", |t| value::optional(t, value::long_secret), true;
        /// This process's name, which another one is told that it has taken the log over from, or by. If
        /// unset, the machine's.
        node: Option<String> = "cluster.node", "text", "", |t| value::optional(t, value::text), false;
        /// The URL at which the other processes of the cluster reach this one's API, such as
        /// `http://10.0.0.1:8080`. With it several processes run at once: one has the log and serves, the
        /// others hand every request to it, and one of them takes over when it ends. If unset, who starts
        /// takes the log from whoever has it.
        address: Option<String> = "cluster.address", "URL", "", |t| value::optional(t, value::url), false;
        /// How to sign in to the account that has the log.
        login: Option<NatsLogin> = "cluster.login", "user:password, or the path of a .creds file", "", |t| value::optional(t, NatsLogin::parse), true;
        /// How to sign in to the servers' system account, which tells whether they are set up so that a
        /// power cut loses nothing.
        system_login: Option<NatsLogin> = "cluster.system_login", "user:password, or the path of a .creds file", "", |t| value::optional(t, NatsLogin::parse), true;
        /// The certificates (PEM) that the servers' own are checked with, besides the system's.
        ca_file: Option<PathBuf> = "cluster.ca_file", "path", "", |t| value::optional(t, value::path), false;
    }
    /// When snapshots are taken.
    snapshots: SnapshotsConfig {
        /// A snapshot is taken after so many events.
        events_between: u64 = "snapshots.events_between", "events", "1000000", |t| value::number(t, 1, 1_000_000_000_000), false;
        /// A snapshot is taken after so many seconds, if there was an event. The next start replays at most
        /// what came since.
        seconds_between: u64 = "snapshots.seconds_between", "seconds", "600", |t| value::number(t, 1, 604_800), false;
    }
    /// What leaves memory for the archive on disk.
    archive: ArchiveConfig {
        /// How long after a show its schedule moves from memory to the archive on disk, where it can still
        /// be read but no longer changed. Movements of accounts move at the same age, except each account's
        /// newest hundred. With `off` all stay in memory.
        after: Option<u64> = "archive.after", "a time such as 30d, or off", "30d", value::archive_after, false;
    }
    /// How money comes in.
    payments: PaymentsConfig {
        /// Whether users may add to their balance without paying, as in the demonstration.
        self_charge: bool = "self_charge", "on or off", "off", value::switch, false;
        /// The smallest amount that a user may add to a balance at once.
        charge_min: u64 = "balance.charge_min", "minor units", "10000", |t| value::number(t, 1, 1_000_000_000_000), false;
        /// The largest amount that a user may add to a balance at once.
        charge_max: u64 = "balance.charge_max", "minor units", "1000000", |t| value::number(t, 1, 1_000_000_000_000), false;
        /// The currency of new accounts (ISO 4217).
        currency: Currency = "balance.currency", "three capital letters", "KRW", value::currency, false;
        /// The URL of the Toss Payments gateway. If unset, its payment methods are 422.
        toss_url: Option<String> = "toss.url", "URL", "", |t| value::optional(t, value::url), false;
        /// The gateway's secret key.
        toss_secret: Option<Secret> = "toss.secret", "text", "", |t| value::optional(t, value::secret), true;
        /// How long the gateway may take to answer. After that the engine asks it what became of the
        /// payment.
        toss_timeout_seconds: u64 = "toss.timeout_seconds", "seconds", "10", |t| value::number(t, 1, 120), false;
        /// The secret with which your own payment service signs what it reports: that it took money, or gave it back. It turns the
        /// payment method `external` on. If unset, that method is 422.
        external_secret: Option<SigningKey> = "external.secret", "whsec_ and base64", "", |t| value::optional(t, SigningKey::parse), true;
        /// The previous `external.secret`, for the time of a replacement. What is signed with it is still accepted.
        external_secret_before: Option<SigningKey> = "external.secret_before", "whsec_ and base64", "", |t| value::optional(t, SigningKey::parse), true;
    }
    /// How mails are ordered from your platform.
    mail: MailConfig {
        /// The URL of your platform to which orders to send a mail are posted. If set, an account exists
        /// once its mail is confirmed, and signing up doesn't show whether an address has an account. If
        /// unset, addresses aren't verified.
        hook_url: Option<String> = "mail.hook_url", "URL", "", |t| value::optional(t, value::url), false;
        /// The secret that signs the orders to send a mail.
        hook_secret: Option<Secret> = "mail.hook_secret", "32 or more characters", "", |t| value::optional(t, value::long_secret), true;
    }
    /// Whether a start believes the clock.
    clock: ClockConfig {
        /// How far the clock may be ahead of the last instant at which the engine is known to have run.
        /// Further ahead, a start is refused: a wrong clock would close sales and end tokens for good. A
        /// week is longer than most outages and shorter than most clock errors.
        ahead_max: Option<u64> = "clock.ahead_max", "a time such as 7d, or off", "7d", value::clock_ahead_max, false;
        /// Today's date in UTC, from a source other than this clock. It allows a start after a long outage,
        /// if the clock agrees with it to a day. On later days it has no effect.
        accept: Option<Timestamp> = "clock.accept", "a date such as 2027-01-31", "", |t| value::optional(t, value::date), false;
    }
    /// What is logged.
    log: LogConfig {
        /// The format of log lines: text for a person, or one JSON object per line.
        format: LogFormat = "log.format", "human or json", "human", value::log_format, false;
        /// Which events are logged, as in tracing: a level, or target=level, separated by commas.
        filter: String = "log.filter", "filter", "info,kameo=warn,sled=warn", value::text, false;
    }
}

impl Setting {
    /// Returns the environment variable: `ONSALE_JOURNAL_RETAIN`.
    pub fn variable(&self) -> String {
        format!("ONSALE_{}", self.key.replace('.', "_").to_ascii_uppercase())
    }

    /// Returns the flag without its dashes: `journal-retain`.
    pub fn flag(&self) -> &'static str {
        /// clap keeps names for as long as the process lives.
        static FLAGS: LazyLock<BTreeMap<&str, String>> = LazyLock::new(|| {
            SETTINGS.iter().map(|row| (row.key, row.key.replace(['.', '_'], "-"))).collect()
        });
        FLAGS.get(self.key).map_or(self.key, String::as_str)
    }

    /// Returns the shorter flag of a setting that has one.
    pub(super) fn short_flag(&self) -> Option<&'static str> {
        // `log` is a table in the file, so the setting has a longer name.
        (self.key == "cluster.log").then_some("log")
    }

    /// Finds the row of a name in the file.
    pub(super) fn find(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }
}
