//! When snapshots are taken while the engine runs.

use std::time::Duration;

use crate::engine::{Engine, EngineConfig};
use crate::journal::Position;

/// Takes a snapshot whenever enough has happened since the last, by count or by time, and when those that there were are lost.
pub(super) async fn snapshot_now_and_then(engine: Engine, config: EngineConfig) {
    let journal = engine.journal();
    let mut durable = journal.watch();
    let (mut last, mut counted_from) = (*durable.borrow_and_update(), journal.records());

    loop {
        let enough = |_: &Position| journal.records() - counted_from >= config.snapshot_every_events;
        let due = async {
            tokio::select! {
                counted = durable.wait_for(enough) => counted.is_ok(),
                () = journal.snapshots_lost() => true,
            }
        };
        match tokio::time::timeout(config.snapshot_every, due).await {
            Ok(false) => return,
            Err(_) if journal.durable() == last => continue,
            Ok(true) | Err(_) => {}
        }

        let counted = journal.records();
        match engine.snapshot().await {
            Ok(position) => (last, counted_from) = (position, counted),
            Err(error) => {
                tracing::warn!(%error, "no snapshot was taken");
                if journal.failure().is_some() {
                    return;
                }
                // A disk that is full stays so for a while: no need to try at once.
                tokio::time::sleep(config.snapshot_every.min(Duration::from_secs(10))).await;
            }
        }
    }
}
