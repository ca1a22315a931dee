//! A run as one page: tables and plots, with nothing from elsewhere and no script. A plot is SVG, and can stand alone.

use std::fmt::Write;

use hdrhistogram::Histogram;

use crate::{
    report::{Series, float},
    timeline::SLICES,
};

/// The plot's area and its margins, in pixels.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 40.0;
/// Told apart by those who see few colours, too (Okabe and Ito, 2008).
const COLOURS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8a8a00"];

/// A line of a plot.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A plot; its marks are where the axes are labelled.
pub(crate) struct Plot {
    pub(crate) title: &'static str,
    pub(crate) x_name: &'static str,
    pub(crate) y_name: &'static str,
    pub(crate) x_marks: Vec<(f64, String)>,
    /// The vertical axis is logarithmic.
    pub(crate) logarithmic: bool,
    pub(crate) lines: Vec<Line>,
}

impl Plot {
    /// Plots milliseconds against seconds.
    pub(crate) fn latency_over_time(seconds: f64, lines: Vec<Line>) -> Self {
        Self {
            title: "Latency from the intended instant, over time",
            x_name: "seconds",
            y_name: "ms",
            x_marks: marks(seconds),
            logarithmic: true,
            lines,
        }
    }

    /// Plots milliseconds against percentiles.
    pub(crate) fn latency_by_percentile(lines: Vec<Line>) -> Self {
        Self {
            title: "Latency from the intended instant, by percentile",
            x_name: "percentile",
            y_name: "ms",
            x_marks: percentile_marks(),
            logarithmic: true,
            lines,
        }
    }
}

/// Writes the page of an open loop of holds and releases.
pub(crate) fn page(title: &str, words: &[String], series: &[Series], seconds: u16) -> String {
    let mut tables = String::new();
    table(series, &mut tables);
    let (mut rates, mut latencies, mut percentiles) = (Vec::new(), Vec::new(), Vec::new());
    for series in series {
        over_time(series, seconds, &mut rates, &mut latencies);
        percentiles.push(Line { name: series.name.to_owned(), points: curve(&series.total().latency) });
    }

    let plots = [
        Plot {
            title: "Requests a second",
            x_name: "seconds",
            y_name: "requests/s",
            x_marks: marks(seconds.into()),
            logarithmic: false,
            lines: rates,
        },
        Plot::latency_over_time(seconds.into(), latencies),
        Plot::latency_by_percentile(percentiles),
    ];
    document(title, words, &tables, &plots)
}

/// Writes a page of words, tables that are HTML already, and plots.
pub(crate) fn document(title: &str, words: &[String], tables: &str, plots: &[Plot]) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n<style>body{{font:15px/1.5 system-ui,sans-serif;max-width:760px;margin:2em auto;padding:0 1em;color:#222}}\
         svg{{width:100%;height:auto}}table{{border-collapse:collapse}}td,th{{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}}td:first-child,th:first-child{{text-align:left}}</style></head>\n<body><h1>{title}</h1>\n",
        title = escaped(title)
    );
    for word in words {
        let _ = writeln!(out, "<p>{}</p>", escaped(word));
    }
    out.push_str(tables);
    for plot in plots {
        let _ = writeln!(out, "<h2>{}</h2>", escaped(plot.title));
        plot.draw(&mut out);
    }
    out.push_str("</body></html>\n");
    out
}

/// Seven marks of a time.
pub(crate) fn marks(seconds: f64) -> Vec<(f64, String)> {
    let at = (0..=6).map(|n| seconds * f64::from(n) / 6.0);
    at.map(|at| (at, format!("{at:.0}"))).collect()
}

/// The marks of a [`curve`].
pub(crate) fn percentile_marks() -> Vec<(f64, String)> {
    let marks = [("50", 2.0), ("90", 10.0), ("99", 100.0), ("99.9", 1000.0), ("99.99", 10_000.0)];
    marks.map(|(name, rest)| (f64::log10(rest), name.to_owned())).into()
}

