//! The types of settings that aren't plain numbers, and the readers of all values.
//!
//! A reader takes the text of a setting. Its error says what is allowed, to stand after the setting's name
//! and source. It never repeats the text, which may be a secret.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU32;
use core::str::FromStr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::domain::money::Currency;
use crate::domain::time::Timestamp;

/// A text that is never shown: its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// Returns the text, for the place that signs, compares or sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(<set>)")
    }
}

/// A key that signs calls between this engine and the platform, as Standard Webhooks writes it. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Box<[u8]>);

impl SigningKey {
    /// How many bytes it has.
    const LEN: core::ops::RangeInclusive<usize> = 24..=64;

    /// Reads `whsec_` and the base64 of 24 to 64 bytes.
    ///
    /// # Errors
    /// What is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let key = text.strip_prefix("whsec_").and_then(|key| STANDARD.decode(key).ok());
        let key = key.filter(|key| Self::LEN.contains(&key.len()));
        key.map(|key| Self(key.into())).ok_or_else(|| {
            "must be whsec_ and the base64 of 24 to 64 random bytes; `echo whsec_$(openssl rand -base64 32)` makes one".into()
        })
    }

    /// Returns the bytes, for the place that signs or checks.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(<set>)")
    }
}

/// Signs in to a server of the log. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum NatsLogin {
    /// With a password.
    Password {
        /// The user.
        user: String,
        /// Its password.
        password: Secret,
    },
    /// With a file of credentials.
    Credentials(PathBuf),
}

impl NatsLogin {
    /// Reads `user:password`, or the path of a file whose name ends with `.creds`.
    ///
    /// # Errors
    /// What is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        if Path::new(text).extension().is_some_and(|extension| extension == "creds") {
            return path(text).map(Self::Credentials);
        }
        let parts = text.split_once(':').filter(|(user, password)| !user.is_empty() && !password.is_empty());
        let parts = parts.filter(|_| !text.chars().any(char::is_control));
        parts
            .map(|(user, password)| Self::Password { user: user.to_owned(), password: Secret::new(password) })
            .ok_or_else(|| "must be user:password, or the path of a file whose name ends with .creds".into())
    }
}

impl fmt::Debug for NatsLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NatsLogin(<set>)")
    }
}

/// How far back the journal is kept beyond what the snapshots need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retain {
    /// Only what the two newest snapshots need.
    Snapshot,
    /// What isn't older than so many seconds.
    Seconds(u64),
    /// Everything.
    Forever,
}

/// How often something may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateLimit {
    /// Any number of times.
    Off,
    /// So many times per second; the limiter decides how many at once.
    PerSecond(NonZeroU32),
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for a person.
    Human,
    /// One JSON object per line.
    Json,
}

/// A range of addresses: one address, or a prefix such as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    base: IpAddr,
    prefix_len: u32,
}

impl AddressRange {
    /// Tells whether the address is in the range. An IPv4 address mapped to IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let differ = base.to_bits() ^ address.to_bits();
                differ.leading_zeros() >= self.prefix_len
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let differ = base.to_bits() ^ address.to_bits();
                differ.leading_zeros() >= self.prefix_len
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// Tells whether it is wider than any private network: `10.0.0.0/8` and `fc00::/7` are the widest.
    pub fn is_vast(&self) -> bool {
        self.prefix_len < if self.base.is_ipv4() { 8 } else { 7 }
    }

    /// Reads ranges separated by commas, as in the setting `trusted_proxies`.
    ///
    /// # Errors
    /// What is allowed, if an item is neither an address nor a prefix.
    pub fn list_of(text: &str) -> Result<Vec<Self>, String> {
        ranges(text)
    }

