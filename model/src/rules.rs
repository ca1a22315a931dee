//! The rules of the log, of leases and of takeovers, each of which can be broken; and how far a check goes.

/// What nodes and servers do. The default is what is right; each field breaks one rule where it is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule of its own")]
pub(crate) struct Rules {
    /// Servers take a frame only behind the one that it names (`Nats-Expected-Last-Subject-Sequence`, `Session::publish`).
    pub(crate) fence: bool,
    /// Servers answer "stored" to whoever sends an ordinal that they have, before they look at the fence (`Nats-Msg-Id`).
    pub(crate) deduplicates_first: bool,
    /// A replay goes on until the own `Life` has come (`Claimed::until`).
    pub(crate) replays_to_own_life: bool,
    /// `Appender::look` takes "there is nothing behind it" for "it isn't there" (`Looked::Nothing`).
    pub(crate) nothing_is_a_verdict: bool,
    /// Reads end with the lease (`reads_until`).
    pub(crate) reads_end: bool,
    /// A claimer waits until the reads of owners before it are over.
    pub(crate) waits: bool,
    /// It waits for every owner whose reads may go on, and not only for the author of the last `Life`.
    pub(crate) waits_for_all: bool,
    /// A claim is told in the bucket of leases, and the claimer counts from when that was delivered back.
    pub(crate) hint_first: bool,
    /// A renewal counts from when it was sent, and not from when it was delivered back.
    pub(crate) counts_from_sent: bool,
}

impl Rules {
    pub(crate) const RIGHT: Self = Self {
        fence: true,
        deduplicates_first: false,
        replays_to_own_life: true,
        nothing_is_a_verdict: false,
        reads_end: true,
        waits: true,
        waits_for_all: true,
        hint_first: true,
        counts_from_sent: true,
    };
}

/// How far a check goes. Time, messages that are lost, late or doubled, and renewals have no bound: counters stop where they say nothing
/// new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) lanes: u8,
    /// How many lives begin in a lane.
    pub(crate) lives: u8,
    /// How many changes clients ask for, in all lanes.
    pub(crate) changes: u8,
    /// How many times a node dies.
    pub(crate) crashes: u8,
    /// How many ticks clocks lose, in all; [`Bounds::silence`] allows for one.
    pub(crate) lost_ticks: u8,
    /// How many ticks a lease lasts.
    pub(crate) ttl: u8,
    /// Whether it begins where node 0 serves the first lane already.
    pub(crate) begun: bool,
}

impl Bounds {
    /// How many ticks of silence end a lease for everyone else: one more, since a clock may lose one.
    pub(crate) fn silence(self) -> u8 {
        self.ttl + 1
    }
}
