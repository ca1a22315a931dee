//! Numbers for metrics, which are floating-point: exact up to 2^53, and nothing depends on them.

/// Returns a count as a metric's value.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "a metric is a float")]
pub(super) const fn value(count: u64) -> f64 {
    count as f64
}

/// Returns a length as a metric's value.
pub(super) fn len(len: usize) -> f64 {
    value(u64::try_from(len).unwrap_or(u64::MAX))
}

/// Returns microseconds as seconds.
pub(super) const fn seconds(micros: u64) -> f64 {
    value(micros) / 1e6
}
