//! What streams cost the server while something goes on.

use std::{fmt::Write, sync::atomic::Ordering, time::Duration};

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::streams::Counts;
use crate::{
    child::{cpu_micros, resident_bytes},
    drive::Asked,
    report::float,
    round::difference,
};

/// A span of time with streams.
pub(super) struct Stage {
    name: &'static str,
    seconds: f64,
    events: u64,
    /// The most events that came in a second.
    peak: u64,
    server_cpu_micros: Option<u64>,
    own_cpu_micros: Option<u64>,
    /// The server's memory at the beginning, and the most that it was.
    resident_bytes: (Option<u64>, Option<u64>),
}

/// Measures what goes on while `work` does.
pub(super) async fn stage<T>(
    name: &'static str,
    counts: &Counts,
    asked: Asked,
    work: impl Future<Output = T>,
) -> (Stage, T) {
    let Asked { pid, clock, .. } = asked;
    let cpu = || (pid.and_then(cpu_micros), cpu_micros(std::process::id()));
    let count = || counts.events.load(Ordering::Relaxed);
    let resident = || pid.and_then(resident_bytes);
    let (began, before, events_before) = (clock.nanos(), cpu(), count());
    let (mut peak, mut last, at_first) = (0, events_before, resident());
    let mut most = at_first;
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    seconds.tick().await;

    let mut work = std::pin::pin!(work);
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            _ = seconds.tick() => {
                let now = count();
                peak = peak.max(now - last);
                last = now;
                most = most.max(resident());
            }
        }
    };
    let after = cpu();
    let stage = Stage {
        name,
        seconds: float(clock.nanos() - began) / 1e9,
        events: count() - events_before,
        peak,
        server_cpu_micros: difference(before.0, after.0),
        own_cpu_micros: difference(before.1, after.1),
        resident_bytes: (at_first, most.max(resident())),
    };

    (stage, done)
}

/// The head of the table of stages.
pub(super) fn head() -> String {
    format!(
        "{:<26} {:>8} {:>10} {:>10} {:>10} {:>10} {:>12} {:>10} {:>14}\n",
        "streams",
        "seconds",
        "events",
        "events/s",
        "peak/s",
        "CPU s",
        "CPU µs/event",
        "own CPU s",
        "resident MB"
    )
}

impl Stage {
    pub(super) fn line(&self, out: &mut String) {
        let seconds = |micros: Option<u64>| {
            micros.map_or_else(|| "-".to_owned(), |micros| format!("{:.2}", float(micros) / 1e6))
        };
        let each = self.server_cpu_micros.filter(|_| self.events > 0);
        let each = each
            .map_or_else(|| "-".to_owned(), |micros| format!("{:.1}", float(micros) / float(self.events)));
        let resident = match self.resident_bytes {
            (Some(at_first), Some(most)) => format!("{}–{}", at_first >> 20, most >> 20),
            (None, _) | (_, None) => "-".to_owned(),
        };

        let _ = writeln!(
            out,
            "{:<26} {:>8.1} {:>10} {:>10.0} {:>10} {:>10} {:>12} {:>10} {:>14}",
            self.name,
            self.seconds,
            self.events,
            float(self.events) / self.seconds,
            self.peak,
            seconds(self.server_cpu_micros),
            each,
            seconds(self.own_cpu_micros),
            resident,
        );
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "stage": self.name, "seconds": self.seconds, "events": self.events, "eventsPerSecondMost": self.peak,
            "serverCpuMicros": self.server_cpu_micros, "generatorCpuMicros": self.own_cpu_micros,
            "residentBytes": self.resident_bytes.0, "residentBytesMost": self.resident_bytes.1,
        })
    }
}
