//! Rate limits: of a user's changes, an account's tries, and a network address's reads and tries.
//!
//! The algorithm is GCRA (the leaky bucket as a meter, ITU-T I.371 annex A): for each key one
//! instant is kept, at which its bucket will be empty again. It is written out here, on six lines, rather than
//! taken from `governor`, whose keyed tables have no bound.
//!
//! Invariants: the number of keys is bounded; a key whose bucket is empty again costs nothing for
//! long; where the table is full of busy keys, some are forgotten (which lets a little more
//! through) rather than newcomers refused.

use core::hash::{BuildHasher, Hash};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::num::NonZeroU32;
use core::time::Duration;
use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderMap;

use super::problem::{Code, Problem};
use crate::config::{AddressRange, RateLimit};
use crate::domain::ids::UserId;
use crate::domain::time::Timestamp;

const SHARDS: usize = 16;

/// The keys of one limiter: about 100 bytes each.
const KEYS_MAX: usize = 1 << 20;

/// How often keys that no longer matter are removed.
pub const SWEEP_SECONDS: u64 = 30;

/// Counts what each key does, within bounds of time and memory.
pub struct Limiter<K> {
    /// The time that one action takes out of the bucket.
    interval_us: u64,
    /// How far the bucket may be filled ahead of now.
    burst_us: u64,
    shard_keys_max: usize,
    hasher: RandomState,
    shards: Box<[Mutex<HashMap<K, u64>>]>,
}

impl<K> core::fmt::Debug for Limiter<K> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Limiter")
            .field("interval_us", &self.interval_us)
            .field("burst_us", &self.burst_us)
            .finish_non_exhaustive()
    }
}

impl<K: Eq + Hash + Clone> Limiter<K> {
    /// Lets each key act `count` times in `period_seconds` in the long run, and up to `burst`
    /// times at once.
    pub fn new(count: NonZeroU32, period_seconds: NonZeroU32, burst: NonZeroU32) -> Self {
        Self::bounded(count, period_seconds, burst, KEYS_MAX)
    }

    fn bounded(count: NonZeroU32, period_seconds: NonZeroU32, burst: NonZeroU32, keys_max: usize) -> Self {
        let interval_us = (u64::from(period_seconds.get()) * 1_000_000 / u64::from(count.get())).max(1);
        Self {
            interval_us,
            burst_us: interval_us * u64::from(burst.get()),
            shard_keys_max: (keys_max / SHARDS).max(1),
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::new(HashMap::new())).collect(),
        }
    }

    /// Counts one action of `key` at `now`.
    ///
    /// # Errors
    /// The time to wait when it is one too many; it isn't counted then.
    pub fn check(&self, key: &K, now: Timestamp) -> Result<(), Duration> {
        self.check_many(key, 1, now)
    }

    /// Counts what is worth so many actions of `key` at `now`, or the whole burst where it is worth more.
    ///
    /// # Errors
    /// The time to wait when it is too much; it isn't counted then.
    pub fn check_many(&self, key: &K, count: u32, now: Timestamp) -> Result<(), Duration> {
        let now_us = now.as_millis().saturating_mul(1000);
        let mut shard = self.shard(key).lock().unwrap_or_else(PoisonError::into_inner);
        let added_us = (self.interval_us * u64::from(count)).min(self.burst_us);
        let empty_at_us = shard.get(key).copied().unwrap_or(0).max(now_us) + added_us;
        let ahead_us = empty_at_us - now_us;
        if ahead_us > self.burst_us {
            return Err(Duration::from_micros(ahead_us - self.burst_us));
        }
        if let Some(known) = shard.get_mut(key) {
            *known = empty_at_us;
        } else {
            if shard.len() >= self.shard_keys_max {
                make_room(&mut shard, now_us, self.shard_keys_max);
            }
            shard.insert(key.clone(), empty_at_us);
        }
        Ok(())
    }

    /// Asks whether `key` could act at `now`, and counts nothing.
    ///
    /// # Errors
    /// The time to wait until it could.
    pub fn ask(&self, key: &K, now: Timestamp) -> Result<(), Duration> {
        let now_us = now.as_millis().saturating_mul(1000);
        let shard = self.shard(key).lock().unwrap_or_else(PoisonError::into_inner);
        let empty_at_us = shard.get(key).copied().unwrap_or(0).max(now_us) + self.interval_us;
        match (empty_at_us - now_us).checked_sub(self.burst_us) {
            None | Some(0) => Ok(()),
            Some(ahead_us) => Err(Duration::from_micros(ahead_us)),
        }
    }

    /// Takes an action of `key` back that was counted and turned out not to matter.
    pub fn give_back(&self, key: &K) {
        let mut shard = self.shard(key).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shard.get_mut(key) {
            *known = known.saturating_sub(self.interval_us);
        }
    }

    /// Removes the keys whose bucket is empty again: to forget them changes nothing.
    pub(super) fn sweep(&self, now: Timestamp) {
        let now_us = now.as_millis().saturating_mul(1000);
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, empty_at_us| *empty_at_us > now_us);
            if shard.capacity() > 4 * shard.len() + 64 {
                shard.shrink_to_fit();
            }
        }
    }

    /// Returns the number of keys that are kept.
    pub fn len(&self) -> usize {
        let count =
            |shard: &Mutex<HashMap<K, u64>>| shard.lock().unwrap_or_else(PoisonError::into_inner).len();
        self.shards.iter().map(count).sum()
    }

    /// Says whether no key is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, key: &K) -> &Mutex<HashMap<K, u64>> {
        let shards = u64::try_from(SHARDS).expect("sixteen fits");
        let index = self.hasher.hash_one(key) % shards;
        &self.shards[usize::try_from(index).expect("below the number of shards")]
    }
}

