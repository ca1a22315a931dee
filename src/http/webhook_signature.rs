//! Signed calls between this engine and the platform, as Standard Webhooks 1.0.0 has them, so that each language has a library for it.
//!
//! ```text
//! webhook-id: msg_…                 the call's own name: a repeat has the same
//! webhook-timestamp: 1614265330     seconds since 1970
//! webhook-signature: v1,<base64 of HMAC-SHA-256> …   of `<id>.<timestamp>.<body>`; several where a secret is being replaced
//! ```
//!
//! Absent on purpose: a memory of the ids that came. What is signed here can be repeated, and changes nothing twice.
//!
//! Invariants: tags are compared in constant time; a call is only believed for [`TOLERANCE_SECONDS`]; nothing of it is logged.

use aws_lc_rs::hmac;
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::problem::{Code, Problem};
use crate::config::{PaymentsConfig, SigningKey};
use crate::domain::time::Timestamp;

/// The name of the call.
pub(super) const ID: &str = "webhook-id";
/// When it was sent.
pub(super) const TIMESTAMP: &str = "webhook-timestamp";
/// Its signatures.
pub(super) const SIGNATURE: &str = "webhook-signature";
/// How far the clocks of both sides may differ, with the call's way between them.
pub const TOLERANCE_SECONDS: u64 = 300;

/// Returns what is signed of a call.
fn signed(id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat()
}

/// Signs a call that goes out.
pub(super) fn sign(key: &hmac::Key, id: &str, seconds: u64, body: &[u8]) -> String {
    format!("v1,{}", STANDARD.encode(hmac::sign(key, &signed(id, &seconds.to_string(), body))))
}

/// Checks calls that come in.
#[derive(Debug)]
pub struct Verifier(Vec<hmac::Key>);

impl Verifier {
    /// Makes the verifier of the platform's payment service, where the settings have a secret of its.
    pub fn of(config: &PaymentsConfig) -> Option<Self> {
        let now = config.external_secret.as_ref()?;
        let keys = [Some(now), config.external_secret_before.as_ref()];
        let key = |secret: &SigningKey| hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
        Some(Self(keys.into_iter().flatten().map(key).collect()))
    }

