//! Passes of the waiting room, by which users prove the place that they have (Q2).
//!
//! ```text
//! pass  base64url of: version u8 = 1, period u32, schedule number u32, ticket u32, issued at u64 (ms), tag 32 bytes
//! tag   HMAC-SHA-256, under the period's key, of all before it and the user's id
//! key   HMAC-SHA-256 of the period, under the passes' secret, which comes from the log's own
//! ```
//!
//! The user isn't in the pass but in its tag, so another's pass doesn't verify. A key signs for one day; every earlier
//! one can be made again, so rotation ends no pass. Whether the place is active is not in the pass: the room knows.

use std::sync::{PoisonError, RwLock};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::ids::ScheduleNumber;
use crate::domain::time::{Seconds, Timestamp};
use crate::domain::waiting_room::Ticket;

const VERSION: u8 = 1;
/// How long one key signs.
const PERIOD: Seconds = Seconds::DAY;
const HEAD_LEN: usize = 21;
const TAG_LEN: usize = 32;
const TEXT_LEN: usize = (HEAD_LEN + TAG_LEN) * 4 / 3 + 1;
/// How many keys are kept ready: today's, and those of the days before under which passes still live.
const READY_MAX: usize = 8;

/// The content of a genuine pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// The place that it stands for.
    pub ticket: Ticket,
    /// When the place was taken.
    pub issued_at: Timestamp,
}

/// Signs passes and checks them.
pub(in crate::engine) struct Passes {
    secret: hmac::Key,
    ready: RwLock<Vec<(u32, hmac::Key)>>,
}

impl Passes {
    /// Makes the signer of a log from the log's secret.
    pub(in crate::engine) fn new(log_secret: &[u8]) -> Self {
        let log = hmac::Key::new(hmac::HMAC_SHA256, log_secret);
        let secret = hmac::sign(&log, b"onsale: passes of waiting rooms");
        Self { secret: hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref()), ready: RwLock::new(Vec::new()) }
    }

    /// Signs a user's pass, with the key of the day on which the place was taken: it is the same each time.
    pub(in crate::engine) fn sign(&self, number: ScheduleNumber, user: &str, pass: Pass) -> String {
        let period = period_of(pass.issued_at);
        let mut bytes = [0; HEAD_LEN + TAG_LEN];
        bytes[0] = VERSION;
        bytes[1..5].copy_from_slice(&period.to_be_bytes());
        bytes[5..9].copy_from_slice(&number.0.to_be_bytes());
        bytes[9..13].copy_from_slice(&pass.ticket.0.to_be_bytes());
        bytes[13..HEAD_LEN].copy_from_slice(&pass.issued_at.as_millis().to_be_bytes());

        let tag = self.with_key(period, |key| tag(key, &bytes[..HEAD_LEN], user));
        bytes[HEAD_LEN..].copy_from_slice(tag.as_ref());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a pass; nothing, unless it was signed for this user and this schedule.
    pub(in crate::engine) fn read(
        &self,
        number: ScheduleNumber,
        user: &str,
        text: &str,
        now: Timestamp,
    ) -> Option<Pass> {
        if text.len() > TEXT_LEN {
            return None;
        }
        let mut bytes = [0; HEAD_LEN + TAG_LEN];
        let read = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;

        let part = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let (period, schedule, ticket) = (part(1), part(5), part(9));

        // Version and schedule are compared in the open, since the tag covers them: this only spares a hash.
        let right = read == bytes.len() && bytes[0] == VERSION && schedule == number.0;
        // A key of the future has signed nothing; the clock may have been behind by less than a day.
        if !right || period > period_of(now).saturating_add(1) {
            return None;
        }

        let (head, claimed) = bytes.split_at(HEAD_LEN);
        let mut signed = head.to_vec();
        signed.extend_from_slice(user.as_bytes());
        self.with_key(period, |key| hmac::verify(key, &signed, claimed)).ok()?;

        let issued_at = Timestamp::from_millis(u64::from_be_bytes(*head[13..].first_chunk()?));
        Some(Pass { ticket: Ticket(ticket), issued_at })
    }

    fn with_key<T>(&self, period: u32, then: impl FnOnce(&hmac::Key) -> T) -> T {
        {
            let ready = self.ready.read().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, key)) = ready.iter().find(|(of, _)| *of == period) {
                return then(key);
            }
        }

        // No lock over the hash: of two that make the same key at once, either is right.
        let tag = hmac::sign(&self.secret, &period.to_be_bytes());
        let key = hmac::Key::new(hmac::HMAC_SHA256, tag.as_ref());
        let outcome = then(&key);

        let mut ready = self.ready.write().unwrap_or_else(PoisonError::into_inner);
        ready.retain(|(of, _)| *of != period);
        ready.push((period, key));
        // The newest stay: a sender of passes of odd periods only has their own keys made again.
        ready.sort_unstable_by_key(|(of, _)| core::cmp::Reverse(*of));
        ready.truncate(READY_MAX);
        outcome
    }
}

fn tag(key: &hmac::Key, head: &[u8], user: &str) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    context.update(head);
    context.update(user.as_bytes());
    context.sign()
}

fn period_of(now: Timestamp) -> u32 {
    u32::try_from(now.as_millis() / PERIOD.as_millis()).expect("the year 9999 has day 2,932,896")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const PASS: Pass = Pass { ticket: Ticket(7), issued_at: NOW };
    const SCHEDULE: ScheduleNumber = ScheduleNumber(3);

    #[test]
    fn a_pass_is_read_by_its_own_schedule_for_its_own_user_alone() {
        let passes = Passes::new(&[1; 32]);
        let text = passes.sign(SCHEDULE, "kim", PASS);
        assert_eq!(text.len(), TEXT_LEN);
        assert_eq!(passes.read(SCHEDULE, "kim", &text, NOW), Some(PASS));
        assert_eq!(passes.read(SCHEDULE, "lee", &text, NOW), None);
        assert_eq!(passes.read(ScheduleNumber(4), "kim", &text, NOW), None);
        assert_eq!(Passes::new(&[2; 32]).read(SCHEDULE, "kim", &text, NOW), None);
    }

    #[test]
    fn no_changed_character_is_let_through() {
        let passes = Passes::new(&[1; 32]);
        let text = passes.sign(SCHEDULE, "kim", PASS);
        for at in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(passes.read(SCHEDULE, "kim", &forged, NOW), None, "{forged}");
        }
        for odd in ["", "A", "not a pass", &text[1..], &format!("{text}A"), "ééé"] {
            assert_eq!(passes.read(SCHEDULE, "kim", odd, NOW), None, "{odd}");
        }
    }

    #[test]
    fn a_new_key_ends_no_pass() {
        let passes = Passes::new(&[1; 32]);
        let text = passes.sign(SCHEDULE, "kim", PASS);
        for days in 1..20 {
            let later = NOW.plus(Seconds::new(days * 86_400));
            let next = Pass { issued_at: later, ..PASS };
            let key = |text: &str| text[..7].to_owned();
            assert_ne!(key(&passes.sign(SCHEDULE, "kim", next)), key(&text), "a day has its own key");
            assert_eq!(passes.read(SCHEDULE, "kim", &text, later), Some(PASS));
        }
        // Long before the day of its key, the pass can't have been signed.
        assert_eq!(passes.read(SCHEDULE, "kim", &text, Timestamp::ZERO), None);
        assert!(passes.ready.read().unwrap().len() <= READY_MAX);
    }
}
