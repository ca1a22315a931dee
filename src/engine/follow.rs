//! Does the effects of durable events.

use std::sync::Arc;

use super::core::Effect;
use super::directory::Directory;
use super::payments::Pace;

/// Does it, or starts a task that does: the journal's writer waits for nothing.
pub(super) fn follow(directory: &Arc<Directory>, effect: Effect) {
    match effect {
        Effect::NoteUser(user, number) => directory.note_user(user, number),
        Effect::Drive(payment) => directory.drive(payment, Pace::AtOnce),
        Effect::Settle(number) => directory.settle(number),
        Effect::End(number) => directory.end(number),
    }
}
