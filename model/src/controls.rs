//! One rule broken at a time. Each has to break a promise, or the model would promise nothing.

use crate::rules::{Bounds, Rules};

/// A rule that is broken, how far it takes to see it, and the promise that falls first.
pub(crate) struct Control {
    pub(crate) name: &'static str,
    pub(crate) rules: Rules,
    pub(crate) bounds: Bounds,
    pub(crate) breaks: &'static str,
}

const HISTORY: &str = "one history";
const LOST: &str = "nothing acknowledged is lost";
const OUTCOME: &str = "what was said of an unknown outcome is true";
const STALE: &str = "no read is older than an acknowledged change";

const SHORT: Bounds =
    Bounds { lanes: 1, lives: 2, changes: 1, crashes: 0, lost_ticks: 0, ttl: 1, begun: false };

/// See the module.
pub(crate) const CONTROLS: [Control; 10] = [
    Control {
        name: "servers take a frame wherever the log ends",
        rules: Rules { fence: false, ..Rules::RIGHT },
        bounds: SHORT,
        breaks: HISTORY,
    },
    Control {
        name: "servers look for a known ordinal before they look at the fence",
        rules: Rules { deduplicates_first: true, ..Rules::RIGHT },
        bounds: SHORT,
        breaks: LOST,
    },
    Control {
        name: "a replay ends where one server's log ends",
        rules: Rules { replays_to_own_life: false, ..Rules::RIGHT },
        bounds: SHORT,
        breaks: LOST,
    },
    Control {
        name: "a look that finds nothing is a verdict",
        rules: Rules { nothing_is_a_verdict: true, ..Rules::RIGHT },
        bounds: SHORT,
        breaks: OUTCOME,
    },
    Control {
        name: "reads go on when the lease is over",
        rules: Rules { reads_end: false, ..Rules::RIGHT },
        bounds: SHORT,
        breaks: STALE,
    },
    Control {
        name: "a claimer serves before the old lease is over",
        rules: Rules { waits: false, ..Rules::RIGHT },
        bounds: SHORT,
        breaks: STALE,
    },
    Control {
        name: "a renewal counts from when it comes back, and not from when it was sent",
        rules: Rules { counts_from_sent: false, ..Rules::RIGHT },
        bounds: SHORT,
        breaks: STALE,
    },
    // The three that the design left open.
    Control {
        name: "a claimer counts on silence alone, and tells of its claim when it serves",
        rules: Rules { hint_first: false, ..Rules::RIGHT },
        bounds: SHORT,
        breaks: STALE,
    },
    Control {
        name: "a claimer waits for the author of the last life alone",
        rules: Rules { waits_for_all: false, ..Rules::RIGHT },
        bounds: Bounds { lives: 3, crashes: 1, begun: true, ..SHORT },
        breaks: STALE,
    },
    Control {
        name: "a clock stands still for longer than the margin",
        rules: Rules::RIGHT,
        bounds: Bounds { lost_ticks: 3, begun: true, ..SHORT },
        breaks: STALE,
    },
];
