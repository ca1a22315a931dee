//! Faults on demand.
//!
//! A fault is a text, the same in a flag, in `POST /mock/faults` and at the checkout: `[CALL/]NAME[:VALUE][@PERCENT]`.
//! `CALL` is `confirm` (the default), `cancel` or `find`. With `PERCENT` the fault happens in so many of a hundred calls.
//!
//! | fault | what happens |
//! | --- | --- |
//! | `delay-before:MS`, `delay-after:MS` | the gateway waits before or after the money moves |
//! | `decline[:CODE]` | confirm: the payment is refused for good (`REJECT_CARD_COMPANY`); cancel: refused (`NOT_CANCELABLE_PAYMENT`) |
//! | `error:CODE` | the answer is this error, and nothing else happens |
//! | `fail-before`, `fail-after` | the answer is 500, before or after the money moves |
//! | `drop-before`, `drop-after` | the connection is closed without an answer, before or after the money moves |
//! | `cut` | the money moves, and the answer breaks off in the middle |
//! | `duplicate` | the gateway gets the request twice; the answer is that to the second |
//! | `webhook-copies:N` | the notice comes `N` times |
//! | `webhook-delay:MS` | it comes later |
//! | `webhook-stale` | after it comes the notice of the state before |
//! | `webhook-stray` | before it comes one for an order that nobody knows |
//! | `webhook-lost` | it doesn't come |
//!
//! Several faults of one call happen together: first the waits, then those before the money moves, then those after.

use core::fmt;
use core::str::FromStr;

use serde_json::{Value, json};

use super::random::Random;

/// The most faults that are kept; one more is refused.
pub const FAULTS_MAX: usize = 10_000;
/// The longest wait.
pub const DELAY_MILLIS_MAX: u64 = 600_000;
/// The most copies of a notice.
const COPIES_MAX: u8 = 20;
const CODE_LEN_MAX: usize = 64;

/// A call of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Confirm,
    Cancel,
    Find,
}

impl Call {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Cancel => "cancel",
            Self::Find => "find",
        }
    }

    /// Returns the code with which a call is declined by default.
    const fn usual_refusal(self) -> &'static str {
        match self {
            Self::Confirm => "REJECT_CARD_COMPANY",
            Self::Cancel => "NOT_CANCELABLE_PAYMENT",
            Self::Find => "NOT_FOUND_PAYMENT",
        }
    }
}

/// Before or after the money moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    Before,
    After,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum FaultKind {
    Delay(Moment, u64),
    Decline(Option<String>),
    Error(String),
    Fail(Moment),
    Drop(Moment),
    Cut,
    Duplicate,
    Copies(u8),
    NoticeDelay(u64),
    Stale,
    Stray,
    Lost,
}

/// A fault of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    call: Call,
    what: FaultKind,
    percent: u8,
}

/// A text that isn't a fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be [CALL/]NAME[:VALUE][@PERCENT], such as drop-after, delay-before:500, cancel/fail-before@20 or decline:REJECT_CARD_COMPANY"
)]
pub struct InvalidFault;

impl FromStr for Fault {
    type Err = InvalidFault;

    fn from_str(text: &str) -> Result<Self, InvalidFault> {
        let (text, percent) = match text.rsplit_once('@') {
            Some((text, percent)) => (text, percent.parse().map_err(|_| InvalidFault)?),
            None => (text, 100),
        };
        let (call, text) = match text.split_once('/') {
            Some(("confirm", text)) => (Call::Confirm, text),
            Some(("cancel", text)) => (Call::Cancel, text),
            Some(("find", text)) => (Call::Find, text),
            Some(_) => return Err(InvalidFault),
            None => (Call::Confirm, text),
        };
        let (name, value) = match text.split_once(':') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let what = FaultKind::parse(name, value).ok_or(InvalidFault)?;

        // `find` moves no money and sends no notice, so only faults of the answer apply.
        let only_answers = matches!(
            what,
            FaultKind::Delay(..)
                | FaultKind::Error(_)
                | FaultKind::Fail(_)
                | FaultKind::Drop(_)
                | FaultKind::Cut
        );
        if !(1..=100).contains(&percent) || (call == Call::Find && !only_answers) {
            return Err(InvalidFault);
        }

        Ok(Self { call, what, percent })
    }
}

