//! Settings: defaults < settings file (TOML) < environment (`ONSALE_*`) < flags.
//!
//! Owns the table of settings (`table.rs`), the readers of their values (`value.rs`), the errors about
//! wrong ones, and the secrets of the demonstration (`demo.rs`). Absent on purpose: the effect of a
//! setting. The caller gives the environment, so that tests need none.
//!
//! Invariants: every value of a [`Config`] is valid; all errors are reported at once; an unknown name is
//! an error; no secret has a default, and none is ever shown.

mod demo;
mod table;
#[cfg(test)]
mod tests;
mod value;

use core::fmt::{self, Write};
use core::num::NonZeroU32;
use std::collections::BTreeMap;
use std::path::PathBuf;

pub use self::demo::{DemoError, DemoSecrets, demo_secrets, existing_demo_secrets};
pub use self::table::{
    ArchiveConfig, AuthConfig, ClockConfig, ClusterConfig, Config, JournalConfig, LimitsConfig, LogConfig,
    MailConfig, PaymentsConfig, SETTINGS, ServerConfig, Setting, SnapshotsConfig,
};
pub use self::value::{AddressRange, LogFormat, NatsLogin, RateLimit, Retain, Secret, SigningKey};

/// The variable that names the settings file, as `--config` does.
const FILE_VARIABLE: &str = "ONSALE_CONFIG";

/// How often an address may try to sign up or in per minute in the demonstration: more than a script does.
const DEMO_SIGN_INS: NonZeroU32 = NonZeroU32::new(1_000).expect("a thousand isn't zero");

/// Variables that begin like settings but aren't: the command line's clients read them.
const OTHER_VARIABLES: &[&str] = &[FILE_VARIABLE, "ONSALE_URL", "ONSALE_TOKEN"];

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// No source has it: the table's default.
    Default,
    /// The settings file of this path.
    File(PathBuf),
    /// The environment variable of this name.
    Environment(String),
    /// The flag of this name, without its dashes.
    Flag(String),
    /// `--demo`, which fills in what isn't set.
    Demo,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag --{name}"),
            Self::Demo => f.write_str("--demo"),
        }
    }
}

/// One error of the settings, on one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "a field's name says what it is")]
pub enum ConfigError {
    /// A value that the setting doesn't allow. The message says what it allows, and never the value,
    /// which may be a secret.
    #[error("{key} ({origin}): {allowed}")]
    Value { key: &'static str, origin: Source, allowed: String },
    /// A name that isn't in the table, and the setting that was probably meant.
    #[error("{name} ({origin}): there is no such setting{}", suggestion(.nearest.as_deref()))]
    Unknown { name: String, origin: Source, nearest: Option<String> },
    /// A settings file that can't be read, or isn't TOML.
    #[error("the settings file {path}: {reason}")]
    File { path: PathBuf, reason: String },
    /// Neither a secret nor public keys, so that no token could be checked.
    #[error(
        "tokens can't be checked: set ONSALE_JWT_SECRET to 32 or more characters (`openssl rand -base64 48` makes \
         one), set ONSALE_JWKS_FILE to the file of your identity provider's public keys, or start with --demo to \
         try it out"
    )]
    NoTokens,
    /// A log that isn't on this machine's disk, and no secret for it.
    #[error(
        "cluster.log is set and cluster.secret isn't: set ONSALE_CLUSTER_SECRET to 32 or more characters, the same for every process \
         that may take the log over (`openssl rand -base64 48` makes one)"
    )]
    NoClusterSecret,
    /// Several processes need a log that all of them reach.
    #[error(
        "cluster.address is set and cluster.log isn't: name the servers that keep the log, or leave cluster.address out"
    )]
    NoClusterLog,
    /// What can't be had together with a log that isn't on this machine's disk.
    #[error("{key} isn't possible yet with cluster.log: leave it out, or say {instead}")]
    NotWithLog { key: &'static str, instead: &'static str },
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default()
}

/// All errors of the settings, one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{error}")?;
        }
        Ok(())
    }
}

impl core::error::Error for ConfigErrors {}

/// The text of every setting, with its source.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Values(BTreeMap<&'static str, (String, Source)>);

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Values(..)")
    }
}

impl Values {
    fn defaults() -> Self {
        Self(
            SETTINGS
                .iter()
                .map(|setting| (setting.key, (setting.default.to_owned(), Source::Default)))
                .collect(),
        )
    }