/// Makes room in a full shard. If a sweep leaves it more than three quarters full, all of it is
/// forgotten: so the cost of a sweep is spread over a quarter of the keys at least.
fn make_room<K: Eq + Hash>(shard: &mut HashMap<K, u64>, now_us: u64, keys_max: usize) {
    shard.retain(|_, empty_at_us| *empty_at_us > now_us);
    if shard.len() >= keys_max - keys_max / 4 {
        shard.clear();
        metrics::counter!("onsale_rate_limit_forgotten_total").increment(1);
    }
}

/// The limit of a user's changes. Administrators have none.
#[derive(Debug)]
pub struct UserRateLimit(Option<Limiter<UserId>>);

impl UserRateLimit {
    /// Makes the limit of the configuration, with a burst of twice the rate.
    pub fn new(rate: RateLimit) -> Self {
        let limiter = match rate {
            RateLimit::Off => None,
            RateLimit::PerSecond(count) => Some(Limiter::new(
                count,
                NonZeroU32::MIN,
                count.saturating_mul(NonZeroU32::MIN.saturating_add(1)),
            )),
        };
        Self(limiter)
    }

    /// Counts one change of a user.
    ///
    /// # Errors
    /// 429 `rate_limited` with `Retry-After`.
    pub fn check(&self, user: &UserId, now: Timestamp) -> Result<(), Problem> {
        match &self.0 {
            None => Ok(()),
            Some(limiter) => limiter.check(user, now).map_err(rate_limited),
        }
    }

    pub(super) fn sweep(&self, now: Timestamp) {
        if let Some(limiter) = &self.0 {
            limiter.sweep(now);
        }
    }
}

/// How many tries to sign in an account has per minute, and at once.
const ACCOUNT_TRIES: NonZeroU32 = NonZeroU32::new(10).expect("ten isn't zero");
/// How many mails an address gets per hour, and at once, so that a stranger who signs up with it can't fill its
/// mailbox.
pub const MAILS_AN_HOUR: NonZeroU32 = NonZeroU32::new(5).expect("five isn't zero");
/// The time over which mails are counted.
pub const HOUR_SECONDS: NonZeroU32 = NonZeroU32::new(3_600).expect("an hour isn't zero");
/// The time over which tries to sign up and in are counted.
pub const MINUTE_SECONDS: NonZeroU32 = NonZeroU32::new(60).expect("sixty isn't zero");

