//! What a comparison prints: a table in Markdown, and the same as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{
    load::Kind,
    system::{Name, Weight},
};
use crate::{
    report::{Spread, float},
    round::Measured,
};

/// The generator bounds what is measured where it takes more than this part of the CPU.
const GENERATOR_SHARE: f64 = 0.5;
/// Others disturb the measurement where they take more than this part of the machine.
const OTHERS_SHARE: f64 = 0.1;

/// The rounds of one system under one load.
pub(crate) struct Row {
    pub(crate) name: Name,
    pub(crate) kind: Kind,
    pub(crate) connections: usize,
    pub(crate) rounds: Vec<Measured>,
    /// What wasn't as it should be.
    pub(crate) notes: Vec<String>,
}

impl Row {
    fn spread(&self, figure: impl Fn(&Measured) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.rounds.iter().filter_map(figure).collect())
    }

    fn units(&self, round: &Measured) -> f64 {
        float(round.completed) / float(self.kind.requests())
    }

    /// A second: holds, journeys or requests.
    fn rates(&self) -> Vec<f64> {
        self.rounds.iter().map(|round| self.units(round) / round.seconds).collect()
    }

    fn percentile(&self, at: f64) -> Option<Spread> {
        self.spread(|round| {
            (!round.latency.is_empty()).then(|| float(round.latency.value_at_percentile(at)) / 1000.0)
        })
    }

    /// Microseconds of the system's processes for one unit.
    fn cpu(&self) -> Option<Spread> {
        self.spread(|round| Some(float(round.server_cpu_micros?) / self.units(round).max(1.0)))
    }

    /// Bytes given to the disk for one unit.
    fn written(&self) -> Option<Spread> {
        self.spread(|round| Some(float(round.written_bytes?) / self.units(round).max(1.0)))
    }

    /// The generator's part of what it and the system used.
    fn generator_share(&self) -> Option<Spread> {
        self.spread(|round| {
            let own = float(round.own_cpu_micros?);
            Some(own / (own + float(round.server_cpu_micros?)).max(1.0))
        })
    }

    /// The cores that neither the generator nor the system used.
    fn others_cores(&self) -> Option<Spread> {
        self.spread(|round| {
            let ours = round.own_cpu_micros? + round.server_cpu_micros?;
            Some(float(round.machine_cpu_micros?.saturating_sub(ours)) / 1e6 / round.seconds)
        })
    }

    fn json(&self) -> Value {
        let spread = |spread: Option<Spread>| spread.map(Spread::json);
        let statuses: Vec<_> = self.rounds.iter().map(|round| &round.statuses).collect();
        let lost: usize = self.rounds.iter().map(|round| round.lost.len()).sum();
        json!({
            "system": self.name.text(), "load": self.kind.name(), "connections": self.connections,
            "perSecond": spread(Spread::of(self.rates())), "perSecondByRound": self.rates(),
            "p50Ms": spread(self.percentile(50.0)), "p99Ms": spread(self.percentile(99.0)),
            "serverCpuMicros": spread(self.cpu()), "bytesWritten": spread(self.written()),
            "generatorShare": spread(self.generator_share()), "othersCores": spread(self.others_cores()),
            "statusesByRound": statuses, "connectionsLost": lost, "notes": self.notes,
        })
    }
}

/// All of a comparison.
pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
    pub(crate) weights: Vec<(Name, Weight)>,
    /// How many cores the machine has.
    pub(crate) cores: usize,
}

/// Divides what the first has by what the other has, round by round.
fn ratio(ours: &Row, other: &Row) -> Option<Spread> {
    let pairs = ours.rates().into_iter().zip(other.rates());
    Spread::of(pairs.filter(|(_, other)| *other > 0.0).map(|(ours, other)| ours / other).collect())
}

