//! The seal of a hop: says from which client a request came, so that the owner counts limits by the client and not by the node that
//! hands its request on.
//!
//! ```text
//! onsale-hop: <instant, ms> <the client's address> <how long it waits, ms> <HMAC-SHA-256 of these, the method and the target>
//! ```
//!
//! Invariants: only who knows `cluster.secret` makes one; it counts for [`VALID`], and for one method and target; what a client sends
//! under this name is dropped.

use core::net::IpAddr;
use core::time::Duration;

use aws_lc_rs::hmac;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::config::ClusterConfig;
use crate::domain::time::Timestamp;
use crate::http::rate_limit::X_FORWARDED_FOR;

/// The header of a hop's seal.
pub(super) const HOP: HeaderName = HeaderName::from_static("onsale-hop");

/// How long a seal counts, by the clocks of two nodes.
const VALID: Duration = Duration::from_secs(30);
/// Makes the key one for this purpose alone.
const LABEL: &[u8] = b"onsale: a hop between nodes";

/// What the node before says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct Hop {
    /// The client's address.
    pub(in crate::http) client: IpAddr,
    /// How long it waits for the answer.
    pub(in crate::http) patience: Duration,
}

/// The key of the seals: all nodes of a cluster have the same.
#[derive(Clone)]
pub struct HopKey(hmac::Key);

impl core::fmt::Debug for HopKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("HopKey")
    }
}

impl HopKey {
    /// Makes the key of a cluster's secret; none where the log is on this machine's disk.
    pub fn of(config: &ClusterConfig) -> Option<Self> {
        let secret = config.secret.as_ref().filter(|_| !config.log.is_empty())?;
        let mut context =
            hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes()));
        context.update(LABEL);
        context.update(config.name.as_bytes());
        Some(Self(hmac::Key::new(hmac::HMAC_SHA256, context.sign().as_ref())))
    }

    /// Writes the header of a request with this method and target.
    pub(super) fn seal(&self, hop: Hop, method: &Method, target: &str, now: Timestamp) -> HeaderValue {
        let told = format!("{} {} {}", now.as_millis(), hop.client, hop.patience.as_millis());
        let tag = hmac::sign(&self.0, covered(&told, method, target).as_bytes());
        let value = format!("{told} {}", URL_SAFE_NO_PAD.encode(tag.as_ref()));
        HeaderValue::try_from(value).expect("numbers, an address and base64 are visible ASCII")
    }

    /// Takes the header from a request, and what clients and proxies said of its address where the seal is good.
    pub(in crate::http) fn take(
        &self,
        request: &mut Request<Body>,
        now: impl FnOnce() -> Timestamp,
    ) -> Option<Hop> {
        let value = request.headers_mut().remove(HOP)?;
        let hop = self.open(&value, request.method(), target(request), now())?;
        request.headers_mut().remove(X_FORWARDED_FOR);
        Some(hop)
    }

    fn open(&self, value: &HeaderValue, method: &Method, target: &str, now: Timestamp) -> Option<Hop> {
        let (told, tag) = value.to_str().ok()?.rsplit_once(' ')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(&self.0, covered(told, method, target).as_bytes(), &tag).ok()?;

        let mut told = told.split(' ');
        let instant: u64 = told.next()?.parse().ok()?;
        let client = told.next()?.parse().ok()?;
        let patience = Duration::from_millis(told.next()?.parse().ok()?);
        let age = Duration::from_millis(instant.abs_diff(now.as_millis()));
        (age <= VALID).then_some(Hop { client, patience })
    }
}

/// Returns what the client asked for, as it stands in the request.
pub(super) fn target(request: &Request<Body>) -> &str {
    request.uri().path_and_query().map_or("/", |target| target.as_str())
}

/// Neither a method nor a target has a space.
fn covered(told: &str, method: &Method, target: &str) -> String {
    format!("{told} {method} {target}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::tests_support::CLUSTER;

    fn key(variables: &[(&str, &str)]) -> HopKey {
        crate::http::tests_support::parts(variables).hop_key.clone().unwrap()
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + millis)
    }

    fn hop() -> Hop {
        Hop { client: "203.0.113.7".parse().unwrap(), patience: Duration::from_millis(9_500) }
    }

    fn sent(value: HeaderValue) -> Request<Body> {
        let request = Request::get("/api/v1/concerts?limit=1").header(HOP, value);
        request.header(X_FORWARDED_FOR, "198.51.100.1").body(Body::empty()).unwrap()
    }

    fn sealed(key: &HopKey) -> HeaderValue {
        key.seal(hop(), &Method::GET, "/api/v1/concerts?limit=1", at(0))
    }

    #[test]
    fn a_seal_tells_the_client_for_half_a_minute_and_takes_what_others_said_of_it() {
        let key = key(&CLUSTER);
        for now in [0, 30_000] {
            let mut request = sent(sealed(&key));
            assert_eq!(key.take(&mut request, || at(now)), Some(hop()));
            assert!(request.headers().is_empty());
        }
        assert_eq!(key.take(&mut sent(sealed(&key)), || at(30_001)), None);
    }

    #[test]
    fn what_is_forged_is_dropped_and_counts_for_nothing() {
        let key = key(&CLUSTER);
        let value = sealed(&key).to_str().unwrap().to_owned();
        let others = [("ONSALE_CLUSTER_SECRET", "another-secret-of-32-characters-"), CLUSTER[0]];
        let stranger = self::key(&others);
        for forged in [
            value.replace("203.0.113.7", "203.0.113.8"),
            value.replace("9500", "9501"),
            value.replace("1800000000000", "1800000000001"),
            sealed(&stranger).to_str().unwrap().to_owned(),
            "1800000000000 203.0.113.7 9500".to_owned(),
            "127.0.0.1".to_owned(),
            String::new(),
        ] {
            let mut request = sent(HeaderValue::try_from(&forged).unwrap());
            assert_eq!(key.take(&mut request, || at(0)), None, "{forged}");
            assert!(!request.headers().contains_key(HOP));
            assert!(request.headers().contains_key(X_FORWARDED_FOR));
        }
        let mut elsewhere = sent(sealed(&key));
        *elsewhere.uri_mut() = "/api/v1/concerts?limit=2".parse().unwrap();
        assert_eq!(key.take(&mut elsewhere, || at(0)), None);
        let mut other_method = sent(sealed(&key));
        *other_method.method_mut() = Method::DELETE;
        assert_eq!(key.take(&mut other_method, || at(0)), None);
    }

    #[test]
    fn a_process_with_a_log_of_its_own_has_no_key() {
        assert!(crate::http::tests_support::parts(&[]).hop_key.is_none());
    }
}
