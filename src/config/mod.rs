//! Settings: defaults < settings file (TOML) < environment (`ONSALE_*`) < flags.
//!
//! Owns the table of settings (`table.rs`), how they are read, what is said about a wrong one, and
//! the secrets of the demonstration. Absent on purpose: what the settings do. The environment is
//! given, not read, so that tests need none.
//!
//! Invariants: a [`Config`] that exists is right in every value; all errors are reported at once;
//! nothing that isn't known is ignored; no secret has a default, and none is ever shown.

mod demo;
mod table;
#[cfg(test)]
mod tests;
mod value;

use core::{fmt, num::NonZeroU32};
use std::{collections::BTreeMap, fmt::Write, path::PathBuf};

pub use self::{
    demo::{DemoError, DemoSecrets, demo_secrets, standing_demo_secrets},
    table::{
        ArchiveConfig, AuthConfig, ClockConfig, Config, JournalConfig, LimitsConfig, LogConfig, MailConfig,
        PaymentsConfig, SETTINGS, ServerConfig, Setting, SnapshotsConfig,
    },
    value::{AddressRange, LogFormat, RateLimit, Retain, Secret},
};

/// The variable that names the settings file, as `--config` does.
const FILE_VARIABLE: &str = "ONSALE_CONFIG";

/// The tries of signing up or in that an address has a minute in the demonstration.
const DEMO_SIGN_INS: NonZeroU32 = NonZeroU32::new(1_000).expect("a thousand isn't zero");

/// Variables that begin like settings but are other parts' own: of the command line's clients and
/// of the tests.
const OTHER_VARIABLES: &[&str] = &[FILE_VARIABLE, "ONSALE_URL", "ONSALE_TOKEN"];

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The table.
    Default,
    /// The settings file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A flag.
    Flag(String),
    /// `--demo`.
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

/// One thing that is wrong with the settings, on one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value that can't be.
    #[error("{key} ({origin}): {allowed}")]
    Value {
        /// Which setting.
        key: &'static str,
        /// Where the value came from.
        origin: Source,
        /// What is allowed.
        allowed: String,
    },
    /// A name that isn't in the table.
    #[error("{name} ({origin}): there is no such setting{}", suggestion(.nearest.as_deref()))]
    Unknown {
        /// The name as it stands there.
        name: String,
        /// Where it stands.
        origin: Source,
        /// The setting that was probably meant.
        nearest: Option<String>,
    },
    /// A settings file that can't be read.
    #[error("the settings file {path}: {reason}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Neither a secret nor public keys: nobody's token could be checked.
    #[error(
        "no way to check tokens is set: set ONSALE_JWT_SECRET to 32 or more characters (make one with `openssl rand -base64 48`), or ONSALE_JWKS_FILE to the file of your identity provider's public keys, or start with --demo to try it out"
    )]
    NoTokens,
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default()
}

/// Everything that is wrong with the settings, one line each.
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

/// The text of every setting with its source, before and after it is read.
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
    /// Returns the flags of every setting and `--config`, for the subcommands that take them.
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
        let file = matches
            .try_get_one::<PathBuf>("config")
            .ok()
            .flatten()
            .cloned()
            .or_else(|| environment.get(FILE_VARIABLE).filter(|p| !p.is_empty()).map(Into::into));

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

    /// Returns the defaults, for tests and for the library's own use.
    pub fn defaults() -> Self {
        Self::read(Values::defaults()).expect("every default is allowed")
    }

    /// Refuses settings with which nobody's token could be checked.
    ///
    /// # Errors
    /// [`ConfigError::NoTokens`], which says what to set and how to make one.
    pub fn require_tokens(&self) -> Result<(), ConfigErrors> {
        if self.auth.jwt_secret.is_none() && self.auth.jwks_file.is_none() {
            return Err(ConfigErrors(vec![ConfigError::NoTokens]));
        }
        Ok(())
    }

    /// Fills in what `--demo` makes, where nothing else was said: the secrets, and `self_charge`.
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

        // Who tries it out with a script isn't to be slowed down.
        if *self.source("rate_limit") == Source::Default {
            self.values.0.insert("rate_limit", ("off".to_owned(), Source::Demo));
            self.limits.rate_limit = RateLimit::Off;
        }

        if *self.source("limits.reads_per_second") == Source::Default {
            self.values.0.insert("limits.reads_per_second", ("off".to_owned(), Source::Demo));
            self.limits.reads_per_second = RateLimit::Off;
        }

        // Whoever tries it out again after a month sells nothing in earnest.
        if *self.source("clock.ahead_max") == Source::Default {
            self.values.0.insert("clock.ahead_max", ("off".to_owned(), Source::Demo));
            self.clock.ahead_max = None;
        }

        if *self.source("limits.sign_ins_per_minute") == Source::Default {
            self.values.0.insert("limits.sign_ins_per_minute", ("1000".to_owned(), Source::Demo));
            self.limits.sign_ins_per_minute = DEMO_SIGN_INS;
        }
    }

    /// Returns the settings that have another value than in `before`.
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

    /// Returns the files that hold secrets of these settings: the settings file, where one stands in it, and what `--demo` keeps.
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

    /// Returns what `--print-config` prints: every setting with its value, source, unit and why,
    /// as a settings file that could be used as it is, but for the secrets.
    pub fn print(&self) -> String {
        let mut out = String::new();
        let mut table = "";
        // In TOML, what belongs to no table stands before the first.
        let (inside, outside): (Vec<&Setting>, Vec<&Setting>) =
            SETTINGS.iter().partition(|setting| setting.key.contains('.'));

        for setting in outside.into_iter().chain(inside) {
            let (group, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
            if group != table {
                table = group;
                let _ = writeln!(out, "[{group}]\n");
            }
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
        } else if !OTHER_VARIABLES.contains(&name.as_str()) && !is_a_services(&name, &text) {
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

/// Tells whether a variable is one of those that Kubernetes and Docker's links set for a service whose name begins with `onsale`:
/// `ONSALE_SERVICE_HOST`, `ONSALE_SERVICE_PORT`, `ONSALE_SERVICE_PORT_HTTP`, `ONSALE_PORT=tcp://10.0.0.1:80`, `ONSALE_PORT_80_TCP` and
/// `ONSALE_PORT_80_TCP_ADDR`, `_PORT`, `_PROTO`. The value must be of that shape, too, so that a mistyped setting is told.
fn is_a_services(name: &str, text: &str) -> bool {
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
        // The whole message shows the line, which may hold a secret.
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

/// Finds the known name that is at most three edits (Levenshtein) away, the nearest first.
fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    known
        .map(|known| (edits(name, &known), known))
        .filter(|(edits, _)| *edits <= 3)
        .min()
        .map(|(_, known)| known)
}

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
