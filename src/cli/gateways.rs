//! The list of payment gateways that the program knows, and whether the platform has a payment service of its own.

use std::sync::Arc;

use onsale::config::Config;
use onsale::gateway::toss::Toss;
use onsale::gateway::{Gateway, Gateways};

use super::output::Failure;

/// Makes the clients of the payment gateways that the settings name. A new gateway is added here.
pub(super) fn of(config: &Config) -> Result<Gateways, Failure> {
    let toss = Toss::from_settings(&config.payments).map_err(Failure::settings)?;
    let toss = toss.map(|toss| -> Arc<dyn Gateway> { Arc::new(toss) });
    let gateways = Gateways::new([toss].into_iter().flatten());
    Ok(if config.payments.external_secret.is_some() { gateways.with_external() } else { gateways })
}
