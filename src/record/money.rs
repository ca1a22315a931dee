//! The wire format of accounts and payments: their events, and their sections of a snapshot.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::DecodeError;
use super::wire::{instant_in, instant_out, money, pages, user_id};
use crate::domain::accounts::{
    self, AccountImage, AccountsImage, Carried, CarriedImage, Kind, SHARDS, Shard, Transaction,
};
use crate::domain::ids::{
    GatewayName, PaymentId, PaymentNumber, ReservationNumber, ScheduleNumber, TransactionId, UserId,
};
use crate::domain::keys::KeyUse;
use crate::domain::money::{Currency, Money};
use crate::domain::payments::{
    self, Failure, GatewayAnswer, Method, Payment, PaymentsImage, State, needs_gateway,
};
use crate::domain::schedule::ReservationRef;
use crate::domain::time::Timestamp;

type Read<T> = Result<T, DecodeError>;

#[derive(Serialize, Deserialize)]
pub(super) enum AccountsEventWire<'a> {
    Moved {
        #[serde(borrow)]
        user: Cow<'a, str>,
        currency: [u8; 3],
        number: u32,
        nonce: u64,
        kind: KindWire,
        amount: u64,
        balance_after: u64,
    },
    KeyKept {
        #[serde(borrow)]
        user: Cow<'a, str>,
    },
    Archived {
        #[serde(borrow)]
        user: Cow<'a, str>,
        through: u32,
        settled: Vec<u128>,
    },
}

#[derive(Serialize, Deserialize)]
pub(super) enum KindWire {
    Charge,
    Payment(u128),
    Refund(u128),
}

#[derive(Serialize, Deserialize)]
struct TransactionWire {
    number: u32,
    nonce: u64,
    kind: KindWire,
    amount: u64,
    balance_after: u64,
    at: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct AccountsImageWire {
    shard: u16,
    accounts: Vec<(String, [u8; 3], Vec<TransactionWire>)>,
    last_transaction: u32,
    keys_max: u32,
    /// The answer is the transaction of the effect, where there was one.
    keys: Vec<(u128, u128, u64, u64, Option<TransactionWire>)>,
    version: u64,
    last_instant: u64,
}

/// What a shard's accounts carry forward: it comes before the shard, and only where there is any.
#[derive(Serialize, Deserialize)]
pub(super) struct CarriedWire {
    shard: u16,
    accounts: Vec<(String, CarriedAccountWire)>,
}

#[derive(Serialize, Deserialize)]
struct CarriedAccountWire {
    through: u32,
    count: u64,
    balance: u64,
    paid: Vec<(u128, bool)>,
}

/// A shard's accounts with what they carry forward.
pub(super) type CarriedAccounts = (Shard, Vec<(UserId, CarriedImage)>);

#[derive(Serialize, Deserialize)]
pub(super) enum PaymentsEventWire<'a> {
    Started {
        number: u32,
        nonce: u64,
        reservation: (u32, u64),
        #[serde(borrow)]
        user: Cow<'a, str>,
        method: u8,
        amount: u64,
        currency: [u8; 3],
    },
    Accepted {
        number: u32,
        #[serde(borrow)]
        payment_key: Cow<'a, str>,
    },
    CaptureBegun(u32),
    Declined(u32, FailureWire),
    Captured(u32),
    Confirmed(u32),
    Completed(u32),
    Failed(u32, Option<FailureWire>),
    RefundBegun(u32, FailureWire),
    Refunded(u32),
    KeyKept(u32),
    /// As `Started`, by a gateway's method, of nothing: there is no checkout. Earlier versions had one.
    StartedFree {
        number: u32,
        nonce: u64,
        reservation: (u32, u64),
        #[serde(borrow)]
        user: Cow<'a, str>,
        method: u8,
        currency: [u8; 3],
    },
    CapturedAtGateway {
        number: u32,
        #[serde(borrow)]
        transaction: Option<Cow<'a, str>>,
        approved_at: Option<u64>,
    },
    RefundedAtGateway {
        number: u32,
        #[serde(borrow)]
        transaction: Option<Cow<'a, str>>,
    },
    /// As `Started`, through another gateway than [`FIRST_GATEWAY`].
    StartedThrough {
        number: u32,
        nonce: u64,
        reservation: (u32, u64),
        #[serde(borrow)]
        user: Cow<'a, str>,
        method: u8,
        amount: u64,
        currency: [u8; 3],
        #[serde(borrow)]
        gateway: Cow<'a, str>,
    },
}