fn table(series: &[Series], out: &mut String) {
    let Some(first) = series.first() else { return };
    out.push_str("<table><tr><th>ms</th>");
    for (name, _) in first.percentiles() {
        let _ = write!(out, "<th>{name}</th>");
    }
    out.push_str("<th>requests</th><th>answers</th></tr>\n");
    for series in series {
        let _ = write!(out, "<tr><td>{}</td>", escaped(series.name));
        for (_, value) in series.percentiles() {
            let _ = write!(out, "<td>{value:.3}</td>");
        }
        let total = series.total();
        let statuses: Vec<_> =
            total.statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
        let _ = writeln!(out, "<td>{}</td><td>{}</td></tr>", total.latency.len(), statuses.join(", "));
    }
    out.push_str("</table>\n");
}

/// Adds the lines of a series' last round.
fn over_time(series: &Series, seconds: u16, rates: &mut Vec<Line>, latencies: &mut Vec<Line>) {
    let Some(round) = series.rounds.last() else { return };
    let width = f64::from(seconds) / float(u64::try_from(SLICES).expect("small"));
    let at = |number: u32| (f64::from(number) + 0.5) * width;
    let slices = || (0..).zip(&round.timeline);
    let line = |what: &str, points: Vec<(f64, f64)>| Line { name: format!("{} {what}", series.name), points };
    let meant = slices().map(|(number, slice)| (at(number), float(slice.latency.len()) / width));
    rates.push(line("meant", meant.collect()));
    let ended = slices().map(|(number, slice)| (at(number), float(slice.ended) / width));
    rates.push(line("answered", ended.collect()));
    for (what, percentile) in [("p50", 50.0), ("p99", 99.0), ("max", 100.0)] {
        let seen = slices().filter(|(_, slice)| !slice.latency.is_empty());
        let millis = seen.map(|(number, slice)| {
            (at(number), float(slice.latency.value_at_percentile(percentile)) / 1000.0)
        });
        latencies.push(line(what, millis.collect()));
    }
}

/// The latency by how rare it is: where one of 10^x is slower, x.
pub(crate) fn curve(latency: &Histogram<u64>) -> Vec<(f64, f64)> {
    let rarest = float(latency.len().max(1)).log10().min(4.0);
    let steps = (0..=80).map(|step| f64::from(step) * 0.05).filter(|x| *x <= rarest);
    let value = |x: f64| latency.value_at_quantile(1.0 - 10_f64.powf(-x));
    steps.map(|x| (x, float(value(x)) / 1000.0)).collect()
}

impl Plot {
    /// Returns it as a file that stands alone, with its legend in it.
    pub(crate) fn alone(&self) -> String {
        let mut out = String::new();
        self.svg(&mut out);
        let mut legend = String::new();
        for (line, (colour, number)) in self.lines.iter().zip(COLOURS.iter().zip(0_u8..)) {
            let (x, y) = (LEFT + 8.0 + 220.0 * f64::from(number), TOP + 12.0);
            let name = escaped(&line.name);
            let _ = writeln!(legend, "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{colour}\">{name}</text>");
        }
        let out =
            out.replacen("<svg ", "<svg xmlns=\"http://www.w3.org/2000/svg\" font-family=\"sans-serif\" ", 1);
        out.replacen("</svg>", &(legend + "</svg>"), 1)
    }