    fn parse(text: &str) -> Option<Self> {
        let (base, prefix_len) = match text.split_once('/') {
            Some((base, prefix_len)) => (base, Some(prefix_len.parse().ok()?)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().ok()?;
        let widest = if base.is_ipv4() { 32 } else { 128 };
        let prefix_len = prefix_len.unwrap_or(widest);
        (prefix_len <= widest).then_some(Self { base: base.to_canonical(), prefix_len })
    }
}

pub(super) type Read<T> = Result<T, String>;

/// Reads a setting that may be unset: an empty text is `None`.
pub(super) fn optional<T>(text: &str, read: impl FnOnce(&str) -> Read<T>) -> Read<Option<T>> {
    if text.is_empty() { Ok(None) } else { read(text).map(Some) }
}

/// Reads a whole number within bounds; `_` may group digits.
pub(super) fn number<N>(text: &str, least: N, most: N) -> Read<N>
where
    N: FromStr + PartialOrd + fmt::Display + Copy,
{
    text.replace('_', "")
        .parse()
        .ok()
        .filter(|number| (&least..=&most).contains(&number))
        .ok_or_else(|| format!("must be a whole number from {least} to {most}"))
}

/// Reads a count of bytes: a whole number, or one with `KiB`, `MiB` or `GiB`.
pub(super) fn bytes(text: &str, least: usize, most: usize) -> Read<usize> {
    let (digits, factor) = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)]
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?.trim_end(), *factor)))
        .unwrap_or((text, 1));
    digits
        .replace('_', "")
        .parse()
        .ok()
        .and_then(|number: usize| number.checked_mul(factor))
        .filter(|bytes| (least..=most).contains(bytes))
        .ok_or_else(|| format!("must be {least} to {most} bytes, as a whole number or with KiB, MiB or GiB"))
}

pub(super) fn address(text: &str) -> Read<SocketAddr> {
    text.parse().map_err(|_| {
        "must be an address and a port, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080".into()
    })
}

pub(super) fn path(text: &str) -> Read<PathBuf> {
    if text.is_empty() || text.contains('\0') {
        return Err("must be a path".into());
    }
    Ok(text.into())
}

pub(super) fn text(text: &str) -> Read<String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("must be a text without control characters".into());
    }
    Ok(text.into())
}

/// The shortest key of HS256 (RFC 7518, section 3.2), and the shortest administrator's token.
pub(super) const SECRET_LEN_MIN: usize = 32;

pub(super) fn long_secret(text: &str) -> Read<Secret> {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.len() < SECRET_LEN_MIN || !visible {
        return Err(format!(
            "must have {SECRET_LEN_MIN} or more visible ASCII characters; `openssl rand -base64 48` makes one"
        ));
    }
    Ok(Secret::new(text))
}

pub(super) fn secret(text: &str) -> Read<Secret> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("must be visible ASCII characters".into());
    }
    Ok(Secret::new(text))
}

pub(super) fn switch(text: &str) -> Read<bool> {
    match text {
        "on" | "true" => Ok(true),
        "off" | "false" => Ok(false),
        _ => Err("must be on or off".into()),
    }
}

pub(super) fn currency(text: &str) -> Read<Currency> {
    Currency::parse(text).map_err(|_| "must be three capital letters such as KRW".to_owned())
}

pub(super) fn rate_limit(text: &str) -> Read<RateLimit> {
    if text == "off" {
        return Ok(RateLimit::Off);
    }
    number(text, 1, 1_000_000)
        .ok()
        .and_then(NonZeroU32::new)
        .map(RateLimit::PerSecond)
        .ok_or_else(|| "must be a whole number from 1 to 1000000, or off".into())
}

pub(super) fn unpaid_holds(text: &str) -> Read<Option<NonZeroU32>> {
    if text == "off" {
        return Ok(None);
    }
    number(text, NonZeroU32::MIN, UNPAID_HOLDS_MAX).map(Some).map_err(|allowed| format!("{allowed}, or off"))
}

/// Well below the thousand ended reservations of a user that a schedule remembers: the count is exact.
const UNPAID_HOLDS_MAX: NonZeroU32 = NonZeroU32::new(100).expect("a hundred isn't zero");

pub(super) fn log_format(text: &str) -> Read<LogFormat> {
    match text {
        "human" => Ok(LogFormat::Human),
        "json" => Ok(LogFormat::Json),
        _ => Err("must be human or json".into()),
    }
}

