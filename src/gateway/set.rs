//! The gateways that are set up, by payment method, and the terms of each.

use std::sync::Arc;

use super::Gateway;
use crate::domain::ids::GatewayName;
use crate::domain::money::Currency;
use crate::domain::payments::Method;
use crate::domain::time::Seconds;

/// The terms of a gateway, which differ from one to another.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Its name in payments, routes and metrics: at most 32 letters from `a` to `z`. Payments keep it for ever, so it
    /// can't change.
    pub name: &'static str,
    /// The payment methods that lead to it.
    pub methods: &'static [Method],
    /// The longest life of a checkout: a payment that the gateway doesn't know after that time never existed.
    pub checkout_life: Seconds,
    /// Its codes for outcomes that the engine reports in its place.
    pub codes: Codes,
}

/// A gateway's codes for outcomes that are certain without an answer that has a code.
#[derive(Debug, Clone, Copy)]
pub struct Codes {
    /// The money was captured and refunded at the gateway.
    pub given_back: &'static str,
    /// The payment wasn't captured in time.
    pub expired: &'static str,
    /// The gateway knows no such payment.
    pub no_such_payment: &'static str,
    /// The gateway never gave this payment key.
    pub invalid_key: &'static str,
}

impl Terms {
    /// Makes usual terms: every method but the balance, checkouts of at most an hour, plain codes.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            methods: &[Method::Card, Method::KakaoPay, Method::NaverPay, Method::Toss],
            checkout_life: Seconds::new(3_600),
            codes: Codes {
                given_back: "CANCELED",
                expired: "EXPIRED",
                no_such_payment: "NOT_FOUND",
                invalid_key: "INVALID_KEY",
            },
        }
    }
}

/// The name of the team's own payment service, in payments, routes and metrics.
pub const EXTERNAL: &str = "external";

/// Who takes money: gateways by unique names, and a payment service of the team's own. Clones share them.
///
/// The service is no [`Gateway`]: it can't be asked, and has neither a checkout that ends nor codes. It reports to the engine, and the
/// feed asks it for refunds.
#[derive(Clone, Default)]
pub struct Gateways {
    asked: Arc<[(GatewayName, Arc<dyn Gateway>)]>,
    external: Option<GatewayName>,
}

impl Gateways {
    /// Makes the set. A method that several have leads to the first of them.
    ///
    /// # Panics
    /// When two have one name, or one has a name that can't be.
    pub fn new(gateways: impl IntoIterator<Item = Arc<dyn Gateway>>) -> Self {
        let name = |gateway: &Arc<dyn Gateway>| GatewayName::parse(gateway.terms().name);
        let named =
            gateways.into_iter().map(|gateway| (name(&gateway).expect("letters from a to z"), gateway));
        let named: Arc<[_]> = named.collect();
        for (index, (name, _)) in named.iter().enumerate() {
            assert!(named[..index].iter().all(|(other, _)| other != name), "two gateways are called {name}");
            assert!(name.as_str() != EXTERNAL, "the team's own payment service is called {name}");
        }
        Self { asked: named, external: None }
    }

    /// Adds the team's own payment service, to which the method `external` leads.
    #[must_use]
    pub fn with_external(self) -> Self {
        Self { external: Some(GatewayName::parse(EXTERNAL).expect("letters from a to z")), ..self }
    }

    /// Finds a gateway that can be asked by its name.
    pub fn named(&self, name: &str) -> Option<&Arc<dyn Gateway>> {
        self.asked.iter().find(|(known, _)| known.as_str() == name).map(|(_, gateway)| gateway)
    }

    /// Tells whether who has this name is set up.
    pub fn has(&self, name: &str) -> bool {
        self.named(name).is_some() || self.external.as_deref() == Some(name)
    }

    /// Returns the name of whom a method leads to.
    pub fn name_of(&self, method: Method) -> Option<&GatewayName> {
        if method.is_reported() { self.external.as_ref() } else { self.of(method).map(|(name, _)| name) }
    }

    /// Tells whether whom a method leads to takes this currency: the team's own service takes each.
    pub fn takes(&self, method: Method, currency: Currency) -> bool {
        if method.is_reported() {
            return self.external.is_some();
        }
        self.of(method).is_some_and(|(_, gateway)| gateway.takes(currency))
    }

    fn of(&self, method: Method) -> Option<&(GatewayName, Arc<dyn Gateway>)> {
        self.asked.iter().find(|(_, gateway)| gateway.terms().methods.contains(&method))
    }
}