    fn set(&mut self, setting: &Setting, text: String, source: Source) {
        self.0.insert(setting.key, (text, source));
    }

    fn read<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
        errors: &mut Vec<ConfigError>,
    ) -> Option<T> {
        let (text, source) = self.0.get(key)?;
        read(text)
            .map_err(|allowed| {
                errors.push(ConfigError::Value { key, origin: source.clone(), allowed });
            })
            .ok()
    }
}

impl Config {
    /// Returns `--config` and a flag for each setting; a command takes those that concern it.
    pub fn flags() -> Vec<clap::Arg> {
        let file = clap::Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("The settings file (TOML)")
            .long_help(format!("The settings file (TOML) [variable: {FILE_VARIABLE}]"));
        let rest = SETTINGS.iter().map(|setting| {
            let default = if setting.default.is_empty() { "unset" } else { setting.default };
            clap::Arg::new(setting.key)
                .long(setting.flag())
                .visible_aliases(setting.short_flag())
                .value_name(setting.unit)
                .help_heading("Settings")
                .allow_hyphen_values(true)
                .hide_short_help(setting.key.contains('.'))
                .help(format!("{} [default: {default}] [variable: {}]", setting.help, setting.variable()))
        });
        core::iter::once(file).chain(rest).collect()
    }

    /// Reads the settings from all sources.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(
        matches: &clap::ArgMatches,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let environment: BTreeMap<String, String> =
            environment.filter(|(name, _)| name.starts_with("ONSALE_")).collect();
        let mut values = Values::defaults();
        let mut errors = Vec::new();

        // A command that doesn't take `--config` still reads the variable's file.
        let file = matches
            .try_get_one::<PathBuf>("config")
            .ok()
            .flatten()
            .cloned()
            .or_else(|| environment.get(FILE_VARIABLE).filter(|p| !p.is_empty()).map(Into::into));

        // Each source replaces what the one before it said.
        if let Some(path) = file {
            read_file(path, &mut values, &mut errors);
        }
        read_environment(environment, &mut values, &mut errors);

        for setting in SETTINGS {
            if let Ok(Some(text)) = matches.try_get_one::<String>(setting.key) {
                values.set(setting, text.clone(), Source::Flag(setting.flag().to_owned()));
            }
        }

