//! What a run prints, and the same as JSON.

use std::fmt::Write;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::{audit::Findings, round::Measured};

/// The rounds of one server with one number of connections.
pub(crate) struct Series {
    pub(crate) connections: usize,
    pub(crate) name: &'static str,
    pub(crate) rounds: Vec<Measured>,
}

/// Median, least and greatest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Summarises values; nothing if there are none.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Some(Self { median, min, max })
    }

    pub(crate) fn json(self) -> Value {
        json!({ "median": self.median, "min": self.min, "max": self.max })
    }
}

impl Series {
    fn rates(&self) -> Vec<f64> {
        self.rounds.iter().map(|round| float(round.completed) / round.seconds).collect()
    }

    /// The 99th percentiles of the rounds, in milliseconds.
    fn p99s(&self) -> Vec<f64> {
        self.rounds.iter().map(|round| float(round.latency.value_at_percentile(99.0)) / 1000.0).collect()
    }

    /// The last round in a few words.
    pub(crate) fn last_rate(&self) -> Option<String> {
        self.rates().last().map(|rate| format!("{} {rate:.0}/s", self.name))
    }

    /// The latencies of all rounds, in milliseconds.
    pub(crate) fn percentiles(&self) -> [(&'static str, f64); 6] {
        percentiles(&self.total().latency)
    }

    /// All rounds together.
    pub(crate) fn total(&self) -> Measured {
        let mut total = Measured::new();
        for round in &self.rounds {
            total.add(round);
        }
        total
    }

    /// Writes the line of the table, and a second one for what isn't a number of it.
    pub(crate) fn line(&self, out: &mut String) {
        let total = self.total();
        let rate = Spread::of(self.rates()).map_or_else(String::new, |rate| {
            format!("{:>8.0} ({:.0}–{:.0})", rate.median, rate.min, rate.max)
        });
        let (connections, name) = (self.connections, self.name);
        let server = per_request(total.server_cpu_micros, total.completed);
        let own = per_request(total.own_cpu_micros, total.completed);
        let _ = write!(out, "{connections:>5}  {name:<12} {rate:<26} {server:>7} {own:>7} ");
        for (_, value) in percentiles(&total.latency) {
            let _ = write!(out, "{value:>10.3}");
        }
        out.push('\n');
        let _ = writeln!(out, "       {}", outcomes(&total));
        if !total.service.is_empty() {
            let _ = write!(out, "       from sending (a connection was free): ");
            for (name, value) in percentiles(&total.service) {
                let _ = write!(out, " {name} {value:.3}");
            }
            out.push('\n');
        }
    }

    pub(crate) fn json(&self) -> Value {
        let total = self.total();
        let per = |micros: Option<u64>| micros.map(|micros| float(micros) / float(total.completed.max(1)));
        let latencies =
            |histogram| percentiles(histogram).map(|(name, value)| json!({ "at": name, "ms": value }));
        json!({
            "connections": self.connections,
            "server": self.name,
            "requestsPerSecond": Spread::of(self.rates()).map(Spread::json),
            "requestsPerSecondByRound": self.rates(),
            "requests": total.completed,
            "serverCpuMicrosPerRequest": per(total.server_cpu_micros),
            "generatorCpuMicrosPerRequest": per(total.own_cpu_micros),
            "latency": latencies(&total.latency),
            "latencyFromSending": (!total.service.is_empty()).then(|| latencies(&total.service)),
            "bodyBytesPerAnswer": total.body_bytes / total.completed.max(1),
            "statuses": total.statuses,
            "contendedTaken": total.taken,
            "connectionsLost": total.lost,
            "outOfSeats": total.out_of_seats,
            "unsent": total.unsent,
        })
    }
}

/// The head of the table.
pub(crate) fn head() -> String {
    let mut head = format!(
        "{:>5}  {:<12} {:<26} {:>7} {:>7} ",
        "conns", "server", "requests/s (min–max)", "CPU µs", "own µs"
    );
    for name in PERCENTILES.map(|(name, _)| name) {
        let _ = write!(head, "{:>10}", format!("{name} ms"));
    }
    head.push('\n');
    head
}

/// Compares the rounds of two series, each with its neighbour in time.
pub(crate) fn ratio(a: &Series, b: &Series) -> Option<Spread> {
    by_neighbour(&a.rates(), &b.rates())
}

fn by_neighbour(a: &[f64], b: &[f64]) -> Option<Spread> {
    let pairs = a.iter().zip(b);
    Spread::of(pairs.filter(|(_, b)| **b > 0.0).map(|(a, b)| a / b).collect())
}

/// The 99th percentiles of two series' rounds, in milliseconds, and the one's by the other's.
pub(crate) struct P99s {
    ours: Spread,
    others: Spread,
    pub(crate) ratio: Spread,
}

/// Compares the 99th percentiles of two series, round by round.
pub(crate) fn p99s(ours: &Series, other: &Series) -> Option<P99s> {
    let (a, b) = (ours.p99s(), other.p99s());
    let ratio = by_neighbour(&a, &b)?;
    Some(P99s { ours: Spread::of(a)?, others: Spread::of(b)?, ratio })
}

impl P99s {
    /// Writes the line below a table.
    pub(crate) fn line(&self) -> String {
        let shown = |Spread { median, min, max }: Spread| format!("{median:.2} ({min:.2}–{max:.2})");
        let [ours, others, ratio] = [self.ours, self.others, self.ratio].map(shown);
        format!("p99 by round: onsale {ours} ms, echo {others} ms, onsale/echo {ratio}\n")
    }
}

/// Writes the line of a ratio.
pub(crate) fn ratio_line(connections: usize, ratio: Spread, out: &mut String) {
    let Spread { median, min, max } = ratio;
    let _ = writeln!(out, "{connections:>5}  onsale/echo  {median:>8.3} ({min:.3}–{max:.3})\n");
}

/// A ratio as JSON.
pub(crate) fn ratio_json(connections: usize, ratio: Spread) -> Value {
    json!({ "connections": connections, "onsaleToEcho": ratio.json() })
}

pub(crate) const PERCENTILES: [(&str, f64); 6] =
    [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("p99.99", 99.99), ("max", 100.0)];

/// The percentiles of microseconds, in milliseconds.
pub(crate) fn percentiles(histogram: &Histogram<u64>) -> [(&'static str, f64); 6] {
    PERCENTILES.map(|(name, at)| (name, float(histogram.value_at_percentile(at)) / 1000.0))
}

/// A line of percentiles, in milliseconds; none without values.
pub(crate) fn percentile_line(what: &str, histogram: &Histogram<u64>) -> String {
    if histogram.is_empty() {
        return String::new();
    }
    let mut line = format!("{what} ({} values):", histogram.len());
    for (name, value) in percentiles(histogram) {
        let _ = write!(line, " {name} {value:.0} ms");
    }
    line.push('\n');
    line
}

/// The same as JSON.
pub(crate) fn percentiles_json(histogram: &Histogram<u64>) -> Value {
    percentiles(histogram).map(|(name, value)| json!({ "at": name, "ms": value })).into()
}

fn per_request(micros: Option<u64>, requests: u64) -> String {
    micros
        .filter(|_| requests > 0)
        .map_or_else(|| "-".to_owned(), |micros| format!("{:.1}", float(micros) / float(requests)))
}

fn outcomes(total: &Measured) -> String {
    let mut words: Vec<String> =
        total.statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
    if let Some(bytes) = total.body_bytes.checked_div(total.completed) {
        words.push(format!("{bytes} bytes an answer"));
    }
    if total.taken > 0 {
        words.push(format!("of the 409, {} for contended seats", total.taken));
    }
    if let Some(first) = total.lost.first() {
        words.push(format!("{} connections lost (first: {first})", total.lost.len()));
    }
    if total.out_of_seats > 0 {
        words.push(format!("{} connections out of seats", total.out_of_seats));
    }
    if total.unsent > 0 {
        words.push(format!("{} arrivals never sent", total.unsent));
    }
    words.join(", ")
}

/// Says what was checked and what differs.
pub(crate) fn findings(findings: &Findings) -> String {
    let Findings {
        acknowledged,
        live,
        released,
        released_asked,
        unsure_releases,
        unsure_holds,
        seats,
        faults,
    } = findings;
    let mut out = format!(
        "check: {acknowledged} acknowledged holds, one owner a seat; {live} live and {released_asked} of {released} released asked for; {seats} seats in the map; unknown outcomes: {unsure_holds} holds, {unsure_releases} releases\n"
    );
    if faults.count == 0 {
        out.push_str("check: passed\n");
        return out;
    }

    let _ = writeln!(out, "check: FAILED, {} differences:", faults.count);
    for fault in &faults.first {
        let _ = writeln!(out, "  {fault}");
    }

    if u64::try_from(faults.first.len()).is_ok_and(|shown| shown < faults.count) {
        out.push_str("  …\n");
    }
    out
}

/// A number for a ratio.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "for a person to read; exact below 2^53"
)]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p99s_are_compared_round_by_round() {
        let series = |name, p99s: &[u64]| {
            let round = |&p99: &u64| {
                let mut round = Measured::new();
                round.latency.record(p99).unwrap();
                round
            };
            Series { connections: 1, name, rounds: p99s.iter().map(round).collect() }
        };
        let (ours, echo) = (series("onsale", &[1000, 600, 900]), series("echo", &[500, 100, 300]));
        let expected = "p99 by round: onsale 0.90 (0.60–1.00) ms, echo 0.30 (0.10–0.50) ms, onsale/echo 3.00 (2.00–6.00)\n";
        assert_eq!(p99s(&ours, &echo).unwrap().line(), expected);
        assert!(p99s(&ours, &series("echo", &[])).is_none());
    }

    #[test]
    fn a_spread_is_of_sorted_values() {
        assert_eq!(Spread::of(vec![]), None);
        assert_eq!(Spread::of(vec![3.0, 1.0, 9.0]), Some(Spread { median: 3.0, min: 1.0, max: 9.0 }));
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 9.0]), Some(Spread { median: 3.0, min: 1.0, max: 9.0 }));
    }
}