impl FaultKind {
    fn parse(name: &str, value: Option<&str>) -> Option<Self> {
        let millis = |value: &str| value.parse().ok().filter(|millis| *millis <= DELAY_MILLIS_MAX);
        let code = |value: &str| {
            let right =
                value.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
            (right && (1..=CODE_LEN_MAX).contains(&value.len())).then(|| value.to_owned())
        };

        match (name, value) {
            ("delay-before", Some(value)) => Some(Self::Delay(Moment::Before, millis(value)?)),
            ("delay-after", Some(value)) => Some(Self::Delay(Moment::After, millis(value)?)),
            ("decline", None) => Some(Self::Decline(None)),
            ("decline", Some(value)) => Some(Self::Decline(Some(code(value)?))),
            ("error", Some(value)) => Some(Self::Error(code(value)?)),
            ("fail-before", None) => Some(Self::Fail(Moment::Before)),
            ("fail-after", None) => Some(Self::Fail(Moment::After)),
            ("drop-before", None) => Some(Self::Drop(Moment::Before)),
            ("drop-after", None) => Some(Self::Drop(Moment::After)),
            ("cut", None) => Some(Self::Cut),
            ("duplicate", None) => Some(Self::Duplicate),
            ("webhook-copies", Some(value)) => {
                value.parse().ok().filter(|copies| (1..=COPIES_MAX).contains(copies)).map(Self::Copies)
            }
            ("webhook-delay", Some(value)) => Some(Self::NoticeDelay(millis(value)?)),
            ("webhook-stale", None) => Some(Self::Stale),
            ("webhook-stray", None) => Some(Self::Stray),
            ("webhook-lost", None) => Some(Self::Lost),
            _ => None,
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay(Moment::Before, millis) => write!(f, "delay-before:{millis}"),
            Self::Delay(Moment::After, millis) => write!(f, "delay-after:{millis}"),
            Self::Decline(None) => f.write_str("decline"),
            Self::Decline(Some(code)) => write!(f, "decline:{code}"),
            Self::Error(code) => write!(f, "error:{code}"),
            Self::Fail(Moment::Before) => f.write_str("fail-before"),
            Self::Fail(Moment::After) => f.write_str("fail-after"),
            Self::Drop(Moment::Before) => f.write_str("drop-before"),
            Self::Drop(Moment::After) => f.write_str("drop-after"),
            Self::Cut => f.write_str("cut"),
            Self::Duplicate => f.write_str("duplicate"),
            Self::Copies(copies) => write!(f, "webhook-copies:{copies}"),
            Self::NoticeDelay(millis) => write!(f, "webhook-delay:{millis}"),
            Self::Stale => f.write_str("webhook-stale"),
            Self::Stray => f.write_str("webhook-stray"),
            Self::Lost => f.write_str("webhook-lost"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.call != Call::Confirm {
            write!(f, "{}/", self.call.as_str())?;
        }
        self.what.fmt(f)?;
        if self.percent == 100 { Ok(()) } else { write!(f, "@{}", self.percent) }
    }
}

/// A fault that is set.
#[derive(Debug)]
struct Set {
    fault: Fault,
    /// The order; all orders if absent.
    order_id: Option<String>,
    /// How often it still happens; until it is cleared if absent.
    left: Option<u32>,
}

/// The faults of one call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) delay_before: u64,
    pub(super) delay_after: u64,
    /// The code of the refusal.
    pub(super) decline: Option<String>,
    pub(super) error: Option<String>,
    pub(super) fail: Option<Moment>,
    pub(super) drop: Option<Moment>,
    pub(super) cut: bool,
    pub(super) duplicate: bool,
    pub(super) notices: NoticeTrouble,
}

/// The faults of a call's notices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoticeTrouble {
    pub(super) copies: u8,
    pub(super) delay: u64,
    pub(super) stale: bool,
    pub(super) stray: bool,
}

impl Default for NoticeTrouble {
    fn default() -> Self {
        Self { copies: 1, delay: 0, stale: false, stray: false }
    }
}

impl Trouble {
    fn add(&mut self, call: Call, what: &FaultKind) {
        match what {
            FaultKind::Delay(Moment::Before, millis) => self.delay_before = self.delay_before.max(*millis),
            FaultKind::Delay(Moment::After, millis) => self.delay_after = self.delay_after.max(*millis),
            FaultKind::Decline(Some(code)) => self.decline = Some(code.clone()),
            FaultKind::Decline(None) => self.decline = Some(call.usual_refusal().to_owned()),
            FaultKind::Error(code) => self.error = Some(code.clone()),
            FaultKind::Fail(when) => self.fail = Some(*when),
            FaultKind::Drop(when) => self.drop = Some(*when),
            FaultKind::Cut => self.cut = true,
            FaultKind::Duplicate => self.duplicate = true,
            FaultKind::Copies(copies) => self.notices.copies = *copies,
            FaultKind::NoticeDelay(millis) => self.notices.delay = *millis,
            FaultKind::Stale => self.notices.stale = true,
            FaultKind::Stray => self.notices.stray = true,
            FaultKind::Lost => self.notices.copies = 0,
        }
    }
}

