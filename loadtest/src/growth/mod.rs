//! `growth`: how throughput and latency grow along one axis at a time, each point a short run with a server of its own.
//!
//! `points` makes the runs, `followers` are streams that are only read, `plot` draws. Beside the measured curve stands what the data structures
//! promise; a curve that is steeper is a finding.

mod followers;
mod plot;
mod points;

use std::{fmt::Write, path::PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{bench::write_json, files, report::Spread, start::ServerOptions};

/// What grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Axis {
    Connections,
    Seats,
    LiveHolds,
    Schedules,
    Waiting,
    History,
    Streams,
}

impl Axis {
    const ALL: [Self; 7] = [
        Self::Connections,
        Self::Seats,
        Self::LiveHolds,
        Self::Schedules,
        Self::Waiting,
        Self::History,
        Self::Streams,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Seats => "seats of a schedule",
            Self::LiveHolds => "live holds",
            Self::Schedules => "schedules",
            Self::Waiting => "people waiting",
            Self::History => "events since the snapshot",
            Self::Streams => "followers of a seat map",
        }
    }

    fn file(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Seats => "seats",
            Self::LiveHolds => "live-holds",
            Self::Schedules => "schedules",
            Self::Waiting => "waiting",
            Self::History => "history",
            Self::Streams => "streams",
        }
    }

    /// What is counted a second.
    fn counted(self) -> &'static str {
        match self {
            Self::Connections | Self::Seats | Self::Streams => "holds and releases",
            Self::LiveHolds | Self::Schedules => "holds",
            Self::Waiting => "polls",
            Self::History => "events replayed",
        }
    }

    /// What the data structures promise.
    fn theory(self) -> &'static str {
        match self {
            Self::Connections => {
                "a request costs the same on any connection, O(1); once both cores are busy the rate is flat, and latency is connections ÷ rate (Little)"
            }
            Self::Seats => "a seat is found by its id in O(1), whatever the number of seats",
            Self::LiveHolds => "a hold is put into an ordered set of deadlines, O(log n)",
            Self::Schedules => {
                "a schedule is found in O(1), and each has an actor of its own; fewer records share an entry's frame"
            }
            Self::Waiting => "a place's rank is a count over a tree of blocks, O(log n)",
            Self::History => "each event is read, decoded and applied once: a start takes O(n)",
            Self::Streams => {
                "a change is encoded once and written to each follower, ten times a second at most: O(n) a second, whatever the rate"
            }
        }
    }

    /// Where it is measured. The last one or two take minutes, and are left to `--far`.
    fn points(self, far: bool) -> &'static [u32] {
        let (all, near): (&[u32], usize) = match self {
            Self::Connections => (&[1, 10, 64, 256, 1_000, 4_000, 10_000], 6),
            Self::Seats => (&[50, 500, 5_000, 50_000, 250_000], 5),
            Self::LiveHolds => (&[100, 1_000, 10_000, 100_000, 1_000_000], 4),
            Self::Waiting => (&[10_000, 100_000, 1_000_000, 10_000_000], 2),
            Self::History => (&[1_000, 10_000, 100_000, 1_000_000], 3),
            Self::Schedules | Self::Streams => (&[1, 10, 100, 1_000, 10_000], 4),
        };
        if far { all } else { &all[..near] }
    }
}

/// Throughput and p99 against connections, seats, live holds, schedules, people waiting, history and streams.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Growth {
    #[command(flatten)]
    pub(crate) server: ServerOptions,
    /// What grows; all if absent.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) axes: Vec<Axis>,
    /// The measured seconds of a point.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=60))]
    pub(crate) seconds: u16,
    /// Also the farthest points: ten million people, a million holds or events, ten thousand streams, schedules and connections. Takes eight minutes.
    #[arg(long)]
    pub(crate) far: bool,
    /// Where growth.csv, growth.json and a plot of each axis go.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// One point.
struct Point {
    axis: Axis,
    x: u32,
    /// A second.
    rate: f64,
    /// Milliseconds; none where nothing was asked.
    p50: Option<f64>,
    p99: Option<f64>,
    /// The server's memory at the end.
    mebibytes: Option<u64>,
    /// For history: until the server was ready, of several starts.
    ready_seconds: Option<Spread>,
}

