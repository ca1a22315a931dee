//! Accounts and payments: their events, and their sections of a snapshot.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::domain::accounts::{
    self, AccountImage, AccountsImage, Carried, CarriedImage, Kind, Shard, Transaction,
};
use crate::domain::ids::{GatewayName, PaymentId, PaymentNumber, ScheduleNumber, TransactionId, UserId};
use crate::domain::money::Money;
use crate::domain::payments::{self, Failure, GatewayAnswer, Payment, PaymentsImage, needs_gateway};
use crate::domain::time::Timestamp;
use crate::record::DecodeError;
use crate::record::fields::{
    KeyWire, Read, currency_in, instant_in, keys_in, money, pages, reservation_in, user_id,
};
use crate::record::money::{gateway_in, method_in, shard, state_in};

#[derive(Deserialize)]
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

#[derive(Deserialize)]
pub(super) enum KindWire {
    Charge,
    Payment(u128),
    Refund(u128),
}

#[derive(Deserialize)]
struct TransactionWire {
    number: u32,
    nonce: u64,
    kind: KindWire,
    amount: u64,
    balance_after: u64,
    at: u64,
}

#[derive(Deserialize)]
pub(super) struct AccountsImageWire {
    shard: u16,
    accounts: Vec<(String, [u8; 3], Vec<TransactionWire>)>,
    last_transaction: u32,
    keys_max: u32,
    /// The answer is the transaction of the effect, where there was one.
    keys: Vec<KeyWire<Option<TransactionWire>>>,
    version: u64,
    last_instant: u64,
}

/// The sums that a shard's accounts carry forward: before the shard, and only where there are any.
#[derive(Deserialize)]
pub(super) struct CarriedWire {
    shard: u16,
    accounts: Vec<(String, CarriedAccountWire)>,
}

#[derive(Deserialize)]
struct CarriedAccountWire {
    through: u32,
    count: u64,
    balance: u64,
    paid: Vec<(u128, bool)>,
}

/// The sums that accounts carry forward.
pub(super) type CarriedAccounts = HashMap<UserId, CarriedImage>;

#[derive(Deserialize)]
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

#[derive(Deserialize)]
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

#[derive(Deserialize)]
pub(super) struct PaymentsImageWire {
    schedule: u32,
    last: u32,
    payments: Vec<PaymentWire>,
    keys_max: u32,
    keys: Vec<KeyWire<u32>>,
    version: u64,
    last_instant: u64,
}

/// A gateway's answer about a payment, by the payment's number.
#[derive(Deserialize)]
pub(super) struct GatewayAnswerWire {
    number: u32,
    transaction: Option<String>,
    approved_at: Option<u64>,
    refund: Option<String>,
}

/// A gateway, with the numbers of the payments that it takes.
#[derive(Deserialize)]
pub(super) struct GatewayWire {
    name: String,
    payments: Vec<u32>,
}

#[derive(Deserialize)]
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

impl KindWire {
    fn into_domain(self) -> Kind {
        match self {
            Self::Charge => Kind::Charge,
            Self::Payment(bits) => Kind::Payment(PaymentId::from_bits(bits)),
            Self::Refund(bits) => Kind::Refund(PaymentId::from_bits(bits)),
        }
    }
}

impl TransactionWire {
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

impl AccountsEventWire<'_> {
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
    pub(super) fn into_domain(self, mut carried: CarriedAccounts) -> Read<AccountsImage> {
        let shard = shard(self.shard)?;
        let mut accounts = Vec::new();
        for (user, currency, transactions) in self.accounts {
            let transactions = transactions.into_iter().map(|transaction| transaction.into_domain(shard));
            let user = user_id(&user)?;
            accounts.push(AccountImage {
                currency: currency_in(currency)?,
                transactions: transactions.collect::<Read<_>>()?,
                carried: carried.remove(&user),
                user,
            });
        }
        // Money that no account of the shard carries forward would be lost.
        if !carried.is_empty() {
            return Err(DecodeError::Value("an account that carries something forward"));
        }

        let answer = |answer: Option<TransactionWire>| {
            Ok(match answer {
                Some(transaction) => accounts::Answer::Moved(transaction.into_domain(shard)?),
                None => accounts::Answer::Unchanged,
            })
        };

        Ok(AccountsImage {
            shard,
            accounts,
            last_transaction: self.last_transaction,
            keys_max: self.keys_max,
            keys: keys_in(self.keys, answer)?,
            version: self.version,
            last_instant: Timestamp::from_millis(self.last_instant),
        })
    }
}