/// The limit of an account's wrong passwords from all addresses: ten at once, and one more every six seconds. A try
/// counts from its beginning, so that many at once can't evade the limit. It stays counted only after a wrong password:
/// a right one, a try that was never checked, and a caller who hung up before the outcome cost the account nothing.
///
/// An account is known by a keyed digest of its address. An unknown address is counted too.
#[derive(Debug)]
pub struct AccountRateLimit {
    pub(super) limiter: Limiter<u64>,
    hasher: RandomState,
}

/// A try, counted until it is dropped, or for good.
#[derive(Debug)]
#[must_use = "dropped, it no longer counts"]
pub struct Attempt<'a> {
    limiter: &'a Limiter<u64>,
    account: u64,
    stands: bool,
}

impl Attempt<'_> {
    /// Counts it for good.
    pub fn stand(mut self) {
        self.stands = true;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.stands {
            self.limiter.give_back(&self.account);
        }
    }
}

impl AccountRateLimit {
    /// Makes the limit: 10 wrong tries at once, and 10 a minute.
    pub fn new() -> Self {
        Self::of(ACCOUNT_TRIES, MINUTE_SECONDS)
    }

    /// Makes a limit of as many tries in a time, and at once.
    pub fn of(count: NonZeroU32, period_seconds: NonZeroU32) -> Self {
        Self { limiter: Limiter::new(count, period_seconds, count), hasher: RandomState::new() }
    }

    /// Takes back one that stood.
    pub fn give_back(&self, address: &str) {
        self.limiter.give_back(&self.hasher.hash_one(address));
    }

    /// Counts a try.
    ///
    /// # Errors
    /// 429 `rate_limited` with `Retry-After`.
    pub fn begin(&self, address: &str, now: Timestamp) -> Result<Attempt<'_>, Problem> {
        let account = self.hasher.hash_one(address);
        self.limiter.check(&account, now).map_err(rate_limited)?;
        Ok(Attempt { limiter: &self.limiter, account, stands: false })
    }
}

impl Default for AccountRateLimit {
    fn default() -> Self {
        Self::new()
    }
}

/// How many wrong codes a user may bring per minute, and at once.
const USER_GUESSES: NonZeroU32 = NonZeroU32::new(10).expect("ten isn't zero");
/// How many wrong codes an address may bring per minute, and at once: many people may have one.
const ADDRESS_GUESSES: NonZeroU32 = NonZeroU32::new(60).expect("sixty isn't zero");

/// The limit of the wrong codes that a user brings, and that come from an address. Right ones cost nothing, but whoever has brought too
/// many wrong ones waits with a right one, too.
#[derive(Debug)]
pub struct CodeRateLimit {
    users: Limiter<UserId>,
    addresses: AddressRateLimit,
}

impl CodeRateLimit {
    /// Makes the limit: 10 wrong codes of a user at once, and 10 a minute; 60 of an address.
    pub fn new() -> Self {
        Self {
            users: Limiter::new(USER_GUESSES, MINUTE_SECONDS, USER_GUESSES),
            addresses: AddressRateLimit::new(ADDRESS_GUESSES, MINUTE_SECONDS),
        }
    }

    /// Asks whether a code may be brought at `now`.
    ///
    /// # Errors
    /// 429 `rate_limited` with `Retry-After`.
    pub fn check(&self, user: &UserId, address: &AddressKey, now: Timestamp) -> Result<(), Problem> {
        self.users.ask(user, now).map_err(rate_limited)?;
        self.addresses.ask(address, now).map_err(rate_limited)
    }

    /// Counts a wrong code.
    ///
    /// # Errors
    /// 429 `rate_limited` with `Retry-After`, where it is one too many.
    pub fn count(&self, user: &UserId, address: &AddressKey, now: Timestamp) -> Result<(), Problem> {
        self.users.check(user, now).map_err(rate_limited)?;
        self.addresses.check(address, now).map_err(rate_limited)
    }

