//! The table of settings: each stands here once, with its place in the file, unit, default, why,
//! and how it is read. The structs, the flags, the variables, `--print-config` and the errors come
//! from it.
//!
//! The variable of `a.b_c` is `ONSALE_A_B_C` and its flag `--a-b-c`.

use super::{
    ConfigError, Values,
    value::{self, AddressRange, LogFormat, RateLimit, Retain, Secret},
};
use crate::domain::{money::Currency, time::Timestamp};
use core::{net::SocketAddr, num::NonZeroU32};
use std::{collections::BTreeMap, path::PathBuf, sync::LazyLock};

/// More than any limit of tries needs to be.
const MILLION: NonZeroU32 = NonZeroU32::new(1_000_000).expect("a million isn't zero");

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The name in the settings file, with its table: `journal.retain`.
    pub key: &'static str,
    /// What a value counts, or its form; a few words.
    pub unit: &'static str,
    /// The text that holds where no source says anything; empty for none.
    pub default: &'static str,
    /// What it does and why the default is what it is.
    pub help: &'static str,
    /// Whether the value is never shown.
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
            /// Reads every value, and says of each one that can't be what is allowed.
            pub(super) fn read(values: Values) -> Result<Self, Vec<ConfigError>> {
                let mut errors = Vec::new();
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
        /// The address and port of the API. The default is reachable from this machine only, so that nothing is open by accident.
        listen: SocketAddr = "listen", "address:port", "127.0.0.1:8080", value::address, false;
        /// An address of its own for /metrics; the API's if unset.
        metrics_listen: Option<SocketAddr> = "metrics_listen", "address:port", "", |t| value::optional(t, value::address), false;
        /// The directory of the journal and the snapshots. One process at a time owns it.
        data_dir: PathBuf = "data_dir", "path", "./data", value::path, false;
        /// The threads that serve requests; as many as the machine has cores if unset.
        worker_threads: Option<usize> = "worker_threads", "threads", "", |t| value::optional(t, |t| value::number(t, 1, 1024)), false;
        /// How long a stop waits for requests under way before it drops their connections.
        drain_seconds: u64 = "drain_seconds", "seconds", "20", |t| value::number(t, 0, 3600), false;
        /// The web pages of other origins that may call; none if unset.
        cors_origins: Vec<String> = "cors_origins", "origins between commas", "", value::origins, false;
        /// The proxies whose X-Forwarded-For counts; nobody's if unset, since anyone can send that header.
        trusted_proxies: Vec<AddressRange> = "trusted_proxies", "addresses or prefixes between commas", "", value::ranges, false;
    }
    /// How tokens are checked.
    auth: AuthConfig {
        /// The secret of HS256 tokens and of the built-in sign-in. A flag is seen by every process of the machine: prefer the variable or the file.
        jwt_secret: Option<Secret> = "jwt_secret", "32 or more characters", "", |t| value::optional(t, value::long_secret), true;
        /// The secret before it, while it is being replaced: tokens that it signed are still taken, and none is signed with it.
        jwt_secret_before: Option<Secret> = "jwt_secret_before", "32 or more characters", "", |t| value::optional(t, value::long_secret), true;
        /// The public keys (JWKS) of an identity provider for RS256, ES256 and Ed25519 tokens; read again when the file changes.
        jwks_file: Option<PathBuf> = "jwks_file", "path", "", |t| value::optional(t, value::path), false;
        /// The issuer that a token must name (`iss`); any if unset.
        jwt_issuer: Option<String> = "jwt_issuer", "text", "", |t| value::optional(t, value::text), false;
        /// The audience that a token must name (`aud`); any if unset, so that tokens which the provider made for another application are taken, too.
        jwt_audience: Option<String> = "jwt_audience", "text", "", |t| value::optional(t, value::text), false;
        /// The claim that says which person a token's user is, such as a verified telephone number's hash that the provider puts there: all accounts of one person are one user then, and share the limits, the place in the line and the balance. Users' tokens without it are refused, and nobody signs up here; `sub` if unset.
        jwt_person_claim: Option<String> = "jwt_person_claim", "a claim's name", "", |t| value::optional(t, value::text), false;
        /// The administrator's token for scripts; if unset, only tokens with the role admin administrate.
        admin_token: Option<Secret> = "admin_token", "32 or more characters", "", |t| value::optional(t, value::long_secret), true;
        /// The administrator's token before it, while it is being replaced: it is still taken.
        admin_token_before: Option<Secret> = "admin_token_before", "32 or more characters", "", |t| value::optional(t, value::long_secret), true;
        /// How far the clock of who issues tokens may be ahead: a token's `nbf` may be later by so much. Its `exp` has no leeway.
        jwt_nbf_leeway_seconds: u64 = "jwt_nbf_leeway_seconds", "seconds", "10", |t| value::number(t, 0, 300), false;
        /// How long a token of the built-in sign-in is valid.
        session_seconds: u64 = "session_seconds", "seconds", "3600", |t| value::number(t, 60, 2_592_000), false;
    }
    /// How much is taken in at once.
    limits: LimitsConfig {
        /// The changes that a user may make a second, or off; twice as many in a burst. A person clicks less often; a script should not win.
        rate_limit: RateLimit = "rate_limit", "changes a second, or off", "20", value::rate_limit, false;
        /// The tries of signing up or in that one address of the network has a minute, and at once (IPv4, or an IPv6 /64; a whole /48 has four times as many). Each costs a password's hash; many people behind one address may need more. An account has ten wrong passwords a minute whatever this says.
        sign_ins_per_minute: NonZeroU32 = "limits.sign_ins_per_minute", "tries a minute", "20", |t| value::number(t, NonZeroU32::MIN, MILLION), false;
        /// How many holds of one schedule a user may let end unpaid (expired, or given back) within an hour before the next is 429; or off. Three leave a person room to change their mind, and keep nobody's seats for an evening.
        unpaid_holds_per_hour: Option<NonZeroU32> = "limits.unpaid_holds_per_hour", "holds an hour, or off", "off", value::unpaid_holds, false;
        /// The reads that one address of the network may make a second, or off; ten times as many at once. A seat map counts once more for each 2,000 seats. Many people stand behind one address: a thousand who look once a second are fine.
        reads_per_second: RateLimit = "limits.reads_per_second", "reads a second, or off", "1000", value::rate_limit, false;
        /// The largest body of a request.
        body_bytes_max: usize = "limits.body_bytes_max", "bytes", "64KiB", |t| value::bytes(t, 1024, 16 << 20), false;
        /// The largest body of an import or a venue.
        large_body_bytes_max: usize = "limits.large_body_bytes_max", "bytes", "16MiB", |t| value::bytes(t, 1024, 1 << 30), false;
        /// The largest request line and headers together.
        header_bytes_max: usize = "limits.header_bytes_max", "bytes", "16KiB", |t| value::bytes(t, 2048, 1 << 20), false;
        /// The open connections; one more is answered 503. Each needs a file descriptor.
        connections_max: usize = "limits.connections_max", "connections", "20000", |t| value::number(t, 1, 1_000_000), false;
        /// How long a request may take, its body included; imports and venues six times as long.
        request_timeout_seconds: u64 = "limits.request_timeout_seconds", "seconds", "10", |t| value::number(t, 1, 600), false;
        /// How long a connection may take to send a request's headers, from their first byte on.
        header_read_timeout_seconds: u64 = "limits.header_read_timeout_seconds", "seconds", "30", |t| value::number(t, 1, 600), false;
        /// How long a connection may wait for its next request. A load balancer should give up its connections before: most keep them for 60 seconds.
        idle_timeout_seconds: u64 = "limits.idle_timeout_seconds", "seconds", "75", |t| value::number(t, 1, 3600), false;
        /// How long a client may take nothing of its answer before the connection ends, streams of events included.
        write_timeout_seconds: u64 = "limits.write_timeout_seconds", "seconds", "30", |t| value::number(t, 1, 600), false;
        /// The commands that wait for one schedule before the next is 503.
        mailbox_len_max: usize = "limits.mailbox_len_max", "commands", "4096", |t| value::number(t, 1, 1_000_000), false;
        /// The idempotency keys that each schedule keeps; beyond it the oldest go, counted in a metric.
        idempotency_keys_max: usize = "limits.idempotency_keys_max", "keys", "1000000", |t| value::number(t, 1, 1_000_000_000), false;
        /// How long a reservation stays in memory after its end; of one user's in a schedule, the newest 1,000.
        ended_retention_days: u64 = "limits.ended_retention_days", "days", "7", |t| value::number(t, 1, 3650), false;
    }
    /// How the journal is kept.
    journal: JournalConfig {
        /// How far back history, time travel and the event feed reach: snapshot (what recovery needs), a time, or forever.
        retain: Retain = "journal.retain", "snapshot, forever, or a time such as 7d", "7d", value::retain, false;
        /// The file that is given up first when the disk is full, so that the journal can still be opened.
        reserve_bytes: usize = "journal.reserve_bytes", "bytes", "64MiB", |t| value::bytes(t, 0, 1 << 40), false;
        /// The records that wait for the journal before a change is 503.
        queue_len_max: usize = "journal.queue_len_max", "records", "16384", |t| value::number(t, 1, 1_000_000), false;
    }
    /// When snapshots are taken.
    snapshots: SnapshotsConfig {
        /// After how many events.
        events_between: u64 = "snapshots.events_between", "events", "1000000", |t| value::number(t, 1, 1_000_000_000_000), false;
        /// After what time, if there was any event.
        seconds_between: u64 = "snapshots.seconds_between", "seconds", "600", |t| value::number(t, 1, 604_800), false;
    }
    /// What leaves memory for the archive on disk.
    archive: ArchiveConfig {
        /// How long after its end a show's schedule moves to the archive, and from what age on the movements of an account do, but its newest hundred; or off. Until then they are looked up and changed in memory; later they are read from the disk, and stand.
        after: Option<u64> = "archive.after", "a time such as 30d, or off", "30d", value::archive_after, false;
    }
    /// How money comes in.
    payments: PaymentsConfig {
        /// Whether users charge their own balance without a gateway, as a demonstration does.
        self_charge: bool = "self_charge", "on or off", "off", value::switch, false;
        /// The least that is put in at once, in minor units.
        charge_min: u64 = "balance.charge_min", "minor units", "10000", |t| value::number(t, 1, 1_000_000_000_000), false;
        /// The most that is put in at once, in minor units.
        charge_max: u64 = "balance.charge_max", "minor units", "1000000", |t| value::number(t, 1, 1_000_000_000_000), false;
        /// The currency of a new account, as ISO 4217 has it.
        currency: Currency = "balance.currency", "three capital letters", "KRW", value::currency, false;
        /// Where the Toss Payments gateway is; its methods are 422 if unset.
        toss_url: Option<String> = "toss.url", "URL", "", |t| value::optional(t, value::url), false;
        /// The gateway's secret key.
        toss_secret: Option<Secret> = "toss.secret", "text", "", |t| value::optional(t, value::secret), true;
        /// How long the gateway may take to answer before it is asked again what became of the payment.
        toss_timeout_seconds: u64 = "toss.timeout_seconds", "seconds", "10", |t| value::number(t, 1, 120), false;
    }
    /// How mails are sent.
    mail: MailConfig {
        /// Where your platform takes the order to send a mail. With it, signing up is answered alike whether or not the address has an account, and the account is there once its mail was answered; without it, nobody proves that an address is theirs.
        hook_url: Option<String> = "mail.hook_url", "URL", "", |t| value::optional(t, value::url), false;
        /// What these orders are signed with.
        hook_secret: Option<Secret> = "mail.hook_secret", "32 or more characters", "", |t| value::optional(t, value::long_secret), true;
    }
    /// Whether the clock is believed at a start.
    clock: ClockConfig {
        /// How far the clock may be ahead of the last instant at which the engine is known to have run; or off. Beyond it a start is refused, since a wrong clock would close sales and end tokens for good. A week is longer than a weekend or a move of the machine takes, and shorter than most wrong dates are.
        ahead_max: Option<u64> = "clock.ahead_max", "a time such as 7d, or off", "7d", value::clock_ahead_max, false;
        /// Today's date in UTC, as you know it from another source: with it a start after a longer outage is allowed, where the clock agrees to a day. What is left of it in the settings allows nothing later.
        accept: Option<Timestamp> = "clock.accept", "a date such as 2027-01-31", "", |t| value::optional(t, value::date), false;
    }
    /// What is logged.
    log: LogConfig {
        /// One line for a person, or one JSON object a line.
        format: LogFormat = "log.format", "human or json", "human", value::log_format, false;
        /// Which events are logged, in tracing's words: level, or target=level, between commas.
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

    /// Finds the row of a name in the file.
    pub(super) fn find(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }
}