impl CarriedWire {
    /// Returns the shard, and the sums that its accounts carry forward.
    pub(super) fn into_domain(self) -> Read<(Shard, CarriedAccounts)> {
        let account = |(user, wire): (String, CarriedAccountWire)| {
            let CarriedAccountWire { through, count, balance, paid } = wire;
            let carried = Carried { through, count, balance: money(balance)? };
            let paid = paid.into_iter().map(|(bits, back)| (PaymentId::from_bits(bits), back)).collect();
            Ok((user_id(&user)?, CarriedImage { carried, paid }))
        };
        Ok((shard(self.shard)?, self.accounts.into_iter().map(account).collect::<Read<_>>()?))
    }
}

impl FailureWire {
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

impl PaymentsEventWire<'_> {
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
            Self::Captured(number) => {
                Event::Captured { number: PaymentNumber(number), transaction: None, approved_at: None }
            }

            Self::Confirmed(number) => Event::Confirmed { number: PaymentNumber(number) },
            Self::Completed(number) => Event::Completed { number: PaymentNumber(number) },
            Self::Failed(number, failure) => Event::Failed {
                number: PaymentNumber(number),
                failure: failure.map(FailureWire::into_domain).transpose()?,
            },
            Self::RefundBegun(number, failure) => Event::RefundBegun {
                number: PaymentNumber(number),
                failure: failure.into_domain()?,
                amount: None,
            },
            Self::Refunded(number) => {
                Event::Refunded { number: PaymentNumber(number), transaction: None, amount: None }
            }
            Self::KeyKept(number) => Event::KeyKept { number: PaymentNumber(number) },
            Self::CapturedAtGateway { number, transaction, approved_at } => Event::Captured {
                number: PaymentNumber(number),
                transaction: transaction.map(|transaction| Arc::from(&*transaction)),
                approved_at: instant_in(approved_at),
            },
            Self::RefundedAtGateway { number, transaction } => Event::Refunded {
                number: PaymentNumber(number),
                transaction: transaction.map(|transaction| Arc::from(&*transaction)),
                amount: None,
            },
        })
    }
}

impl PaymentsImageWire {
    pub(super) fn into_domain(self) -> Read<PaymentsImage> {
        let schedule = ScheduleNumber(self.schedule);
        let first = first_gateway();
        let payments = self.payments.into_iter().map(|payment| payment.into_domain(schedule, &first));
        Ok(PaymentsImage {
            schedule,
            last: self.last,
            payments: pages(payments)?,
            keys_max: self.keys_max,
            keys: keys_in(self.keys, |number| Ok(PaymentNumber(number)))?,
            version: self.version,
            last_instant: Timestamp::from_millis(self.last_instant),
        })
    }
}

impl GatewayAnswerWire {
    /// Gives the payments their gateways' answers.
    pub(super) fn add_all(answers: Vec<Self>, image: &mut PaymentsImage) -> Read<()> {
        // Where a gateway named nothing, there is no answer.
        let said = |answer: &Self| {
            answer.transaction.is_some() || answer.approved_at.is_some() || answer.refund.is_some()
        };
        for Self { number, transaction, approved_at, refund } in answers.into_iter().filter(said) {
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

fn first_gateway() -> GatewayName {
    GatewayName::parse(FIRST_GATEWAY).expect("letters")
}

impl PaymentWire {
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
            refund: None,
            went_back: None,
            key: self.key,
        };
        Ok((self.number, payment))
    }
}