/// The gateway of payments that don't name theirs: the first that there was, and for a while the only one.
const FIRST_GATEWAY: &str = "toss";

#[derive(Serialize, Deserialize)]
pub(super) enum FailureWire {
    NotHeld,
    TooLate,
    OtherAmount,
    Insufficient { balance: u64 },
    OtherCurrency,
    Declined { code: String, reason: String },
    SeatsLost,
    Cancelled,
    Superseded,
}

#[derive(Serialize, Deserialize)]
pub(super) struct PaymentsImageWire {
    schedule: u32,
    last: u32,
    payments: Vec<PaymentWire>,
    keys_max: u32,
    keys: Vec<(u128, u128, u64, u64, u32)>,
    version: u64,
    last_instant: u64,
}

/// What a gateway said of a payment, by the payment's number.
#[derive(Serialize, Deserialize)]
pub(super) struct GatewayAnswerWire {
    number: u32,
    transaction: Option<String>,
    approved_at: Option<u64>,
    refund: Option<String>,
}

/// A gateway, with the numbers of the payments that it takes.
#[derive(Serialize, Deserialize)]
pub(super) struct GatewayWire {
    name: String,
    payments: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
struct PaymentWire {
    number: u32,
    nonce: u64,
    reservation: (u32, u64),
    user: String,
    method: u8,
    amount: u64,
    currency: [u8; 3],
    state: u8,
    payment_key: Option<String>,
    failure: Option<FailureWire>,
    created_at: u64,
    updated_at: u64,
    completed_at: Option<u64>,
    refunded_at: Option<u64>,
    key: Option<u128>,
}

fn currency_out(currency: Currency) -> [u8; 3] {
    *currency.as_str().as_bytes().first_chunk().expect("a currency has three letters")
}

fn currency_in(code: [u8; 3]) -> Read<Currency> {
    let text = core::str::from_utf8(&code).map_err(|_| DecodeError::Value("a currency"))?;
    Currency::parse(text).map_err(|_| DecodeError::Value("a currency"))
}

impl KindWire {
    fn from_domain(kind: Kind) -> Self {
        match kind {
            Kind::Charge => Self::Charge,
            Kind::Payment(payment) => Self::Payment(payment.bits()),
            Kind::Refund(payment) => Self::Refund(payment.bits()),
        }
    }

    fn into_domain(self) -> Kind {
        match self {
            Self::Charge => Kind::Charge,
            Self::Payment(bits) => Kind::Payment(PaymentId::from_bits(bits)),
            Self::Refund(bits) => Kind::Refund(PaymentId::from_bits(bits)),
        }
    }
}

impl TransactionWire {
    fn from_domain(transaction: &Transaction) -> Self {
        Self {
            number: transaction.id.number,
            nonce: transaction.id.nonce,
            kind: KindWire::from_domain(transaction.kind),
            amount: transaction.amount.minor(),
            balance_after: transaction.balance_after.minor(),
            at: transaction.at.as_millis(),
        }
    }

