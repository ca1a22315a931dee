//! What each kind of step took, and what it was answered.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Mutex, MutexGuard, PoisonError},
};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::person::Step;
use crate::{
    html::{self, Line, Plot},
    report::{PERCENTILES, float, percentiles, percentiles_json},
    round::{histogram, record},
    timeline::Slice,
    wire::{Answer, text_field},
};

/// A slice of the time, in nanoseconds.
const SECOND: u64 = 1_000_000_000;
/// The longest run that is kept second by second.
const SECONDS_MAX: u64 = 3_600;

/// One kind of step.
pub(super) struct Kind {
    /// Microseconds from the instant at which it was meant to be sent until the answer that settled it, repetitions included.
    pub(super) latency: Histogram<u64>,
    /// The same of those that no outage of the server lay in.
    pub(super) calm: Histogram<u64>,
    /// Microseconds from the sending of the last request.
    service: Histogram<u64>,
    /// By what was answered: `201`, `409 seat_unavailable`, `lost`.
    pub(super) answers: BTreeMap<String, u64>,
    /// Each second; a histogram of two digits, since there are many.
    over_time: Vec<Slice>,
}

/// All kinds.
pub(super) struct Figures {
    from: u64,
    kinds: Vec<Mutex<Kind>>,
    /// When the server was away, in nanoseconds of the clock.
    outages: Mutex<Vec<(u64, u64)>>,
}

/// When a step was meant, when it was last sent, and when its answer had been read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) meant: u64,
    pub(super) sent: u64,
    pub(super) ended: u64,
}

impl Figures {
    pub(super) fn new(from: u64) -> Self {
        let kind = || {
            Mutex::new(Kind {
                latency: histogram(),
                calm: histogram(),
                service: histogram(),
                answers: BTreeMap::new(),
                over_time: Vec::new(),
            })
        };
        let kinds = std::iter::repeat_with(kind).take(Step::ALL.len()).collect();
        Self { from, kinds, outages: Mutex::default() }
    }

