//! Every panic of a run is noted: none is expected, but for those that were asked for.

use std::panic;
use std::sync::{Mutex, PoisonError};

static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Has panics noted instead of printed.
pub(crate) fn note() {
    panic::set_hook(Box::new(|info| {
        let text = info.payload_as_str().unwrap_or("no message");
        let place = info.location().map(|at| format!(" ({}:{})", at.file(), at.line())).unwrap_or_default();
        TOLD.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{text}{place}"));
    }));
}

pub(crate) fn count() -> usize {
    TOLD.lock().unwrap_or_else(PoisonError::into_inner).len()
}

/// Takes those that were noted behind the first `before`.
pub(crate) fn take_from(before: usize) -> String {
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let at = before.min(told.len());
    told.split_off(at).join("; ")
}

/// Takes the first that wasn't asked for.
pub(crate) fn first_unasked() -> Option<String> {
    let told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let asked = |text: &&String| text.contains(crate::gateway::PANIC) || text.starts_with("asked to fail");
    told.iter().find(|text| !asked(text)).cloned()
}
