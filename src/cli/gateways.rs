//! The list of payment gateways that the program knows.

use std::sync::Arc;

use onsale::config::Config;
use onsale::gateway::toss::Toss;
use onsale::gateway::{Gateway, Gateways};

use super::output::Failure;

/// Makes the clients of the payment gateways that the settings name. A new gateway is added here.
pub(super) fn of(config: &Config) -> Result<Gateways, Failure> {
    let toss = Toss::from_settings(&config.payments).map_err(Failure::settings)?;
    let toss = toss.map(|toss| -> Arc<dyn Gateway> { Arc::new(toss) });
    Ok(Gateways::new([toss].into_iter().flatten()))
}