/// The faults that are set.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Set>);

impl Faults {
    /// Sets one more fault. Returns whether there was room.
    pub(super) fn set(&mut self, fault: Fault, order_id: Option<String>, left: Option<u32>) -> bool {
        let room = self.0.len() < FAULTS_MAX;
        if room {
            self.0.push(Set { fault, order_id, left });
        }
        room
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns the faults of a call of an order, and counts them down.
    pub(super) fn take(&mut self, call: Call, order_id: Option<&str>, random: &mut Random) -> Trouble {
        let mut trouble = Trouble::default();
        for set in &mut self.0 {
            let of_order = set.order_id.as_deref().is_none_or(|of| Some(of) == order_id);
            if set.fault.call == call && of_order && random.happens(set.fault.percent) {
                trouble.add(call, &set.fault.what);
                set.left = set.left.map(|left| left.saturating_sub(1));
            }
        }
        self.0.retain(|set| set.left != Some(0));
        trouble
    }

    pub(super) fn to_json(&self) -> Value {
        let faults = self
            .0
            .iter()
            .map(|set| json!({"fault": set.fault.to_string(), "orderId": set.order_id, "times": set.left}));
        json!({"faults": faults.collect::<Vec<Value>>()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Fault {
        text.parse().unwrap()
    }

    #[test]
    fn a_fault_is_written_as_it_is_read() {
        for text in [
            "delay-before:500",
            "delay-after:600000",
            "decline",
            "decline:REJECT_CARD_COMPANY",
            "error:PROVIDER_ERROR",
            "fail-before",
            "fail-after",
            "drop-before",
            "drop-after",
            "cut",
            "duplicate",
            "webhook-copies:3",
            "webhook-delay:10",
            "webhook-stale",
            "webhook-stray",
            "webhook-lost",
            "cancel/drop-after@20",
            "find/cut@1",
        ] {
            assert_eq!(fault(text).to_string(), text);
        }
        assert_eq!(fault("confirm/cut@100").to_string(), "cut");
    }

    #[test]
    fn what_is_no_fault_is_refused() {
        for text in [
            "",
            "cute",
            "cut@0",
            "cut@101",
            "cut@many",
            "delay-before",
            "delay-before:-1",
            "delay-before:600001",
            "decline:lower",
            "error",
            "error:",
            "pay/cut",
            "find/decline",
            "find/webhook-lost",
            "webhook-copies:0",
            "fail-before:1",
            "cut@",
        ] {
            assert_eq!(text.parse::<Fault>(), Err(InvalidFault), "{text}");
        }
    }

    #[test]
    fn a_fault_happens_to_its_order_and_call_as_often_as_was_said() {
        let (mut faults, mut random) = (Faults::default(), Random::seeded(1));
        assert!(faults.set(fault("drop-after"), Some("order-1".into()), Some(1)));
        assert!(faults.set(fault("delay-before:5"), None, None));
        let other = faults.take(Call::Confirm, Some("order-2"), &mut random);
        assert_eq!(other, Trouble { delay_before: 5, ..Trouble::default() });
        assert_eq!(faults.take(Call::Cancel, Some("order-1"), &mut random), Trouble::default());
        let first = faults.take(Call::Confirm, Some("order-1"), &mut random);
        assert_eq!((first.drop, first.delay_before), (Some(Moment::After), 5));
        assert_eq!(faults.take(Call::Confirm, Some("order-1"), &mut random).drop, None);
        faults.clear();
        assert_eq!(faults.take(Call::Confirm, Some("order-1"), &mut random), Trouble::default());
    }

    #[test]
    fn a_fault_with_a_percentage_happens_about_as_often() {
        let (mut faults, mut random) = (Faults::default(), Random::seeded(7));
        faults.set(fault("cut@20"), None, None);
        let happened = (0..1000).filter(|_| faults.take(Call::Confirm, None, &mut random).cut).count();
        assert!((150..250).contains(&happened), "{happened}");
    }

    #[test]
    fn faults_are_bounded() {
        let mut faults = Faults::default();
        let set = (0..FAULTS_MAX).all(|_| faults.set(fault("cut"), None, Some(1)));
        assert!(set && !faults.set(fault("cut"), None, Some(1)));
    }
}