/// Runs the command; returns whether every check passed.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn run(growth: Growth) -> Result<bool> {
    files::allow(if growth.far { 10_000 } else { 4_000 })?;
    let axes = if growth.axes.is_empty() { Axis::ALL.to_vec() } else { growth.axes.clone() };
    let mut points = Vec::new();
    for &axis in &axes {
        println!("{}: {}", axis.name(), axis.theory());
        println!("{}", head(axis));
        for &x in axis.points(growth.far) {
            let point = points::measure(&growth, axis, x).await;
            let point = point.with_context(|| format!("{x} {}", axis.name()))?;
            println!("{}", point.line());
            points.push(point);
        }
    }

    if let Some(dir) = &growth.out {
        std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        let write = |name: &str, text: String| {
            std::fs::write(dir.join(name), text)
                .with_context(|| format!("writing {name} in {}", dir.display()))
        };
        write("growth.csv", csv(&points))?;
        let figures: Vec<Value> = points.iter().map(Point::json).collect();
        write_json(&dir.join("growth.json"), &json!({ "command": "growth", "points": figures }))?;
        for &axis in &axes {
            let of: Vec<&Point> = points.iter().filter(|point| point.axis == axis).collect();
            write(&format!("{}.svg", axis.file()), plot::svg(axis, &of))?;
        }
    }
    Ok(true)
}

fn head(axis: Axis) -> String {
    let last = if axis == Axis::History { "ready after s" } else { "memory MiB" };
    format!(
        "| {} | {} a second | p50 ms | p99 ms | {last} |\n| --- | --- | --- | --- | --- |",
        axis.name(),
        axis.counted()
    )
}

impl Point {
    fn line(&self) -> String {
        let millis = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"));
        let memory = || self.mebibytes.map_or_else(|| "–".to_owned(), |mebibytes| mebibytes.to_string());
        let seconds = |Spread { median, min, max }: Spread| format!("{median:.2} ({min:.2}–{max:.2})");
        let last = self.ready_seconds.map_or_else(memory, seconds);
        format!("| {} | {:.0} | {} | {} | {last} |", self.x, self.rate, millis(self.p50), millis(self.p99))
    }

    fn json(&self) -> Value {
        json!({
            "axis": self.axis.file(), "x": self.x, "counted": self.axis.counted(), "perSecond": self.rate, "p50Millis": self.p50,
            "p99Millis": self.p99, "mebibytes": self.mebibytes, "readySeconds": self.ready_seconds.map(Spread::json), "theory": self.axis.theory(),
        })
    }
}

fn csv(points: &[Point]) -> String {
    let mut out = String::from("axis,x,per_second,p50_ms,p99_ms,memory_mib,ready_seconds\n");
    for point in points {
        let number = |value: Option<f64>| value.map(|value| format!("{value:.3}")).unwrap_or_default();
        let memory = point.mebibytes.map(|mebibytes| mebibytes.to_string()).unwrap_or_default();
        let _ = writeln!(
            out,
            "{},{},{:.1},{},{},{memory},{}",
            point.axis.file(),
            point.x,
            point.rate,
            number(point.p50),
            number(point.p99),
            number(point.ready_seconds.map(|seconds| seconds.median))
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(x: u32, p99: Option<f64>) -> Point {
        let (axis, p50) = (Axis::Streams, p99.map(|value| value / 2.0));
        Point { axis, x, rate: 1000.0, p50, p99, mebibytes: Some(7), ready_seconds: None }
    }

    #[test]
    fn a_line_and_a_row_say_what_was_measured_and_leave_out_what_was_not() {
        assert_eq!(point(10, Some(3.0)).line(), "| 10 | 1000 | 1.50 | 3.00 | 7 |");
        assert_eq!(point(10, None).line(), "| 10 | 1000 | – | – | 7 |");
        let text = csv(&[point(10, Some(3.0)), point(100, None)]);
        assert_eq!(
            text.lines().collect::<Vec<_>>()[1..],
            ["streams,10,1000.0,1.500,3.000,7,", "streams,100,1000.0,,,7,"]
        );
    }

    #[test]
    fn a_plot_stands_alone() {
        let (a, b) = (point(10, Some(3.0)), point(1_000, Some(30.0)));
        let svg = plot::svg(Axis::Streams, &[&a, &b]);
        assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"));
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.contains(">10</text>") && svg.contains(">1000</text>") && !svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn every_axis_is_measured_in_order_and_the_farthest_points_only_when_asked_for() {
        for axis in Axis::ALL {
            assert!(axis.points(true).is_sorted() && axis.points(true).starts_with(axis.points(false)));
        }
    }
}
