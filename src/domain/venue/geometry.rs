//! Where things are on a plan: coordinates, points and outlines.
//!
//! Coordinates are of any one unit, and `y` grows away from the stage. They are whole millionths, so that equal plans are equal to the
//! bit and no sum of them depends on its order. Absent on purpose: floating point.

use core::fmt;

/// The farthest that an administrator may place anything from the origin, in units, in each direction.
pub const COORDINATE_MAX: i64 = 1_000_000;
/// The most points of an outline.
pub const OUTLINE_LEN_MAX: usize = 1_000;
/// The fewest points of an outline: a triangle.
pub const OUTLINE_LEN_MIN: usize = 3;

/// How many parts a unit has.
const PARTS: i64 = 1_000_000;
/// How many digits a part has behind the point.
const DIGITS: usize = 6;

/// A coordinate, to a millionth of the unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Coordinate(i64);

impl Coordinate {
    /// Makes a coordinate of millionths that were written before, or `None` if it lies beyond [`COORDINATE_MAX`].
    pub fn from_millionths(millionths: i64) -> Option<Self> {
        (millionths.unsigned_abs() <= COORDINATE_MAX.unsigned_abs() * PARTS.unsigned_abs())
            .then_some(Self(millionths))
    }

    /// Returns a number of units.
    pub(super) fn units(units: i64) -> Self {
        Self(units * PARTS)
    }

    /// Returns a number of halves of the unit.
    pub(super) fn halves(halves: i64) -> Self {
        Self(halves * (PARTS / 2))
    }

    /// Returns it in millionths of the unit.
    pub fn millionths(self) -> i64 {
        self.0
    }

    /// Reads a decimal number, such as `-12.5`; its digits behind the sixth must be rounded already. `None` if it isn't one or lies
    /// beyond [`COORDINATE_MAX`].
    pub fn parse(text: &str) -> Option<Self> {
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let are_digits = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || fraction.len() > DIGITS || !are_digits(whole) || !are_digits(fraction) {
            return None;
        }

        let whole: i64 = whole.parse().ok()?;
        let fraction: i64 = format!("{fraction:0<DIGITS$}").parse().ok()?;
        let parts = whole.checked_mul(PARTS)?.checked_add(fraction)?;
        Self::from_millionths(if is_negative { -parts } else { parts })
    }

    /// Returns the middle between it and another.
    pub(super) fn middle_to(self, other: Self) -> Self {
        Self(self.0.midpoint(other.0))
    }

    fn is_on_plan(self) -> bool {
        Self::from_millionths(self.0).is_some()
    }
}

impl fmt::Display for Coordinate {
    /// Writes the shortest decimal number that reads back as the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.0.unsigned_abs();
        let (whole, fraction) = (parts / PARTS.unsigned_abs(), parts % PARTS.unsigned_abs());
        let sign = if self.0 < 0 { "-" } else { "" };
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let fraction = format!("{fraction:0DIGITS$}");
        write!(f, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }
}

/// A point of a plan, or the way from one to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Point {
    /// To the right, with the stage at the top.
    pub x: Coordinate,
    /// Away from the stage.
    pub y: Coordinate,
}

impl Point {
    /// Returns the point `steps` of `step` away. Each is on the plan, and `steps` a seat's place: the result fits.
    pub(super) fn after(self, steps: i64, step: Self) -> Self {
        let along = |from: Coordinate, step: Coordinate| Coordinate(from.0 + steps * step.0);
        Self { x: along(self.x, step.x), y: along(self.y, step.y) }
    }

    /// Returns the point that lies as far from it as `way` from the origin.
    pub(super) fn plus(self, way: Self) -> Self {
        self.after(1, way)
    }

    /// Returns the step of which `steps` lead from here to `other`, cut to a millionth.
    pub(super) fn step_to(self, other: Self, steps: i64) -> Self {
        let part = |from: Coordinate, to: Coordinate| Coordinate((to.0 - from.0) / steps);
        Self { x: part(self.x, other.x), y: part(self.y, other.y) }
    }

    /// Tells whether it is as near to the origin as an administrator may place anything.
    pub(super) fn is_on_plan(self) -> bool {
        self.x.is_on_plan() && self.y.is_on_plan()
    }
}

/// The outline of a stage or a section: a polygon of [`OUTLINE_LEN_MIN`] to [`OUTLINE_LEN_MAX`] points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline(Box<[Point]>);

impl Outline {
    /// Makes an outline, or `None` if it has too few points or too many.
    pub fn new(points: Vec<Point>) -> Option<Self> {
        (OUTLINE_LEN_MIN..=OUTLINE_LEN_MAX).contains(&points.len()).then(|| Self(points.into()))
    }

    /// Returns its points in order; the last is joined to the first.
    pub fn points(&self) -> &[Point] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_coordinate_reads_back_as_it_was_written(parts in -1_000_000_000_000_i64..=1_000_000_000_000) {
            let coordinate = Coordinate::from_millionths(parts).unwrap();
            let text = coordinate.to_string();
            prop_assert_eq!(Coordinate::parse(&text), Some(coordinate));
            // JSON's numbers are floating point: the text survives them.
            let number: f64 = text.parse().unwrap();
            prop_assert_eq!(Coordinate::parse(&format!("{number:.6}")), Some(coordinate));
            prop_assert_eq!(number.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_coordinate_or_too_far_away_is_refused() {
        for (text, parts) in [("0", 0), ("-0.000000", 0), ("12.5", 12_500_000), ("-0.000001", -1)] {
            assert_eq!(Coordinate::parse(text).map(Coordinate::millionths), Some(parts), "{text}");
        }
        let wrong =
            ["", "-", ".5", "1e3", "NaN", "inf", "+1", "1.2345678", "1000000.000001", "-1000001", "1 "];
        for text in wrong.into_iter().chain(["99999999999999999999"]) {
            assert_eq!(Coordinate::parse(text), None, "{text}");
        }
    }
}
