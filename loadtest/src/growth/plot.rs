//! The plot of an axis, as a file that stands alone.

use super::{Axis, Point};
use crate::html::{Line, Plot};

/// Draws throughput (a second) and the 99th percentile (ms); both axes are logarithmic.
pub(super) fn svg(axis: Axis, points: &[&Point]) -> String {
    let x = |point: &Point| f64::from(point.x).log10();
    let rate = points.iter().map(|point| (x(point), point.rate)).collect();
    let p99 = points.iter().filter_map(|point| Some((x(point), point.p99?))).collect();
    let ready =
        points.iter().filter_map(|point| Some((x(point), point.ready_seconds?.median * 1000.0))).collect();
    let mut lines = vec![Line { name: format!("{} a second", axis.counted()), points: rate }];
    for (name, points) in [("p99 ms", p99), ("ready after ms", ready)] {
        let points: Vec<_> = points;
        if !points.is_empty() {
            lines.push(Line { name: name.to_owned(), points });
        }
    }
    let plot = Plot {
        title: axis.name(),
        x_name: axis.name(),
        y_name: "a second, and ms",
        x_marks: points.iter().map(|point| (x(point), point.x.to_string())).collect(),
        logarithmic: true,
        lines,
    };
    plot.alone()
}
