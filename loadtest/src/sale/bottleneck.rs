//! Whether the generator was what bounded a run.

use super::show::Show;
use crate::{
    child::cpu_micros,
    report::{float, percentiles},
};

/// The generator may bound a run in which it uses more than this part of the machine's cores; the server needs the others.
const BUSY: f64 = 0.45;
/// Its own delay counts as latency, so it has to be small beside what is measured: in milliseconds, at the 99th percentile.
const LATE_MILLIS: f64 = 5.0;

/// What the generator had used at an instant.
pub(super) struct Watch {
    began: u64,
    own: Option<u64>,
}

impl Watch {
    pub(super) fn start(show: &Show) -> Self {
        Self { began: show.clock.nanos(), own: cpu_micros(std::process::id()) }
    }

    /// How many cores the generator has used since.
    pub(super) fn cores(&self, show: &Show) -> f64 {
        let own = cpu_micros(std::process::id()).zip(self.own).map_or(0, |(now, before)| now - before);
        float(own) * 1000.0 / float((show.clock.nanos() - self.began).max(1))
    }

    /// Says in a sentence whether the generator was the bottleneck; call it before connections end.
    pub(super) fn verdict(&self, show: &Show) -> String {
        let all = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let all = float(u64::try_from(all).unwrap_or(1));
        let (used, [_, _, (_, late), ..]) = (self.cores(show), percentiles(&show.agenda.lag()));
        let figures =
            format!("it used {used:.2} of {all:.0} cores and was {late:.1} ms late at its 99th percentile");
        let waiting = show.agenda.late(show.clock.nanos());
        if used > BUSY * all || late > LATE_MILLIS {
            format!(
                "the generator may be what bounds these figures: {figures}, {waiting} steps waited for a connection at the end"
            )
        } else {
            format!(
                "the generator wasn't the bottleneck: {figures}, {waiting} steps waited for a connection at the end"
            )
        }
    }
}