    /// Checks that a call is signed, and is of now.
    ///
    /// # Errors
    /// 401 `bad_signature`.
    pub fn check(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<(), Problem> {
        let bad = |detail| Problem::new(Code::BadSignature, detail);
        let one = |name| {
            let mut values = headers.get_all(name).iter();
            let value = values.next().and_then(|value| value.to_str().ok());
            value.filter(|_| values.next().is_none())
        };
        let (Some(id), Some(timestamp), Some(signatures)) = (one(ID), one(TIMESTAMP), one(SIGNATURE)) else {
            return Err(bad("It must have one webhook-id, one webhook-timestamp and one webhook-signature."));
        };

        let signed = signed(id, timestamp, body);
        let tags = signatures.split(' ').filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok());
        let is_right = |tag: &[u8]| self.0.iter().any(|key| hmac::verify(key, &signed, tag).is_ok());
        if !tags.into_iter().any(|tag| is_right(&tag)) {
            return Err(bad("No signature of it is right."));
        }

        // Whoever has recorded a call can't send it again later.
        let sent: Option<u64> = timestamp.parse().ok();
        let is_now = sent.is_some_and(|sent| sent.abs_diff(now.as_millis() / 1_000) <= TOLERANCE_SECONDS);
        if is_now {
            return Ok(());
        }
        Err(bad("Its webhook-timestamp is more than five minutes away from this server's clock."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// The example of the specification.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const MESSAGE: [(&str, &str); 3] = [
        (ID, "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        (TIMESTAMP, "1614265330"),
        (SIGNATURE, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ];
    const SENT: Timestamp = Timestamp::from_millis(1_614_265_330_000);

    fn verifier(now: &str, before: Option<&str>) -> Verifier {
        let mut config = Config::defaults().payments;
        assert!(Verifier::of(&config).is_none(), "without a secret there is none");
        config.external_secret = Some(SigningKey::parse(now).unwrap());
        config.external_secret_before = before.map(|before| SigningKey::parse(before).unwrap());
        Verifier::of(&config).unwrap()
    }

    fn headers(message: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in message {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    /// The example with another value of one header.
    fn with(name: &'static str, value: &str) -> HeaderMap {
        headers(&MESSAGE.map(|(known, old)| (known, if known == name { value } else { old })))
    }

    #[test]
    fn the_example_of_the_specification_is_signed_and_checked_as_it_says() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, SigningKey::parse(SECRET).unwrap().expose());
        assert_eq!(sign(&key, MESSAGE[0].1, 1_614_265_330, BODY), MESSAGE[2].1);
        let verifier = verifier(SECRET, None);
        assert_eq!(verifier.check(&headers(&MESSAGE), BODY, SENT), Ok(()));
    }

    #[test]
    fn of_several_signatures_one_must_be_right() {
        let verifier = verifier(SECRET, None);
        let several = format!("v1,AAAA v2,x {} v1a,y", MESSAGE[2].1);
        assert_eq!(verifier.check(&with(SIGNATURE, &several), BODY, SENT), Ok(()));
        for wrong in [
            "",
            "v1,",
            "v1",
            "v1,AAAA",
            "v1,AAAA v1,AAAA",
            &MESSAGE[2].1[3..],
            &MESSAGE[2].1.replace("v1", "v2"),
        ] {
            assert!(verifier.check(&with(SIGNATURE, wrong), BODY, SENT).is_err(), "{wrong}");
        }
    }

    #[test]
    fn another_id_time_body_or_secret_is_refused_and_so_is_a_header_that_comes_twice_or_not_at_all() {
        let own = verifier(SECRET, None);
        let refused = |headers: &HeaderMap, body: &[u8]| own.check(headers, body, SENT).unwrap_err().code();
        assert_eq!(refused(&with(ID, "msg_other"), BODY), Code::BadSignature);
        assert_eq!(refused(&with(TIMESTAMP, "1614265331"), BODY), Code::BadSignature);
        assert_eq!(refused(&headers(&MESSAGE), br#"{"test": 2432232315}"#), Code::BadSignature);
        for left_out in 0..MESSAGE.len() {
            let mut some = MESSAGE.to_vec();
            let twice = some.remove(left_out);
            assert_eq!(refused(&headers(&some), BODY), Code::BadSignature);
            some.extend([twice, twice]);
            assert_eq!(refused(&headers(&some), BODY), Code::BadSignature);
        }
        let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert!(verifier(other, None).check(&headers(&MESSAGE), BODY, SENT).is_err());
    }

    #[test]
    fn the_previous_secret_is_good_for_as_long_as_it_is_set() {
        let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert_eq!(verifier(other, Some(SECRET)).check(&headers(&MESSAGE), BODY, SENT), Ok(()));
    }

    #[test]
    fn a_call_is_believed_for_five_minutes_on_either_side_of_its_time() {
        let verifier = verifier(SECRET, None);
        let at = |seconds| verifier.check(&headers(&MESSAGE), BODY, Timestamp::from_millis(seconds * 1_000));
        let sent = SENT.as_millis() / 1_000;
        for right in [sent - TOLERANCE_SECONDS, sent + TOLERANCE_SECONDS] {
            assert_eq!(at(right), Ok(()));
        }
        for wrong in [sent - TOLERANCE_SECONDS - 1, sent + TOLERANCE_SECONDS + 1] {
            assert!(at(wrong).is_err());
        }
    }

    #[test]
    fn a_time_that_is_no_number_is_refused_though_it_is_signed() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, SigningKey::parse(SECRET).unwrap().expose());
        for time in ["soon", "-1614265330", "1614265330.5", "99999999999999999999"] {
            let tag = hmac::sign(&key, &[b"m.", time.as_bytes(), b".", BODY].concat());
            let signature = format!("v1,{}", STANDARD.encode(tag));
            let headers = headers(&[(ID, "m"), (TIMESTAMP, time), (SIGNATURE, &signature)]);
            assert!(verifier(SECRET, None).check(&headers, BODY, SENT).is_err(), "{time}");
        }
    }
}