    /// Writes it as SVG, and its legend below.
    fn draw(&self, out: &mut String) {
        self.svg(out);
        out.push_str("<p>");
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let _ = write!(out, "<span style=\"color:{colour}\">■</span> {} &nbsp; ", escaped(&line.name));
        }
        out.push_str("</p>\n");
    }

    fn svg(&self, out: &mut String) {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let x_marks = self.x_marks.iter().map(|(at, _)| *at);
        let (x_min, x_max) = bounds(points().map(|(x, _)| *x).chain(x_marks));
        let scaled = |y: f64| if self.logarithmic { y.max(0.001).log10() } else { y };
        let (y_min, y_max) = bounds(points().map(|(_, y)| scaled(*y)));
        let (y_min, y_max) = if self.logarithmic {
            (y_min.floor(), y_max.ceil().max(y_min.floor() + 1.0))
        } else {
            (0.0, y_max * 1.05)
        };
        let x_at = |x: f64| LEFT + (x - x_min) / (x_max - x_min).max(1e-9) * (WIDTH - LEFT - RIGHT);
        let y_at =
            |y: f64| HEIGHT - BOTTOM - (y - y_min) / (y_max - y_min).max(1e-9) * (HEIGHT - TOP - BOTTOM);

        let _ = writeln!(
            out,
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\" font-size=\"12\">",
            escaped(self.title)
        );
        for (at, name) in &self.x_marks {
            mark(out, (x_at(*at), TOP), (x_at(*at), HEIGHT - BOTTOM));
            let (x, y) = (x_at(*at), HEIGHT - BOTTOM + 16.0);
            let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{name}</text>");
        }
        for (at, name) in self.y_marks(y_min, y_max) {
            mark(out, (LEFT, y_at(at)), (WIDTH - RIGHT, y_at(at)));
            let (x, y) = (LEFT - 6.0, y_at(at) + 4.0);
            let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{name}</text>");
        }
        let _ = writeln!(
            out,
            "<text x=\"{WIDTH}\" y=\"{:.1}\" text-anchor=\"end\">{}</text><text x=\"2\" y=\"{TOP}\">{}</text>",
            HEIGHT - 6.0,
            escaped(self.x_name),
            escaped(self.y_name)
        );
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let points: Vec<_> =
                line.points.iter().map(|(x, y)| format!("{:.1},{:.1}", x_at(*x), y_at(scaled(*y)))).collect();
            let points = points.join(" ");
            let _ = writeln!(
                out,
                "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>"
            );
        }
        out.push_str("</svg>\n");
    }

    /// Where the vertical axis is labelled: at powers of ten, or at four steps.
    fn y_marks(&self, y_min: f64, y_max: f64) -> Vec<(f64, String)> {
        if self.logarithmic {
            let powers = (-3..=7).map(f64::from).filter(|power| (y_min..=y_max).contains(power));
            return powers.map(|power| (power, format!("{}", 10_f64.powf(power)))).collect();
        }
        (0..=4).map(|n| y_max * f64::from(n) / 4.0).map(|at| (at, format!("{at:.0}"))).collect()
    }
}

fn mark(out: &mut String, from: (f64, f64), until: (f64, f64)) {
    let ((x1, y1), (x2, y2)) = (from, until);
    let _ = writeln!(
        out,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#e5e5e5\"/>"
    );
}

/// The least and the greatest; 0 and 1 of nothing.
fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values
        .fold(None, |bounds: Option<(f64, f64)>, value| {
            Some(bounds.map_or((value, value), |(min, max)| (min.min(value), max.max(value))))
        })
        .unwrap_or((0.0, 1.0))
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{round::Measured, timeline::Timeline};

    #[test]
    fn a_page_shows_each_series_and_takes_nothing_from_elsewhere() {
        let mut round = Measured::new();
        let timeline = Timeline::new(0, 60_000_000_000);
        for second in 0..60 {
            timeline.note(second * 1_000_000_000, second * 1_000_000_000 + 5_000_000);
            round.latency.record(5000).unwrap();
        }
        round.statuses.insert(201, 60);
        round.timeline = timeline.slices();
        let series = Series { connections: 1, name: "<onsale>", rounds: vec![round] };
        let page = page("a & b", &["why".to_owned()], &[series], 60);
        assert!(page.contains("<h1>a &amp; b</h1>") && page.contains("<p>why</p>"), "{page}");
        assert!(page.contains("<td>5.0") && page.contains("201: 60") && !page.contains("<onsale>"));
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
        assert_eq!(page.matches("<svg").count(), 3);
        // Two lines of rates, three of latencies, one of percentiles.
        assert_eq!(page.matches("<polyline").count(), 6);
        assert!(!page.contains("<script") && !page.contains("http") && !page.contains("NaN"), "{page}");
    }

    #[test]
    fn a_page_of_nothing_is_whole() {
        let page = page("none", &[], &[], 5);
        assert!(page.ends_with("</html>\n") && !page.contains("NaN") && !page.contains("inf"));
    }
}