        match Self::read(values) {
            Ok(config) if errors.is_empty() => Ok(config),
            Ok(_) => Err(ConfigErrors(errors)),
            Err(wrong) => {
                errors.extend(wrong);
                Err(ConfigErrors(errors))
            }
        }
    }

    /// Returns the settings of which no source says anything.
    pub fn defaults() -> Self {
        Self::read(Values::defaults()).expect("every default is allowed")
    }

    /// Refuses settings with which no token could be checked.
    ///
    /// # Errors
    /// [`ConfigError::NoTokens`], which says what to set.
    pub fn require_tokens(&self) -> Result<(), ConfigErrors> {
        if self.auth.jwt_secret.is_none() && self.auth.jwks_file.is_none() {
            return Err(ConfigErrors(vec![ConfigError::NoTokens]));
        }
        Ok(())
    }

    /// Refuses settings that don't go with a log that isn't on this machine's disk.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn check_log(&self) -> Result<(), ConfigErrors> {
        if self.cluster.log.is_empty() {
            return match self.cluster.address {
                Some(_) => Err(ConfigErrors(vec![ConfigError::NoClusterLog])),
                None => Ok(()),
            };
        }
        let mut errors = Vec::new();
        if self.cluster.secret.is_none() {
            errors.push(ConfigError::NoClusterSecret);
        }
        // The archive is a file on a disk, which the process that takes over hasn't.
        if self.archive.after.is_some() && *self.source("archive.after") != Source::Default {
            errors.push(ConfigError::NotWithLog { key: "archive.after", instead: "archive.after = off" });
        }
        if errors.is_empty() { Ok(()) } else { Err(ConfigErrors(errors)) }
    }

    /// Sets what a demonstration needs, except where another source has a value: the secrets, free
    /// charges of a balance, no limits for scripts, and any clock.
    pub fn apply_demo(&mut self, secrets: &DemoSecrets) {
        let mut mark = |key, text: &str| {
            self.values.0.insert(key, (text.to_owned(), Source::Demo));
        };

        if self.auth.jwt_secret.is_none() {
            mark("jwt_secret", secrets.jwt_secret.expose());
            self.auth.jwt_secret = Some(secrets.jwt_secret.clone());
        }

        if self.auth.admin_token.is_none() {
            mark("admin_token", secrets.admin_token.expose());
            self.auth.admin_token = Some(secrets.admin_token.clone());
        }

        if *self.source("self_charge") == Source::Default {
            self.values.0.insert("self_charge", ("on".to_owned(), Source::Demo));
            self.payments.self_charge = true;
        }

        // A script that tries the API out isn't slowed down.
        if *self.source("rate_limit") == Source::Default {
            self.values.0.insert("rate_limit", ("off".to_owned(), Source::Demo));
            self.limits.rate_limit = RateLimit::Off;
        }

        if *self.source("limits.reads_per_second") == Source::Default {
            self.values.0.insert("limits.reads_per_second", ("off".to_owned(), Source::Demo));
            self.limits.reads_per_second = RateLimit::Off;
        }

        // A demonstration may be started again after months, and sells nothing in earnest.
        if *self.source("clock.ahead_max") == Source::Default {
            self.values.0.insert("clock.ahead_max", ("off".to_owned(), Source::Demo));
            self.clock.ahead_max = None;
        }

        if *self.source("limits.sign_ins_per_minute") == Source::Default {
            self.values.0.insert("limits.sign_ins_per_minute", ("1000".to_owned(), Source::Demo));
            self.limits.sign_ins_per_minute = DEMO_SIGN_INS;
        }
    }

    /// Returns the names of the settings whose values differ from those of `before`.
    pub fn changed_since(&self, before: &Self) -> Vec<&'static str> {
        let same = |(key, (text, _)): &(&&str, &(String, Source))| {
            before.values.0.get(**key).is_some_and(|(before, _)| before == text)
        };
        self.values.0.iter().filter(|entry| !same(entry)).map(|(key, _)| *key).collect()
    }

    /// Returns where a setting's value came from; the default for a name that isn't in the table.
    pub fn source(&self, key: &str) -> &Source {
        self.values.0.get(key).map_or(&Source::Default, |(_, source)| source)
    }

    /// Returns the files that may hold secrets: the settings file if it has one, and that of `--demo`.
    pub fn secret_files(&self) -> Vec<PathBuf> {
        let secrets = SETTINGS.iter().filter(|setting| setting.secret);
        let mut files = Vec::new();
        for setting in secrets {
            if let Source::File(path) = self.source(setting.key)
                && !files.contains(path)
            {
                files.push(path.clone());
            }
        }
        files.push(self.server.data_dir.join(demo::FILE));
        files
    }

    /// Returns what `--print-config` prints: every setting with its value, source, unit and help, as a
    /// settings file that lacks only the secrets.
    pub fn print(&self) -> String {
        let mut out = String::new();
        let mut table = "";

        // In TOML, names outside all tables come before the first table.
        let (inside, outside): (Vec<&Setting>, Vec<&Setting>) =
            SETTINGS.iter().partition(|setting| setting.key.contains('.'));

        for setting in outside.into_iter().chain(inside) {
            let (group, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
            if group != table {
                table = group;
                let _ = writeln!(out, "[{group}]\n");
            }

            // A comment, so that the printed file is read as the same settings.
            let (text, source) = &self.values.0[setting.key];
            let shown = match (setting.secret, text.is_empty()) {
                (true, false) => "# <set>".to_owned(),
                (true, true) => "# <unset>".to_owned(),
                (false, true) => format!("# {name} = <unset>"),
                (false, false) => format!("{name} = {}", toml::Value::String(text.clone())),
            };
            let shown = if setting.secret { format!("# {name} = {}", &shown[2..]) } else { shown };

            let Setting { help, unit, .. } = setting;
            let variable = setting.variable();
            let _ = writeln!(out, "# {help}\n# {unit}; {variable}; from: {source}\n{shown}\n");
        }

        out
    }
}