    fn into_domain(self, shard: Shard) -> Read<Transaction> {
        Ok(Transaction {
            id: TransactionId { shard: shard.0, number: self.number, nonce: self.nonce },
            kind: self.kind.into_domain(),
            amount: money(self.amount)?,
            balance_after: money(self.balance_after)?,
            at: Timestamp::from_millis(self.at),
        })
    }
}

impl<'a> AccountsEventWire<'a> {
    pub(super) fn from_domain(event: &'a accounts::Event) -> Self {
        match event {
            accounts::Event::Moved { user, currency, number, nonce, kind, amount, balance_after } => {
                Self::Moved {
                    user: Cow::Borrowed(user),
                    currency: currency_out(*currency),
                    number: *number,
                    nonce: *nonce,
                    kind: KindWire::from_domain(*kind),
                    amount: amount.minor(),
                    balance_after: balance_after.minor(),
                }
            }
            accounts::Event::KeyKept { user } => Self::KeyKept { user: Cow::Borrowed(user) },
            accounts::Event::Archived { user, through, settled } => Self::Archived {
                user: Cow::Borrowed(user),
                through: *through,
                settled: settled.iter().map(|payment| payment.bits()).collect(),
            },
        }
    }

    pub(super) fn into_domain(self) -> Read<accounts::Event> {
        Ok(match self {
            Self::Moved { user, currency, number, nonce, kind, amount, balance_after } => {
                accounts::Event::Moved {
                    user: user_id(&user)?,
                    currency: currency_in(currency)?,
                    number,
                    nonce,
                    kind: kind.into_domain(),
                    amount: money(amount)?,
                    balance_after: money(balance_after)?,
                }
            }
            Self::KeyKept { user } => accounts::Event::KeyKept { user: user_id(&user)? },
            Self::Archived { user, through, settled } => accounts::Event::Archived {
                user: user_id(&user)?,
                through,
                settled: settled.into_iter().map(PaymentId::from_bits).collect(),
            },
        })
    }
}

impl AccountsImageWire {
    pub(super) fn from_domain(image: &AccountsImage) -> Self {
        let account = |account: &AccountImage| {
            let transactions = account.transactions.iter().map(TransactionWire::from_domain).collect();
            (account.user.to_string(), currency_out(account.currency), transactions)
        };
        let key = |(key, version, at, answer): (KeyUse, u64, Timestamp, &accounts::Answer)| {
            let transaction = match answer {
                accounts::Answer::Moved(transaction) => Some(TransactionWire::from_domain(transaction)),
                accounts::Answer::Unchanged => None,
            };
            (key.digest, key.fingerprint, version, at.as_millis(), transaction)
        };
        Self {
            shard: image.shard.0,
            accounts: image.accounts.iter().map(account).collect(),
            last_transaction: image.last_transaction,
            keys_max: image.keys_max,
            keys: image.keys.iter().map(key).collect(),
            version: image.version,
            last_instant: image.last_instant.as_millis(),
        }
    }

    pub(super) fn into_domain(self) -> Read<AccountsImage> {
        let shard = shard(self.shard)?;
        let account = |(user, currency, transactions): (String, [u8; 3], Vec<TransactionWire>)| {
            let transactions = transactions.into_iter().map(|transaction| transaction.into_domain(shard));
            Ok(AccountImage {
                user: user_id(&user)?,
                currency: currency_in(currency)?,
                transactions: transactions.collect::<Read<_>>()?,
                carried: None,
            })
        };
        let key = |(digest, fingerprint, version, at, answer): (_, _, _, _, Option<TransactionWire>)| {
            let answer = match answer {
                Some(transaction) => accounts::Answer::Moved(transaction.into_domain(shard)?),
                None => accounts::Answer::Unchanged,
            };
            Ok((KeyUse { digest, fingerprint }, version, Timestamp::from_millis(at), answer))
        };
        Ok(AccountsImage {
            shard,
            accounts: self.accounts.into_iter().map(account).collect::<Read<_>>()?,
            last_transaction: self.last_transaction,
            keys_max: self.keys_max,
            keys: self.keys.into_iter().map(key).collect::<Read<_>>()?,
            version: self.version,
            last_instant: Timestamp::from_millis(self.last_instant),
        })
    }
}

impl CarriedWire {
    /// Returns nothing where no account carries anything forward.
    pub(super) fn from_domain(image: &AccountsImage) -> Option<Self> {
        let account = |account: &AccountImage| {
            let CarriedImage { carried, paid } = account.carried.as_ref()?;
            let wire = CarriedAccountWire {
                through: carried.through,
                count: carried.count,
                balance: carried.balance.minor(),
                paid: paid.iter().map(|(payment, back)| (payment.bits(), *back)).collect(),
            };
            Some((account.user.to_string(), wire))
        };
        let accounts: Vec<_> = image.accounts.iter().filter_map(account).collect();
        (!accounts.is_empty()).then_some(Self { shard: image.shard.0, accounts })
    }