impl Table {
    /// `onsale`'s row under the same load.
    fn ours(&self, row: &Row) -> Option<&Row> {
        let same = |ours: &&Row| ours.kind == row.kind && ours.connections == row.connections;
        self.rows.iter().filter(same).find(|ours| ours.name == Name::Onsale)
    }

    /// Writes it in Markdown: one table a load, then what a seat weighs, then what has to be said.
    pub(crate) fn markdown(&self) -> String {
        let mut out = String::new();
        let mut of = None;
        for row in &self.rows {
            if of != Some((row.kind, row.connections)) {
                of = Some((row.kind, row.connections));
                let (load, connections) = (row.kind.name(), row.connections);
                let _ = writeln!(
                    out,
                    "\n| {load}, {connections} connections | a second | `onsale` ÷ it | p50 ms | p99 ms | CPU µs | bytes written | generator |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
                );
            }
            self.line(row, &mut out);
        }

        if !self.weights.is_empty() {
            out.push_str("\n| memory, bytes a seat | free | held |\n| --- | --- | --- |\n");
        }
        for (name, Weight { free, held }) in &self.weights {
            let bytes = |bytes: &Option<f64>| bytes.map_or_else(dash, |bytes| format!("{bytes:.0}"));
            let _ = writeln!(out, "| {} | {} | {} |", name.text(), bytes(free), bytes(held));
        }
        self.notes(&mut out);
        out
    }

    fn line(&self, row: &Row, out: &mut String) {
        let whole = |value: f64| thousands(value);
        let rate = shown(Spread::of(row.rates()), whole);
        let ratio = self.ours(row).filter(|_| row.name != Name::Onsale).and_then(|ours| ratio(ours, row));
        let written = if row.kind.changes() && row.name.keeps() { row.written() } else { None };
        let _ = writeln!(
            out,
            "| {} | {rate} | {} | {} | {} | {} | {} | {} |",
            row.name.text(),
            shown(ratio, |value| format!("{value:.2}")),
            shown(row.percentile(50.0), |value| format!("{value:.1}")),
            shown(row.percentile(99.0), |value| format!("{value:.1}")),
            row.cpu().map_or_else(dash, |cpu| format!("{:.1}", cpu.median)),
            written.map_or_else(dash, |written| thousands(written.median)),
            row.generator_share().map_or_else(dash, |share| format!("{:.0} %", share.median * 100.0)),
        );
    }

    fn notes(&self, out: &mut String) {
        let mut notes = Vec::new();
        for row in &self.rows {
            let of = format!("{}, {}, {} connections", row.name.text(), row.kind.name(), row.connections);
            if row.generator_share().is_some_and(|share| share.median > GENERATOR_SHARE) {
                notes.push(format!(
                    "{of}: the generator took more CPU than the system, so it bounds the figure"
                ));
            }
            notes.extend(row.notes.iter().map(|note| format!("{of}: {note}")));
            let lost: Vec<_> = row.rounds.iter().flat_map(|round| &round.lost).collect();
            if let Some(first) = lost.first() {
                notes.push(format!("{of}: {} connections lost (first: {first})", lost.len()));
            }
        }
        if let Some(others) = self.others() {
            let cores = float(u64::try_from(self.cores).unwrap_or(1));
            if others.max > cores * OTHERS_SHARE {
                notes.push(format!(
                    "other work took {:.2} of the {} cores (median of all rounds; at most {:.2})",
                    others.median, self.cores, others.max
                ));
            }
        }
        if !notes.is_empty() {
            let _ = writeln!(out, "\n- {}", notes.join("\n- "));
        }
    }

    fn others(&self) -> Option<Spread> {
        let rows = self.rows.iter().filter_map(Row::others_cores);
        Spread::of(rows.flat_map(|others| [others.min, others.median, others.max]).collect())
    }

