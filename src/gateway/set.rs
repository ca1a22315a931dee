//! The gateways that are set up: which method leads to which, and what is so at each.

use std::sync::Arc;

use super::Gateway;
use crate::domain::ids::GatewayName;
use crate::domain::payments::Method;
use crate::domain::time::Seconds;

/// What is so at one gateway, and may be otherwise at another.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Its name, as payments, routes and metrics have it: letters from `a` to `z`, at most 32. Payments keep it for good.
    pub name: &'static str,
    /// The methods that it has.
    pub methods: &'static [Method],
    /// How long a checkout lives at most: a payment that it doesn't know that long after was never there.
    pub checkout_life: Seconds,
    /// Its codes for what the engine says in its place.
    pub codes: Codes,
}

/// A gateway's codes for what it leaves no doubt of, where no answer of its brought one.
#[derive(Debug, Clone, Copy)]
pub struct Codes {
    /// The money was taken and given back there.
    pub given_back: &'static str,
    /// Nobody captured it in time.
    pub expired: &'static str,
    /// It knows of no such payment.
    pub no_such_payment: &'static str,
    /// It never gave this payment key.
    pub invalid_key: &'static str,
}

impl Terms {
    /// Makes the usual ones: every method but the balance, checkouts that live an hour at most, plain codes.
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

/// Gateways by name, none of them twice. Clones share them.
#[derive(Clone, Default)]
pub struct Gateways(Arc<[(GatewayName, Arc<dyn Gateway>)]>);

impl Gateways {
    /// Takes gateways; where a method is had at several, it leads to the first.
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
        }
        Self(named)
    }

    /// Finds a gateway by its name.
    pub fn named(&self, name: &str) -> Option<&Arc<dyn Gateway>> {
        self.0.iter().find(|(known, _)| known.as_str() == name).map(|(_, gateway)| gateway)
    }

    /// Returns the gateway that a method leads to, with its name.
    pub fn of(&self, method: Method) -> Option<(&GatewayName, &Arc<dyn Gateway>)> {
        let found = self.0.iter().find(|(_, gateway)| gateway.terms().methods.contains(&method))?;
        Some((&found.0, &found.1))
    }
}