/// Reads a time with its unit, such as `90m` or `7d`; returns `None` below `least` and above a century.
fn seconds(text: &str, least: u64) -> Option<u64> {
    let unit = match text.bytes().last()? {
        b's' => 1,
        b'm' => 60,
        b'h' => 3_600,
        b'd' => 86_400,
        b'w' => 604_800,
        _ => return None,
    };
    let count: u64 = text[..text.len() - 1].parse().ok()?;
    count.checked_mul(unit).filter(|seconds| (least..=SECONDS_MAX).contains(seconds))
}

pub(super) fn retain(text: &str) -> Read<Retain> {
    match text {
        "snapshot" => Ok(Retain::Snapshot),
        "forever" => Ok(Retain::Forever),
        _ => seconds(text, 1).map(Retain::Seconds).ok_or_else(|| {
            "must be snapshot, forever, or a time such as 90m, 36h, 7d or 4w (up to 100 years)".into()
        }),
    }
}

pub(super) fn archive_after(text: &str) -> Read<Option<u64>> {
    const DAY: u64 = 86_400;
    match text {
        "off" => Ok(None),
        _ => seconds(text, DAY)
            .map(Some)
            .ok_or_else(|| "must be off, or a time such as 36h, 30d or 8w (from a day to 100 years)".into()),
    }
}

pub(super) fn clock_ahead_max(text: &str) -> Read<Option<u64>> {
    const HOUR: u64 = 3_600;
    match text {
        "off" => Ok(None),
        _ => seconds(text, HOUR)
            .map(Some)
            .ok_or_else(|| "must be off, or a time such as 36h, 7d or 4w (from an hour to 100 years)".into()),
    }
}

/// Reads a date; returns the instant at which it begins in UTC.
pub(super) fn date(text: &str) -> Read<Timestamp> {
    let begins = |text: &str| Timestamp::parse(&format!("{text}T00:00:00.000Z"));
    begins(text).map_err(|_| "must be a date such as 2027-01-31".into())
}

/// A hundred years. A longer time is a mistake: `forever` and `off` are words of their own.
const SECONDS_MAX: u64 = 100 * 365 * 86_400;

/// Reads a list separated by commas; an empty text is an empty list.
fn list<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(read).collect()
}

pub(super) fn ranges(text: &str) -> Read<Vec<AddressRange>> {
    list(text, AddressRange::parse)
        .ok_or_else(|| "must be addresses or prefixes separated by commas, such as 10.0.0.0/8, ::1".into())
}

pub(super) fn origins(text: &str) -> Read<Vec<String>> {
    let origin = |item: &str| {
        let rest = item.strip_prefix("https://").or_else(|| item.strip_prefix("http://"))?;
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'?' | b'#' | b'*' | b'@');
        (!rest.is_empty() && rest.bytes().all(plain)).then(|| item.to_ascii_lowercase())
    };
    list(text, origin).ok_or_else(|| {
        "must be origins separated by commas, such as https://tickets.example.com, without a path or *".into()
    })
}

/// Reads the servers of a log.
pub(super) fn servers(text: &str) -> Read<Vec<String>> {
    let server = |item: &str| {
        let rest = item.strip_prefix("nats://").or_else(|| item.strip_prefix("tls://"))?;
        // They are logged and printed, so they can't hold a password (user@).
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'@' | b'/' | b'?' | b'#');
        (!rest.is_empty() && rest.bytes().all(plain)).then(|| item.to_owned())
    };
    list(text, server).ok_or_else(|| {
        "must be URLs separated by commas that begin with nats:// or tls://, such as nats://10.0.0.1:4222, without user and path \
         (cluster.login has the user)"
            .into()
    })
}

/// Reads what may be a part of a stream's name.
pub(super) fn stream_name(text: &str) -> Read<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if (1..=32).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(text.to_owned());
    }
    Err("must be 1 to 32 letters, digits, - and _".into())
}

pub(super) fn url(text: &str) -> Read<String> {
    // The URL is logged and printed, so it can't hold a password (user@).
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'@' | b'?' | b'#');
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(rest) if !rest.is_empty() && rest.bytes().all(plain) => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => {
            Err("must be a URL that begins with https:// or http://, without user, query and fragment".into())
        }
    }
}