    pub(super) fn into_domain(self) -> Read<CarriedAccounts> {
        let account = |(user, wire): (String, CarriedAccountWire)| {
            let CarriedAccountWire { through, count, balance, paid } = wire;
            let carried = Carried { through, count, balance: money(balance)? };
            let paid = paid.into_iter().map(|(bits, back)| (PaymentId::from_bits(bits), back)).collect();
            Ok((user_id(&user)?, CarriedImage { carried, paid }))
        };
        Ok((shard(self.shard)?, self.accounts.into_iter().map(account).collect::<Read<_>>()?))
    }
}

/// Reads the number of a shard.
pub(super) fn shard(number: u16) -> Read<Shard> {
    if number < SHARDS { Ok(Shard(number)) } else { Err(DecodeError::Value("a shard of accounts")) }
}

impl FailureWire {
    fn from_domain(failure: &Failure) -> Self {
        match failure {
            Failure::NotHeld => Self::NotHeld,
            Failure::TooLate => Self::TooLate,
            Failure::OtherAmount => Self::OtherAmount,
            Failure::Insufficient { balance } => Self::Insufficient { balance: balance.minor() },
            Failure::OtherCurrency => Self::OtherCurrency,
            Failure::Declined { code, reason } => {
                Self::Declined { code: code.to_string(), reason: reason.to_string() }
            }
            Failure::SeatsLost => Self::SeatsLost,
            Failure::Cancelled => Self::Cancelled,
            Failure::Superseded => Self::Superseded,
        }
    }