    pub(crate) fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let mut json = row.json();
            let ratio = self.ours(row).and_then(|ours| ratio(ours, row));
            json["onsaleToIt"] = ratio.map(Spread::json).into();
            json
        });
        let weights = self.weights.iter().map(|(name, Weight { free, held })| {
            json!({ "system": name.text(), "freeSeatBytes": free, "heldSeatBytes": held })
        });
        json!({
            "rows": rows.collect::<Vec<_>>(), "memory": weights.collect::<Vec<_>>(), "cores": self.cores,
            "othersCores": self.others().map(Spread::json),
        })
    }

    /// Whether every answer was the expected one.
    pub(crate) fn is_clean(&self) -> bool {
        self.rows
            .iter()
            .all(|row| row.notes.is_empty() && row.rounds.iter().all(|round| round.lost.is_empty()))
    }
}

fn dash() -> String {
    "–".to_owned()
}

/// The median, and from where to where.
fn shown(spread: Option<Spread>, value: impl Fn(f64) -> String) -> String {
    spread.map_or_else(dash, |Spread { median, min, max }| {
        format!("{} ({}–{})", value(median), value(min), value(max))
    })
}

/// A whole number with its thousands apart.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: Name, kind: Kind, completed: &[u64]) -> Row {
        let round = |&completed: &u64| Measured {
            completed,
            seconds: 2.0,
            server_cpu_micros: Some(completed * 20),
            own_cpu_micros: Some(completed * 10),
            machine_cpu_micros: Some(completed * 30 + 500_000),
            written_bytes: Some(completed * 100),
            ..Measured::new()
        };
        Row { name, kind, connections: 64, rounds: completed.iter().map(round).collect(), notes: vec![] }
    }

    fn spread(median: f64, min: f64, max: f64) -> Spread {
        Spread { median, min, max }
    }

    #[test]
    fn a_ratio_is_of_neighbours_in_time() {
        let (ours, other) = (
            row(Name::Onsale, Kind::Holds, &[100, 900, 300]),
            row(Name::Echo, Kind::Holds, &[200, 300, 300]),
        );
        assert_eq!(ratio(&ours, &other), Some(spread(1.0, 0.5, 3.0)));
        assert_eq!(ratio(&ours, &row(Name::Echo, Kind::Holds, &[0])), None);
    }

    #[test]
    fn a_journey_is_two_requests() {
        let journeys = row(Name::Onsale, Kind::Journeys, &[100]);
        assert_eq!(journeys.rates(), [25.0]);
        assert_eq!(journeys.cpu().map(|cpu| cpu.median), Some(40.0));
        assert_eq!(journeys.written().map(|written| written.median), Some(200.0));
        assert_eq!(row(Name::Onsale, Kind::Holds, &[100]).rates(), [50.0]);
    }

    #[test]
    fn the_table_says_who_used_the_cpu() {
        let mut generator_bound = row(Name::Echo, Kind::Holds, &[200]);
        generator_bound.rounds[0].own_cpu_micros = Some(5000);
        let table = Table {
            rows: vec![row(Name::Onsale, Kind::Holds, &[4000]), generator_bound],
            weights: vec![(Name::Onsale, Weight { free: Some(30.4), held: None })],
            cores: 2,
        };
        let text = table.markdown();
        assert!(text.contains("| onsale | 2,000 (2,000–2,000) | – |"), "{text}");
        assert!(text.contains("| echo | 100 (100–100) | 20.00 (20.00–20.00) |"), "{text}");
        assert!(text.contains("| onsale | 30 | – |"), "{text}");
        assert!(text.contains("echo, holds, 64 connections: the generator took more CPU"), "{text}");
        assert!(!text.contains("onsale, holds, 64 connections: the generator"), "{text}");
        assert!(text.contains("other work took 0.25 of the 2 cores"), "{text}");
        assert!(table.is_clean());
    }

    #[test]
    fn thousands_are_apart() {
        for (value, text) in [(0.0, "0"), (999.4, "999"), (1000.0, "1,000"), (1_234_567.0, "1,234,567")] {
            assert_eq!(thousands(value), text);
        }
    }
}
