//! The waiting room as an administrator runs it.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::{setup::Client, target::Target};

/// A room of a day: no place ends by time within a run.
const SECONDS: u32 = 86_400;

/// What a schedule's policy says of its room, in which so many may be active.
pub(super) fn policy(active_max: u32) -> Value {
    json!({
        "maxActive": active_max, "activeSeconds": SECONDS, "claimSeconds": SECONDS, "idleSeconds": SECONDS,
        "waitingSeconds": SECONDS, "order": "fifo",
    })
}

/// A room that runs.
pub(super) struct Room {
    target: Target,
    admin_token: String,
    path: String,
}

impl Room {
    pub(super) fn of(target: Target, admin_token: &str, schedule: &str) -> Self {
        Self {
            target,
            admin_token: admin_token.to_owned(),
            path: format!("/api/v1/schedules/{schedule}/queue"),
        }
    }

    /// Changes how it is run. A connection of its own: the server closes one that was idle for long.
    pub(super) async fn tune(&self, tuning: &Value) -> Result<()> {
        let mut admin = Client::connect(self.target, Some(&self.admin_token)).await?;
        admin.must("PATCH", &self.path, tuning).await
    }

    /// Returns how many are active and how many wait, and checks that the two are numbers.
    pub(super) async fn look(&self) -> Result<(u64, u64)> {
        let room = Client::connect(self.target, None).await?.json(&self.path).await?;
        let number = |name: &str| room[name].as_u64();
        let (active, waiting) = (number("active"), number("waiting"));
        ensure!(active.is_some() && waiting.is_some(), "GET {}: {room}", self.path);
        Ok((active.unwrap_or_default(), waiting.unwrap_or_default()))
    }
}