    pub(super) fn sweep(&self, now: Timestamp) {
        self.users.sweep(now);
        self.addresses.sweep(now);
    }
}

impl Default for CodeRateLimit {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes the 429 of a limit from the time to wait.
pub fn rate_limited(wait: Duration) -> Problem {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Problem::new(Code::RateLimited, "Too many requests in a short time; wait a moment.").retry_after(seconds)
}

/// The key by which an address is counted: the IPv4 address, or the network of an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressKey(IpAddr);

impl AddressKey {
    /// Makes the key of an address: of IPv6 its /64, the least that one customer has.
    pub fn new(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(IpAddr::V4(address)),
            IpAddr::V6(address) => Self(IpAddr::V6(network(address, 64))),
        }
    }

    /// Returns the key of the /48 that an IPv6 network belongs to: the most that one customer has as a rule (RIPE-690, section 4.2).
    fn site(self) -> Option<Self> {
        match self.0 {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => Some(Self(IpAddr::V6(network(address, 48)))),
        }
    }
}

fn network(address: Ipv6Addr, prefix_len: u32) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - prefix_len)))
}

/// How many times as much a whole /48 may as one /64: some belong to a provider with a customer in each /64.
const SITE_FACTOR: NonZeroU32 = NonZeroU32::new(4).expect("four isn't zero");

/// The limit of an address's tries, such as signing up or in: counted by the address or its /64, and by its /48.
#[derive(Debug)]
pub struct AddressRateLimit {
    networks: Limiter<AddressKey>,
    sites: Limiter<AddressKey>,
}

impl AddressRateLimit {
    /// Lets each address try `count` times in `period_seconds`, and as often at once; a /48 four times as often.
    pub fn new(count: NonZeroU32, period_seconds: NonZeroU32) -> Self {
        let of_site = count.saturating_mul(SITE_FACTOR);
        Self {
            networks: Limiter::new(count, period_seconds, count),
            sites: Limiter::new(of_site, period_seconds, of_site),
        }
    }

    /// Counts one try.
    ///
    /// # Errors
    /// The time to wait when it is one too many; it isn't counted then.
    pub fn check(&self, address: &AddressKey, now: Timestamp) -> Result<(), Duration> {
        self.networks.check(address, now)?;
        let Some(site) = address.site() else { return Ok(()) };
        self.sites.check(&site, now).inspect_err(|_| self.networks.give_back(address))
    }

    /// Asks whether it could try, and counts nothing.
    ///
    /// # Errors
    /// The time to wait until it could.
    pub fn ask(&self, address: &AddressKey, now: Timestamp) -> Result<(), Duration> {
        self.networks.ask(address, now)?;
        address.site().map_or(Ok(()), |site| self.sites.ask(&site, now))
    }

    pub(super) fn sweep(&self, now: Timestamp) {
        self.networks.sweep(now);
        self.sites.sweep(now);
    }
}

/// An address may make so many seconds' reads at once.
const READ_BURST: NonZeroU32 = NonZeroU32::new(10).expect("ten isn't zero");

/// The limit of an address's reads; large answers count more. A thousand people may share one address, so the limit
/// only stops machines.
#[derive(Debug)]
pub struct ReadLimit(Option<Limiter<AddressKey>>);

impl ReadLimit {
    /// Makes the limit of the configuration.
    pub fn new(rate: RateLimit) -> Self {
        let limiter = match rate {
            RateLimit::Off => None,
            RateLimit::PerSecond(count) => {
                Some(Limiter::new(count, NonZeroU32::MIN, count.saturating_mul(READ_BURST)))
            }
        };
        Self(limiter)
    }