    fn into_domain(self) -> Read<Failure> {
        Ok(match self {
            Self::NotHeld => Failure::NotHeld,
            Self::TooLate => Failure::TooLate,
            Self::OtherAmount => Failure::OtherAmount,
            Self::Insufficient { balance } => Failure::Insufficient { balance: money(balance)? },
            Self::OtherCurrency => Failure::OtherCurrency,
            Self::Declined { code, reason } => Failure::Declined { code: code.into(), reason: reason.into() },
            Self::SeatsLost => Failure::SeatsLost,
            Self::Cancelled => Failure::Cancelled,
            Self::Superseded => Failure::Superseded,
        })
    }
}

impl<'a> PaymentsEventWire<'a> {
    pub(super) fn from_domain(event: &'a payments::Event) -> Self {
        use payments::Event;
        match event {
            Event::Started {
                number,
                nonce,
                reservation,
                user,
                method,
                amount,
                currency,
                gateway: Some(gateway),
            } if gateway.as_str() != FIRST_GATEWAY => Self::StartedThrough {
                number: number.0,
                nonce: *nonce,
                reservation: (reservation.number.0, reservation.nonce),
                user: Cow::Borrowed(user),
                method: method_out(*method),
                amount: amount.minor(),
                currency: currency_out(*currency),
                gateway: Cow::Borrowed(gateway),
            },
            Event::Started { number, nonce, reservation, user, method, currency, gateway: None, .. }
                if method.needs_gateway() =>
            {
                Self::StartedFree {
                    number: number.0,
                    nonce: *nonce,
                    reservation: (reservation.number.0, reservation.nonce),
                    user: Cow::Borrowed(user),
                    method: method_out(*method),
                    currency: currency_out(*currency),
                }
            }
            Event::Started { number, nonce, reservation, user, method, amount, currency, .. } => {
                Self::Started {
                    number: number.0,
                    nonce: *nonce,
                    reservation: (reservation.number.0, reservation.nonce),
                    user: Cow::Borrowed(user),
                    method: method_out(*method),
                    amount: amount.minor(),
                    currency: currency_out(*currency),
                }
            }
            Event::Accepted { number, payment_key } => {
                Self::Accepted { number: number.0, payment_key: Cow::Borrowed(payment_key) }
            }
            Event::CaptureBegun { number } => Self::CaptureBegun(number.0),
            Event::Declined { number, failure } => {
                Self::Declined(number.0, FailureWire::from_domain(failure))
            }
            Event::Captured { number } => Self::Captured(number.0),
            Event::Confirmed { number } => Self::Confirmed(number.0),
            Event::Completed { number } => Self::Completed(number.0),
            Event::Failed { number, failure } => {
                Self::Failed(number.0, failure.as_ref().map(FailureWire::from_domain))
            }
            Event::RefundBegun { number, failure } => {
                Self::RefundBegun(number.0, FailureWire::from_domain(failure))
            }
            Event::Refunded { number } => Self::Refunded(number.0),
            Event::KeyKept { number } => Self::KeyKept(number.0),
            Event::CapturedAtGateway { number, transaction, approved_at } => Self::CapturedAtGateway {
                number: number.0,
                transaction: transaction.as_deref().map(Cow::Borrowed),
                approved_at: instant_out(*approved_at),
            },
            Event::RefundedAtGateway { number, transaction } => Self::RefundedAtGateway {
                number: number.0,
                transaction: transaction.as_deref().map(Cow::Borrowed),
            },
        }
    }

    pub(super) fn into_domain(self) -> Read<payments::Event> {
        use payments::Event;
        Ok(match self {
            Self::Started { number, nonce, reservation, user, method, amount, currency } => {
                let method = method_in(method)?;
                Event::Started {
                    number: PaymentNumber(number),
                    nonce,
                    reservation: reservation_in(reservation),
                    user: user_id(&user)?,
                    method,
                    amount: money(amount)?,
                    currency: currency_in(currency)?,
                    gateway: method.needs_gateway().then(first_gateway),
                }
            }
            Self::StartedThrough { number, nonce, reservation, user, method, amount, currency, gateway } => {
                Event::Started {
                    number: PaymentNumber(number),
                    nonce,
                    reservation: reservation_in(reservation),
                    user: user_id(&user)?,
                    method: method_in(method)?,
                    amount: money(amount)?,
                    currency: currency_in(currency)?,
                    gateway: Some(gateway_in(&gateway)?),
                }
            }
            Self::StartedFree { number, nonce, reservation, user, method, currency } => Event::Started {
                number: PaymentNumber(number),
                nonce,
                reservation: reservation_in(reservation),
                user: user_id(&user)?,
                method: method_in(method)?,
                amount: Money::ZERO,
                currency: currency_in(currency)?,
                gateway: None,
            },
            Self::Accepted { number, payment_key } => {
                Event::Accepted { number: PaymentNumber(number), payment_key: payment_key.into() }
            }
            Self::CaptureBegun(number) => Event::CaptureBegun { number: PaymentNumber(number) },
            Self::Declined(number, failure) => {
                Event::Declined { number: PaymentNumber(number), failure: failure.into_domain()? }
            }
            Self::Captured(number) => Event::Captured { number: PaymentNumber(number) },
            Self::Confirmed(number) => Event::Confirmed { number: PaymentNumber(number) },
            Self::Completed(number) => Event::Completed { number: PaymentNumber(number) },
            Self::Failed(number, failure) => Event::Failed {
                number: PaymentNumber(number),
                failure: failure.map(FailureWire::into_domain).transpose()?,
            },
            Self::RefundBegun(number, failure) => {
                Event::RefundBegun { number: PaymentNumber(number), failure: failure.into_domain()? }
            }
            Self::Refunded(number) => Event::Refunded { number: PaymentNumber(number) },
            Self::KeyKept(number) => Event::KeyKept { number: PaymentNumber(number) },
            Self::CapturedAtGateway { number, transaction, approved_at } => Event::CapturedAtGateway {
                number: PaymentNumber(number),
                transaction: transaction.map(|transaction| Arc::from(&*transaction)),
                approved_at: instant_in(approved_at),
            },
            Self::RefundedAtGateway { number, transaction } => Event::RefundedAtGateway {
                number: PaymentNumber(number),
                transaction: transaction.map(|transaction| Arc::from(&*transaction)),
            },
        })
    }
}

impl PaymentsImageWire {
    pub(super) fn from_domain(image: &PaymentsImage) -> Self {
        let key = |(key, version, at, number): (KeyUse, u64, Timestamp, &PaymentNumber)| {
            (key.digest, key.fingerprint, version, at.as_millis(), number.0)
        };
        Self {
            schedule: image.schedule.0,
            last: image.last,
            payments: image.payments.iter().map(PaymentWire::from_domain).collect(),
            keys_max: image.keys_max,
            keys: image.keys.iter().map(key).collect(),
            version: image.version,
            last_instant: image.last_instant.as_millis(),
        }
    }