    pub(super) fn kind(&self, step: Step) -> MutexGuard<'_, Kind> {
        let at = Step::ALL.iter().position(|&kind| kind == step).expect("all steps are there");
        self.kinds[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what was answered, whatever follows.
    pub(super) fn answered(&self, step: Step, answer: &Answer<'_>) {
        let word = if answer.status < 400 {
            answer.status.to_string()
        } else {
            let code = text_field(answer.body, "\"code\"").unwrap_or("?");
            format!("{} {code}", answer.status)
        };
        self.count(step, &word);
    }

    pub(super) fn count(&self, step: Step, word: &str) {
        let mut kind = self.kind(step);
        match kind.answers.get_mut(word) {
            Some(count) => *count += 1,
            None => {
                kind.answers.insert(word.to_owned(), 1);
            }
        }
    }

    /// Notes a step that is settled.
    pub(super) fn settled(&self, step: Step, times: Times) {
        let Times { meant, sent, ended } = times;
        let outages = self.outages.lock().unwrap_or_else(PoisonError::into_inner);
        let calm = outages.iter().all(|&(from, until)| ended < from || meant > until);
        drop(outages);
        let mut kind = self.kind(step);
        let took = ended.saturating_sub(meant);
        record(&mut kind.latency, took);
        if calm {
            record(&mut kind.calm, took);
        }
        record(&mut kind.service, ended.saturating_sub(sent));
        if let Some(slice) = kind.slice(self.second(meant)) {
            record(&mut slice.latency, took);
        }
        if let Some(slice) = kind.slice(self.second(ended)) {
            slice.ended += 1;
        }
    }

    fn second(&self, at: u64) -> u64 {
        at.saturating_sub(self.from) / SECOND
    }

    /// Notes that the server is away from now on; returns the number of the outage.
    pub(super) fn away(&self, now: u64) {
        self.outages.lock().unwrap_or_else(PoisonError::into_inner).push((now, u64::MAX));
    }

    /// Notes that it is back.
    pub(super) fn back(&self, now: u64) {
        if let Some(last) = self.outages.lock().unwrap_or_else(PoisonError::into_inner).last_mut() {
            last.1 = now;
        }
    }

    /// The steps that anybody took.
    pub(super) fn seen(&self) -> impl Iterator<Item = Step> {
        Step::ALL.into_iter().filter(|&step| !self.kind(step).answers.is_empty())
    }

    /// A table: a line a kind, and one of what was answered.
    pub(super) fn table(&self, out: &mut String) {
        let _ = write!(out, "{:<9} {:>9}", "step", "settled");
        for (name, _) in PERCENTILES {
            let _ = write!(out, " {:>10}", format!("{name} ms"));
        }
        out.push_str("   answers\n");
        for step in self.seen() {
            let kind = self.kind(step);
            let _ = write!(out, "{:<9} {:>9}", step.name(), kind.latency.len());
            for (_, value) in percentiles(&kind.latency) {
                let _ = write!(out, " {value:>10.3}");
            }
            let answers: Vec<_> =
                kind.answers.iter().map(|(word, count)| format!("{word}: {count}")).collect();
            let _ = writeln!(out, "   {}", answers.join(", "));
        }
    }

    pub(super) fn json(&self) -> Value {
        let kind = |step: Step| {
            let kind = self.kind(step);
            json!({
                "step": step.name(), "settled": kind.latency.len(), "answers": kind.answers,
                "latencyFromTheIntendedInstant": percentiles_json(&kind.latency),
                "withoutOutages": percentiles_json(&kind.calm),
                "latencyFromSending": percentiles_json(&kind.service),
                "settledEachSecond": kind.over_time.iter().map(|slice| slice.ended).collect::<Vec<_>>(),
            })
        };
        self.seen().map(kind).collect()
    }

    /// The table of the page.
    pub(super) fn html_table(&self) -> String {
        let mut out = String::from("<table><tr><th>ms</th>");
        for (name, _) in PERCENTILES {
            let _ = write!(out, "<th>{name}</th>");
        }
        out.push_str("<th>settled</th><th>answers</th></tr>\n");
        for step in self.seen() {
            let kind = self.kind(step);
            let _ = write!(out, "<tr><td>{}</td>", step.name());
            for (_, value) in percentiles(&kind.latency) {
                let _ = write!(out, "<td>{value:.3}</td>");
            }
            let answers: Vec<_> =
                kind.answers.iter().map(|(word, count)| format!("{word}: {count}")).collect();
            let answers = html::escaped(&answers.join(", "));
            let _ = writeln!(out, "<td>{}</td><td>{answers}</td></tr>", kind.latency.len());
        }
        out.push_str("</table>\n");
        out
    }

    /// The plots of the page: steps a second, latency over time, percentiles.
    pub(super) fn plots(&self) -> Vec<Plot> {
        let (mut rates, mut latencies, mut curves) = (Vec::new(), Vec::new(), Vec::new());
        let mut last = 1_u32;
        for step in self.seen() {
            let kind = self.kind(step);
            let seconds = || (0_u32..).zip(&kind.over_time);
            last = last.max(u32::try_from(kind.over_time.len()).unwrap_or(u32::MAX));
            let points = seconds().map(|(second, slice)| (f64::from(second) + 0.5, float(slice.ended)));
            rates.push(Line { name: step.name().to_owned(), points: points.collect() });
            let seen = seconds().filter(|(_, slice)| !slice.latency.is_empty());
            let points = seen.map(|(second, slice)| {
                (f64::from(second) + 0.5, float(slice.latency.value_at_percentile(99.0)) / 1000.0)
            });
            latencies.push(Line { name: format!("{} p99", step.name()), points: points.collect() });
            curves.push(Line { name: step.name().to_owned(), points: html::curve(&kind.latency) });
        }

        let seconds = f64::from(last);
        vec![
            Plot {
                title: "Steps settled a second",
                x_name: "seconds",
                y_name: "steps/s",
                x_marks: html::marks(seconds),
                logarithmic: true,
                lines: rates,
            },
            Plot::latency_over_time(seconds, latencies),
            Plot::latency_by_percentile(curves),
        ]
    }
}

impl Kind {
    fn slice(&mut self, second: u64) -> Option<&mut Slice> {
        if second >= SECONDS_MAX {
            return None;
        }
        let second = usize::try_from(second).ok()?;
        while self.over_time.len() <= second {
            let latency = Histogram::new(2).expect("two digits are allowed");
            self.over_time.push(Slice { latency, ended: 0 });
        }
        self.over_time.get_mut(second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_an_outage_lay_in_counts_in_all_and_not_in_the_calm_ones() {
        let figures = Figures::new(0);
        let at = |second: u64| second * SECOND;
        figures.away(at(10));
        figures.settled(Step::Hold, Times { meant: at(9), sent: at(9), ended: at(12) });
        figures.back(at(13));
        figures.settled(Step::Hold, Times { meant: at(12), sent: at(13), ended: at(14) });
        figures.settled(Step::Hold, Times { meant: at(14), sent: at(14), ended: at(14) + 5_000_000 });
        figures.settled(Step::Hold, Times { meant: at(1), sent: at(1), ended: at(1) + 5_000_000 });
        let kind = figures.kind(Step::Hold);
        assert_eq!((kind.latency.len(), kind.calm.len()), (4, 2));
        assert!((4_990..5_010).contains(&kind.calm.max()));
        assert_eq!(kind.over_time[14].ended, 2);
    }

    #[test]
    fn answers_are_counted_by_status_and_code() {
        let figures = Figures::new(0);
        let answer = |status, body: &'static str| Answer {
            status,
            body: body.as_bytes(),
            close: false,
            retry_after: None,
        };
        figures.answered(Step::Hold, &answer(201, "{}"));
        figures.answered(Step::Hold, &answer(409, r#"{"code":"seat_unavailable"}"#));
        figures.count(Step::Hold, "lost");
        let mut table = String::new();
        figures.table(&mut table);
        assert!(table.contains("201: 1, 409 seat_unavailable: 1, lost: 1"), "{table}");
        assert_eq!(figures.seen().collect::<Vec<_>>(), [Step::Hold]);
    }
}