    /// Counts so many reads of an address.
    ///
    /// # Errors
    /// 429 `rate_limited` with `Retry-After`.
    pub fn check(&self, address: &AddressKey, reads: u32, now: Timestamp) -> Result<(), Problem> {
        match &self.0 {
            None => Ok(()),
            Some(limiter) => limiter.check_many(address, reads, now).map_err(rate_limited),
        }
    }

    pub(super) fn sweep(&self, now: Timestamp) {
        if let Some(limiter) = &self.0 {
            limiter.sweep(now);
        }
    }
}

/// The header in which proxies pass on the client's address.
pub const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// Returns the client's address: the peer's, or behind trusted proxies the last address in `X-Forwarded-For` that isn't
/// one of them. Anyone could have written the addresses before it.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[AddressRange]) -> IpAddr {
    let is_trusted = |address| trusted.iter().any(|range| range.contains(address));
    let mut client = peer.to_canonical();
    if !is_trusted(client) {
        return client;
    }
    let lines: Vec<&str> =
        headers.get_all(X_FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok()).collect();
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        let Some(address) = parse_hop(hop.trim()) else {
            return client;
        };
        client = address;
        if !is_trusted(client) {
            return client;
        }
    }
    client
}

/// Reads an address as proxies write them: bare, in brackets, with or without a port.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let address = hop
        .parse::<IpAddr>()
        .ok()
        .or_else(|| Some(hop.parse::<core::net::SocketAddr>().ok()?.ip()))
        .or_else(|| hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok())?;
    Some(address.to_canonical())
}