fn read_environment(
    environment: BTreeMap<String, String>,
    values: &mut Values,
    errors: &mut Vec<ConfigError>,
) {
    for (name, text) in environment {
        if let Some(setting) = SETTINGS.iter().find(|setting| setting.variable() == name) {
            values.set(setting, text, Source::Environment(name));
        } else if !OTHER_VARIABLES.contains(&name.as_str()) && !is_service_variable(&name, &text) {
            let known = SETTINGS.iter().map(Setting::variable);
            let known = known.chain(OTHER_VARIABLES.iter().map(|&name| name.to_owned()));
            errors.push(ConfigError::Unknown {
                nearest: nearest(&name, known),
                origin: Source::Environment(name.clone()),
                name,
            });
        }
    }
}

/// Tells whether Kubernetes or Docker set the variable, for a service whose name begins with `onsale`:
/// `ONSALE_SERVICE_HOST`, `ONSALE_SERVICE_PORT`, `ONSALE_SERVICE_PORT_HTTP`, `ONSALE_PORT=tcp://10.0.0.1:80`,
/// `ONSALE_PORT_80_TCP` and `ONSALE_PORT_80_TCP_ADDR`, `_PORT`, `_PROTO`.
///
/// The value must have that shape too, so that a mistyped setting is still an error.
fn is_service_variable(name: &str, text: &str) -> bool {
    const PROTOCOLS: [&str; 3] = ["tcp", "udp", "sctp"];
    let is_address = || text.parse::<core::net::IpAddr>().is_ok();
    let is_port = || text.parse::<u16>().is_ok();
    let is_url = || PROTOCOLS.iter().any(|protocol| text.starts_with(&format!("{protocol}://")));

    if name.ends_with("_SERVICE_HOST") {
        return is_address();
    }
    if name.ends_with("_SERVICE_PORT") || name.contains("_SERVICE_PORT_") {
        return is_port();
    }
    if name.ends_with("_PORT") && is_url() {
        return true;
    }

    let Some((_, of_port)) = name.split_once("_PORT_") else { return false };
    let mut words = of_port.split('_');
    let numbered = words.next().is_some_and(|port| port.parse::<u16>().is_ok());
    let protocol = words.next().map(str::to_ascii_lowercase);
    if !numbered || !protocol.is_some_and(|protocol| PROTOCOLS.contains(&protocol.as_str())) {
        return false;
    }

    match (words.next(), words.next()) {
        (None, _) => is_url(),
        (Some("ADDR"), None) => is_address(),
        (Some("PORT"), None) => is_port(),
        (Some("PROTO"), None) => PROTOCOLS.contains(&text),
        (Some(_), _) => false,
    }
}

fn read_file(path: PathBuf, values: &mut Values, errors: &mut Vec<ConfigError>) {
    let wrong = |reason: String| ConfigError::File { path: path.clone(), reason };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => return errors.push(wrong(error.to_string())),
    };

    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        // toml's whole message quotes the line, which may hold a secret.
        Err(error) => {
            let error: toml::de::Error = error;
            let line = error
                .span()
                .map_or(1, |span| 1 + text.bytes().take(span.start).filter(|byte| *byte == b'\n').count());
            return errors.push(wrong(format!("line {line} isn't TOML: {}", error.message())));
        }
    };

    let source = Source::File(path);
    let mut queue: Vec<(String, toml::Value)> = table.into_iter().collect();

    while let Some((key, value)) = queue.pop() {
        if let toml::Value::Table(inner) = value {
            queue.extend(inner.into_iter().map(|(name, value)| (format!("{key}.{name}"), value)));
            continue;
        }

        let Some(setting) = Setting::find(&key) else {
            let known = SETTINGS.iter().map(|setting| setting.key.to_owned());
            let nearest = nearest(&key, known);
            errors.push(ConfigError::Unknown { name: key, origin: source.clone(), nearest });
            continue;
        };

        match file_text(&value) {
            Some(text) => values.set(setting, text, source.clone()),
            None => errors.push(ConfigError::Value {
                key: setting.key,
                origin: source.clone(),
                allowed: "must be a text, a whole number, true or false, or a list of texts".into(),
            }),
        }
    }
}

/// Turns a value of the file into the text that the other sources would give.
fn file_text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(switch) => Some(if *switch { "on" } else { "off" }.to_owned()),
        toml::Value::Array(items) => {
            let items: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            Some(items?.join(","))
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

/// Returns the nearest known name, if it is at most three edits away.
fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    known
        .map(|known| (edits(name, &known), known))
        .filter(|(edits, _)| *edits <= 3)
        .min()
        .map(|(_, known)| known)
}

/// Returns the Levenshtein distance of two names, in bytes.
fn edits(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}