    pub(super) fn into_domain(self) -> Read<PaymentsImage> {
        let schedule = ScheduleNumber(self.schedule);
        let key = |(digest, fingerprint, version, at, number)| {
            (KeyUse { digest, fingerprint }, version, Timestamp::from_millis(at), PaymentNumber(number))
        };
        let first = first_gateway();
        let payments = self.payments.into_iter().map(|payment| payment.into_domain(schedule, &first));
        Ok(PaymentsImage {
            schedule,
            last: self.last,
            payments: pages(payments)?,
            keys_max: self.keys_max,
            keys: self.keys.into_iter().map(key).collect(),
            version: self.version,
            last_instant: Timestamp::from_millis(self.last_instant),
        })
    }
}

impl GatewayAnswerWire {
    /// Returns what gateways said of a schedule's payments.
    pub(super) fn all_of(image: &PaymentsImage) -> Vec<Self> {
        let answer = |payment: &Payment| {
            let answer = payment.answer.as_deref()?;
            Some(Self {
                number: payment.id.number.0,
                transaction: answer.transaction.as_deref().map(str::to_owned),
                approved_at: instant_out(answer.approved_at),
                refund: answer.refund.as_deref().map(str::to_owned),
            })
        };
        image.payments.iter().filter_map(answer).collect()
    }

    /// Gives the payments what gateways said of them.
    pub(super) fn add_all(answers: Vec<Self>, image: &mut PaymentsImage) -> Read<()> {
        for Self { number, transaction, approved_at, refund } in answers {
            let payment = image.payments.get_mut(number).filter(|payment| payment.id.number.0 == number);
            let payment = payment.ok_or(DecodeError::Value("the payment of a gateway's answer"))?;
            payment.answer = Some(Arc::new(GatewayAnswer {
                transaction: transaction.map(Arc::from),
                approved_at: instant_in(approved_at),
                refund: refund.map(Arc::from),
            }));
        }
        Ok(())
    }
}

impl GatewayWire {
    /// Returns the gateways of a schedule's payments, in order of their names, but [`FIRST_GATEWAY`].
    pub(super) fn all_of(image: &PaymentsImage) -> Vec<Self> {
        let mut by_name: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for payment in image.payments.iter() {
            if let Some(name) = payment.gateway.as_deref().filter(|name| *name != FIRST_GATEWAY) {
                by_name.entry(name).or_default().push(payment.id.number.0);
            }
        }
        by_name.into_iter().map(|(name, payments)| Self { name: name.to_owned(), payments }).collect()
    }