/// The address of an unknown peer, as in tests without a connection.
pub const UNKNOWN_PEER: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    fn count(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    #[test]
    fn a_user_has_the_burst_at_once_and_then_the_rate() {
        let limit = UserRateLimit::new(RateLimit::PerSecond(count(20)));
        let user = UserId::parse("u").unwrap();
        let passed = (0..100).filter(|_| limit.check(&user, at(0)).is_ok()).count();
        assert_eq!(passed, 40);
        assert!(limit.check(&user, at(49)).is_err());
        assert!(limit.check(&user, at(50)).is_ok());
        assert!(limit.check(&user, at(50)).is_err());
        assert!(limit.check(&UserId::parse("other").unwrap(), at(0)).is_ok());
        let later = (0..100).filter(|_| limit.check(&user, at(10_000)).is_ok()).count();
        assert_eq!(later, 40, "a rest doesn't save up more than the burst");
    }

    #[test]
    fn an_account_has_ten_wrong_tries_a_minute_and_right_ones_are_not_counted() {
        let limit = AccountRateLimit::new();
        for _ in 0..100 {
            drop(limit.begin("ann@example.org", at(0)).unwrap());
        }
        // Ten at once, though none has ended yet.
        let mut tries: Vec<_> = (0..20).filter_map(|_| limit.begin("ann@example.org", at(0)).ok()).collect();
        assert_eq!(tries.len(), 10);
        limit.begin("bob@example.org", at(0)).unwrap().stand();
        drop(tries.pop());
        limit.begin("ann@example.org", at(0)).unwrap().stand();
        assert!(limit.begin("ann@example.org", at(5_999)).is_err());
        limit.begin("ann@example.org", at(6_000)).expect("one more every six seconds").stand();
    }

    #[test]
    fn what_counts_for_many_takes_as_much_of_the_burst_and_never_more_than_all_of_it() {
        let limit = ReadLimit::new(RateLimit::PerSecond(count(100)));
        let address = AddressKey::new("192.0.2.1".parse().unwrap());
        assert!(limit.check(&address, 600, at(0)).is_ok());
        assert!(limit.check(&address, 600, at(0)).is_err(), "it isn't counted");
        assert!(limit.check(&address, 400, at(0)).is_ok());
        assert!(limit.check(&address, 1, at(0)).is_err());
        assert!(limit.check(&address, 5_000, at(9_999)).is_err());
        assert!(
            limit.check(&address, 5_000, at(10_000)).is_ok(),
            "what is too large for any burst takes a whole one"
        );
    }

    #[test]
    fn off_is_off() {
        let limit = ReadLimit::new(RateLimit::Off);
        let address = AddressKey::new("192.0.2.1".parse().unwrap());
        assert!((0..10_000).all(|_| limit.check(&address, 1_000, at(0)).is_ok()));
        let limit = UserRateLimit::new(RateLimit::Off);
        let user = UserId::parse("u").unwrap();
        assert!((0..10_000).all(|_| limit.check(&user, at(0)).is_ok()));
    }

    #[test]
    fn a_refusal_says_when_to_come_back_in_whole_seconds_rounded_up() {
        let limiter = Limiter::new(count(1), count(60), count(1));
        assert_eq!(limiter.check(&1, at(0)), Ok(()));
        assert_eq!(limiter.check(&1, at(500)), Err(Duration::from_millis(59_500)));
        let response = rate_limited(Duration::from_millis(59_500)).into_response();
        assert_eq!(response.headers()["retry-after"], "60");
        assert_eq!(response.status(), 429);
    }

    #[test]
    fn the_number_of_keys_is_bounded_whatever_comes() {
        let limiter = Limiter::bounded(count(1), count(60), count(1), 1600);
        for key in 0..100_000 {
            let _ = limiter.check(&key, at(0));
            debug_assert!(limiter.len() <= 1600);
        }
        assert!(limiter.len() <= 1600 && !limiter.is_empty());
        limiter.sweep(at(59_999));
        assert!(!limiter.is_empty(), "a bucket that isn't empty is kept");
        limiter.sweep(at(60_000));
        assert!(limiter.is_empty());
    }

    #[test]
    fn x_forwarded_for_counts_only_from_a_trusted_peer_and_from_its_right_end() {
        let trusted = AddressRange::list_of("10.0.0.0/8, ::1").unwrap();
        let check = |peer: &str, lines: &[&'static str], client: &str| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            let found = client_address(peer.parse().unwrap(), &headers, &trusted);
            assert_eq!(found, client.parse::<IpAddr>().unwrap(), "{peer} {lines:?}");
        };
        check("192.0.2.1", &["198.51.100.7"], "192.0.2.1");
        check("10.0.0.1", &[], "10.0.0.1");
        check("10.0.0.1", &["198.51.100.7"], "198.51.100.7");
        check("10.0.0.1", &["1.1.1.1, 198.51.100.7, 10.9.9.9"], "198.51.100.7");
        check("10.0.0.1", &["1.1.1.1", "198.51.100.7:4711"], "198.51.100.7");
        check("::ffff:10.0.0.1", &["[2001:db8::1]:80"], "2001:db8::1");
        check("10.0.0.1", &["1.1.1.1, nonsense"], "10.0.0.1");
        check("11.0.0.1", &["1.1.1.1"], "11.0.0.1");
    }

    #[test]
    fn sixty_networks_of_one_ipv6_customer_have_four_times_the_tries_of_one_and_not_sixty() {
        let limit = AddressRateLimit::new(count(20), MINUTE_SECONDS);
        let key = |text: String| AddressKey::new(text.parse().unwrap());
        let tries =
            |key: AddressKey, millis| (0..100).filter(|_| limit.check(&key, at(millis)).is_ok()).count();
        let of_site: usize = (0..60).map(|net| tries(key(format!("2001:db8:7:{net:x}::1")), 0)).sum();
        assert_eq!(of_site, 80);
        assert_eq!(tries(key("2001:db8:8::1".to_owned()), 0), 20, "another customer");
        assert_eq!(tries(key("198.51.100.7".to_owned()), 0), 20);
        // What the whole network was refused isn't counted against a part of it.
        assert_eq!(tries(key("2001:db8:7:3b::1".to_owned()), 60_000), 20);
    }

    #[test]
    fn the_addresses_of_one_ipv6_customer_are_one_key() {
        let key = |text: &str| AddressKey::new(text.parse().unwrap());
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:1.2.3.4"), key("1.2.3.4"));
        assert_ne!(key("1.2.3.4"), key("1.2.3.5"));
    }
}