    /// Gives the payments their gateways.
    pub(super) fn add_all(gateways: Vec<Self>, image: &mut PaymentsImage) -> Read<()> {
        for Self { name, payments } in gateways {
            let name = gateway_in(&name)?;
            for number in payments {
                let is_named =
                    |payment: &&mut Payment| payment.id.number.0 == number && payment.needs_gateway();
                let payment = image.payments.get_mut(number).filter(is_named);
                let payment = payment.ok_or(DecodeError::Value("the payment of a gateway"))?;
                payment.gateway = Some(name.clone());
            }
        }
        Ok(())
    }
}

fn gateway_in(name: &str) -> Read<GatewayName> {
    GatewayName::parse(name).map_err(|_| DecodeError::Value("a gateway's name"))
}

fn first_gateway() -> GatewayName {
    GatewayName::parse(FIRST_GATEWAY).expect("letters")
}

impl PaymentWire {
    fn from_domain(payment: &Payment) -> Self {
        Self {
            number: payment.id.number.0,
            nonce: payment.id.nonce,
            reservation: (payment.reservation.number.0, payment.reservation.nonce),
            user: payment.user.to_string(),
            method: method_out(payment.method),
            amount: payment.amount.minor(),
            currency: currency_out(payment.currency),
            state: state_out(payment.state),
            payment_key: payment.payment_key.as_deref().map(str::to_owned),
            failure: payment.failure.as_ref().map(FailureWire::from_domain),
            created_at: payment.created_at.as_millis(),
            updated_at: payment.updated_at.as_millis(),
            completed_at: instant_out(payment.completed_at),
            refunded_at: instant_out(payment.refunded_at),
            key: payment.key,
        }
    }

    fn into_domain(self, schedule: ScheduleNumber, first: &GatewayName) -> Read<(u32, Payment)> {
        let (method, amount) = (method_in(self.method)?, money(self.amount)?);
        let payment = Payment {
            id: PaymentId { schedule, number: PaymentNumber(self.number), nonce: self.nonce },
            reservation: reservation_in(self.reservation),
            user: user_id(&self.user)?,
            method,
            amount,
            currency: currency_in(self.currency)?,
            state: state_in(self.state)?,
            gateway: needs_gateway(method, amount).then(|| first.clone()),
            payment_key: self.payment_key.map(Arc::from),
            answer: None,
            failure: self.failure.map(FailureWire::into_domain).transpose()?,
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
            completed_at: instant_in(self.completed_at),
            refunded_at: instant_in(self.refunded_at),
            key: self.key,
        };
        Ok((self.number, payment))
    }
}

fn reservation_in((number, nonce): (u32, u64)) -> ReservationRef {
    ReservationRef { number: ReservationNumber(number), nonce }
}

fn method_out(method: Method) -> u8 {
    match method {
        Method::Balance => 0,
        Method::Card => 1,
        Method::KakaoPay => 2,
        Method::NaverPay => 3,
        Method::Toss => 4,
    }
}

fn method_in(method: u8) -> Read<Method> {
    let found = Method::ALL.into_iter().find(|known| method_out(*known) == method);
    found.ok_or(DecodeError::Value("a payment's method"))
}

fn state_out(state: State) -> u8 {
    match state {
        State::Ready => 0,
        State::Begun => 1,
        State::Capturing => 2,
        State::Declined => 3,
        State::Captured => 4,
        State::Confirmed => 5,
        State::Completed => 6,
        State::Failed => 7,
        State::Refunding => 8,
        State::Refunded => 9,
    }
}

fn state_in(state: u8) -> Read<State> {
    let found = State::ALL.into_iter().find(|known| state_out(*known) == state);
    found.ok_or(DecodeError::Value("a payment's state"))
}
