//! The wire format of accounts and payments: their events, and their sections of a snapshot.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::DecodeError;
use super::fields::{
    KeyWire, More, Read, currency_in, currency_out, instant_in, instant_out, keys_in, keys_out, money, pages,
    reservation_in, reservation_out, user_id,
};
use crate::domain::accounts::{
    self, AccountImage, AccountsImage, Carried, CarriedImage, Kind, SHARDS, Shard, Transaction,
};
use crate::domain::ids::{GatewayName, PaymentId, PaymentNumber, ScheduleNumber, TransactionId};
use crate::domain::payments::{
    self, Back, Failure, GatewayAnswer, Method, Payment, PaymentsImage, State, Taken, needs_gateway,
};
use crate::domain::time::Timestamp;

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
        more: More,
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
        more: More,
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
    more: More,
}

#[derive(Serialize, Deserialize)]
struct AccountWire {
    user: String,
    currency: [u8; 3],
    transactions: Vec<TransactionWire>,
    carried: Option<CarriedAccountWire>,
    more: More,
}

#[derive(Serialize, Deserialize)]
pub(super) struct AccountsImageWire {
    shard: u16,
    accounts: Vec<AccountWire>,
    last_transaction: u32,
    keys_max: u32,
    /// The answer is the transaction of the effect, where there was one.
    keys: Vec<KeyWire<Option<TransactionWire>>>,
    version: u64,
    last_instant: u64,
    more: More,
}

/// The sums that an account carries forward from the archive.
#[derive(Serialize, Deserialize)]
struct CarriedAccountWire {
    through: u32,
    count: u64,
    balance: u64,
    paid: Vec<(u128, bool)>,
    more: More,
}

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
        #[serde(borrow)]
        gateway: Option<Cow<'a, str>>,
        more: More,
    },
    Accepted {
        number: u32,
        #[serde(borrow)]
        payment_key: Cow<'a, str>,
        more: More,
    },
    CaptureBegun(u32),
    Declined(u32, FailureWire),
    Captured {
        number: u32,
        #[serde(borrow)]
        transaction: Option<Cow<'a, str>>,
        approved_at: Option<u64>,
        more: More,
    },
    Confirmed(u32),
    Completed(u32),
    Failed(u32, Option<FailureWire>),
    RefundBegun(u32, FailureWire),
    Refunded {
        number: u32,
        #[serde(borrow)]
        transaction: Option<Cow<'a, str>>,
        more: More<RefundedMore>,
    },
    KeyKept(u32),
    CapturedOutside {
        number: u32,
        #[serde(borrow)]
        payment_key: Cow<'a, str>,
        more: More,
    },
    Unmatched {
        number: u32,
        nonce: u64,
        reservation: (u32, u64),
        #[serde(borrow)]
        user: Cow<'a, str>,
        method: u8,
        #[serde(borrow)]
        gateway: Cow<'a, str>,
        #[serde(borrow)]
        payment_key: Cow<'a, str>,
        amount: u64,
        currency: [u8; 3],
        failure: FailureWire,
        #[serde(borrow)]
        back: Option<BackWire<'a>>,
        more: More,
    },
    /// Less than all of the money is to go back.
    PartRefundBegun {
        number: u32,
        failure: FailureWire,
        amount: u64,
        more: More,
    },
}

#[derive(Serialize, Deserialize)]
pub(super) enum RefundedMore {
    /// How much went back, where that is more than was to.
    Amount(u64),
}

#[derive(Serialize, Deserialize)]
pub(super) struct BackWire<'a> {
    #[serde(borrow)]
    transaction: Option<Cow<'a, str>>,
}

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
    AlreadyPaid,
}

#[derive(Serialize, Deserialize)]
pub(super) struct PaymentsImageWire {
    schedule: u32,
    last: u32,
    payments: Vec<PaymentWire>,
    keys_max: u32,
    keys: Vec<KeyWire<u32>>,
    version: u64,
    last_instant: u64,
    more: More,
}

#[derive(Serialize, Deserialize)]
struct GatewayAnswerWire {
    transaction: Option<String>,
    approved_at: Option<u64>,
    refund: Option<String>,
    more: More,
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
    gateway: Option<String>,
    payment_key: Option<String>,
    answer: Option<GatewayAnswerWire>,
    failure: Option<FailureWire>,
    created_at: u64,
    updated_at: u64,
    completed_at: Option<u64>,
    refunded_at: Option<u64>,
    key: Option<u128>,
    more: More<PaymentMore>,
}

#[derive(Serialize, Deserialize)]
enum PaymentMore {
    /// How much of it is to go back, where that isn't all.
    Refund(u64),
    /// How much went back, where that is more than was to.
    WentBack(u64),
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
            more: More::default(),
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
                    more: More::default(),
                }
            }
            accounts::Event::KeyKept { user } => Self::KeyKept { user: Cow::Borrowed(user) },
            accounts::Event::Archived { user, through, settled } => Self::Archived {
                user: Cow::Borrowed(user),
                through: *through,
                settled: settled.iter().map(|payment| payment.bits()).collect(),
                more: More::default(),
            },
        }
    }

    pub(super) fn into_domain(self) -> Read<accounts::Event> {
        Ok(match self {
            Self::Moved { user, currency, number, nonce, kind, amount, balance_after, more: _ } => {
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
            Self::Archived { user, through, settled, more: _ } => accounts::Event::Archived {
                user: user_id(&user)?,
                through,
                settled: settled.into_iter().map(PaymentId::from_bits).collect(),
            },
        })
    }
}

impl AccountWire {
    fn from_domain(account: &AccountImage) -> Self {
        let carried = |CarriedImage { carried, paid }: &CarriedImage| CarriedAccountWire {
            through: carried.through,
            count: carried.count,
            balance: carried.balance.minor(),
            paid: paid.iter().map(|(payment, back)| (payment.bits(), *back)).collect(),
            more: More::default(),
        };
        Self {
            user: account.user.to_string(),
            currency: currency_out(account.currency),
            transactions: account.transactions.iter().map(TransactionWire::from_domain).collect(),
            carried: account.carried.as_ref().map(carried),
            more: More::default(),
        }
    }

    fn into_domain(self, shard: Shard) -> Read<AccountImage> {
        let carried = |wire: CarriedAccountWire| -> Read<CarriedImage> {
            let CarriedAccountWire { through, count, balance, paid, more: _ } = wire;
            let carried = Carried { through, count, balance: money(balance)? };
            let paid = paid.into_iter().map(|(bits, back)| (PaymentId::from_bits(bits), back)).collect();
            Ok(CarriedImage { carried, paid })
        };
        let transactions = self.transactions.into_iter().map(|transaction| transaction.into_domain(shard));
        Ok(AccountImage {
            user: user_id(&self.user)?,
            currency: currency_in(self.currency)?,
            transactions: transactions.collect::<Read<_>>()?,
            carried: self.carried.map(carried).transpose()?,
        })
    }
}

impl AccountsImageWire {
    pub(super) fn from_domain(image: &AccountsImage) -> Self {
        let answer = |answer: &accounts::Answer| match answer {
            accounts::Answer::Moved(transaction) => Some(TransactionWire::from_domain(transaction)),
            accounts::Answer::Unchanged => None,
        };
        Self {
            shard: image.shard.0,
            accounts: image.accounts.iter().map(AccountWire::from_domain).collect(),
            last_transaction: image.last_transaction,
            keys_max: image.keys_max,
            keys: keys_out(&image.keys, answer),
            version: image.version,
            last_instant: image.last_instant.as_millis(),
            more: More::default(),
        }
    }

    pub(super) fn into_domain(self) -> Read<AccountsImage> {
        let shard = shard(self.shard)?;
        let answer = |answer: Option<TransactionWire>| {
            Ok(match answer {
                Some(transaction) => accounts::Answer::Moved(transaction.into_domain(shard)?),
                None => accounts::Answer::Unchanged,
            })
        };
        let accounts = self.accounts.into_iter().map(|account| account.into_domain(shard));
        Ok(AccountsImage {
            shard,
            accounts: accounts.collect::<Read<_>>()?,
            last_transaction: self.last_transaction,
            keys_max: self.keys_max,
            keys: keys_in(self.keys, answer)?,
            version: self.version,
            last_instant: Timestamp::from_millis(self.last_instant),
        })
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
            Failure::AlreadyPaid => Self::AlreadyPaid,
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
            Self::AlreadyPaid => Failure::AlreadyPaid,
        })
    }
}

impl<'a> PaymentsEventWire<'a> {
    pub(super) fn from_domain(event: &'a payments::Event) -> Self {
        use payments::Event;
        match event {
            Event::Started { number, nonce, reservation, user, method, amount, currency, gateway } => {
                Self::Started {
                    number: number.0,
                    nonce: *nonce,
                    reservation: reservation_out(*reservation),
                    user: Cow::Borrowed(user),
                    method: method_out(*method),
                    amount: amount.minor(),
                    currency: currency_out(*currency),
                    gateway: gateway.as_ref().map(|gateway| Cow::Borrowed(gateway.as_str())),
                    more: More::default(),
                }
            }

            Event::Accepted { number, payment_key } => Self::Accepted {
                number: number.0,
                payment_key: Cow::Borrowed(payment_key),
                more: More::default(),
            },
            Event::CaptureBegun { number } => Self::CaptureBegun(number.0),
            Event::Declined { number, failure } => {
                Self::Declined(number.0, FailureWire::from_domain(failure))
            }

            Event::Captured { number, transaction, approved_at } => Self::Captured {
                number: number.0,
                transaction: transaction.as_deref().map(Cow::Borrowed),
                approved_at: instant_out(*approved_at),
                more: More::default(),
            },
            Event::Confirmed { number } => Self::Confirmed(number.0),
            Event::Completed { number } => Self::Completed(number.0),
            Event::Failed { number, failure } => {
                Self::Failed(number.0, failure.as_ref().map(FailureWire::from_domain))
            }

            Event::RefundBegun { number, failure, amount: None } => {
                Self::RefundBegun(number.0, FailureWire::from_domain(failure))
            }
            Event::RefundBegun { number, failure, amount: Some(amount) } => Self::PartRefundBegun {
                number: number.0,
                failure: FailureWire::from_domain(failure),
                amount: amount.minor(),
                more: More::default(),
            },
            Event::Refunded { number, transaction, amount } => Self::Refunded {
                number: number.0,
                transaction: transaction.as_deref().map(Cow::Borrowed),
                more: amount.map(|amount| RefundedMore::Amount(amount.minor())).into_iter().collect(),
            },
            Event::KeyKept { number } => Self::KeyKept(number.0),

            Event::CapturedOutside { number, payment_key } => Self::CapturedOutside {
                number: number.0,
                payment_key: Cow::Borrowed(payment_key),
                more: More::default(),
            },
            Event::Unmatched { number, nonce, reservation, user, method, gateway, taken, failure, back } => {
                Self::Unmatched {
                    number: number.0,
                    nonce: *nonce,
                    reservation: reservation_out(*reservation),
                    user: Cow::Borrowed(user),
                    method: method_out(*method),
                    gateway: Cow::Borrowed(gateway),
                    payment_key: Cow::Borrowed(&taken.payment_key),
                    amount: taken.amount.minor(),
                    currency: currency_out(taken.currency),
                    failure: FailureWire::from_domain(failure),
                    back: back
                        .as_ref()
                        .map(|back| BackWire { transaction: back.transaction.as_deref().map(Cow::Borrowed) }),
                    more: More::default(),
                }
            }
        }
    }

    pub(super) fn into_domain(self) -> Read<payments::Event> {
        use payments::Event;
        Ok(match self {
            Self::Started {
                number,
                nonce,
                reservation,
                user,
                method,
                amount,
                currency,
                gateway,
                more: _,
            } => Event::Started {
                number: PaymentNumber(number),
                nonce,
                reservation: reservation_in(reservation),
                user: user_id(&user)?,
                method: method_in(method)?,
                amount: money(amount)?,
                currency: currency_in(currency)?,
                gateway: gateway.as_deref().map(gateway_in).transpose()?,
            },

            Self::Accepted { number, payment_key, more: _ } => {
                Event::Accepted { number: PaymentNumber(number), payment_key: payment_key.into() }
            }
            Self::CaptureBegun(number) => Event::CaptureBegun { number: PaymentNumber(number) },
            Self::Declined(number, failure) => {
                Event::Declined { number: PaymentNumber(number), failure: failure.into_domain()? }
            }

            Self::Captured { number, transaction, approved_at, more: _ } => Event::Captured {
                number: PaymentNumber(number),
                transaction: transaction.map(|transaction| Arc::from(&*transaction)),
                approved_at: instant_in(approved_at),
            },
            Self::Confirmed(number) => Event::Confirmed { number: PaymentNumber(number) },
            Self::Completed(number) => Event::Completed { number: PaymentNumber(number) },
            Self::Failed(number, failure) => Event::Failed {
                number: PaymentNumber(number),
                failure: failure.map(FailureWire::into_domain).transpose()?,
            },

            Self::RefundBegun(number, failure) => {
                let number = PaymentNumber(number);
                Event::RefundBegun { number, failure: failure.into_domain()?, amount: None }
            }
            Self::PartRefundBegun { number, failure, amount, more: _ } => Event::RefundBegun {
                number: PaymentNumber(number),
                failure: failure.into_domain()?,
                amount: Some(money(amount)?),
            },
            Self::Refunded { number, transaction, more } => {
                let mut amount = None;
                for field in more {
                    match field {
                        RefundedMore::Amount(minor) => amount = Some(money(minor)?),
                    }
                }
                let transaction = transaction.map(|transaction| Arc::from(&*transaction));
                Event::Refunded { number: PaymentNumber(number), transaction, amount }
            }
            Self::KeyKept(number) => Event::KeyKept { number: PaymentNumber(number) },

            Self::CapturedOutside { number, payment_key, more: _ } => {
                Event::CapturedOutside { number: PaymentNumber(number), payment_key: payment_key.into() }
            }
            Self::Unmatched {
                number,
                nonce,
                reservation,
                user,
                method,
                gateway,
                payment_key,
                amount,
                currency,
                failure,
                back,
                more: _,
            } => Event::Unmatched {
                number: PaymentNumber(number),
                nonce,
                reservation: reservation_in(reservation),
                user: user_id(&user)?,
                method: method_in(method)?,
                gateway: gateway_in(&gateway)?,
                taken: Taken {
                    payment_key: payment_key.into(),
                    amount: money(amount)?,
                    currency: currency_in(currency)?,
                },
                failure: failure.into_domain()?,
                back: back.map(|back| Back { transaction: back.transaction.map(Into::into) }),
            },
        })
    }
}

impl PaymentsImageWire {
    pub(super) fn from_domain(image: &PaymentsImage) -> Self {
        Self {
            schedule: image.schedule.0,
            last: image.last,
            payments: image.payments.iter().map(PaymentWire::from_domain).collect(),
            keys_max: image.keys_max,
            keys: keys_out(&image.keys, |number| number.0),
            version: image.version,
            last_instant: image.last_instant.as_millis(),
            more: More::default(),
        }
    }

    pub(super) fn into_domain(self) -> Read<PaymentsImage> {
        let schedule = ScheduleNumber(self.schedule);
        let payments = self.payments.into_iter().map(|payment| payment.into_domain(schedule));
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
    fn from_domain(answer: &GatewayAnswer) -> Self {
        Self {
            transaction: answer.transaction.as_deref().map(str::to_owned),
            approved_at: instant_out(answer.approved_at),
            refund: answer.refund.as_deref().map(str::to_owned),
            more: More::default(),
        }
    }

    fn into_domain(self) -> GatewayAnswer {
        GatewayAnswer {
            transaction: self.transaction.map(Arc::from),
            approved_at: instant_in(self.approved_at),
            refund: self.refund.map(Arc::from),
        }
    }
}

pub(super) fn gateway_in(name: &str) -> Read<GatewayName> {
    GatewayName::parse(name).map_err(|_| DecodeError::Value("a gateway's name"))
}

impl PaymentWire {
    fn from_domain(payment: &Payment) -> Self {
        Self {
            number: payment.id.number.0,
            nonce: payment.id.nonce,
            reservation: reservation_out(payment.reservation),
            user: payment.user.to_string(),
            method: method_out(payment.method),
            amount: payment.amount.minor(),
            currency: currency_out(payment.currency),
            state: state_out(payment.state),
            gateway: payment.gateway.as_deref().map(str::to_owned),
            payment_key: payment.payment_key.as_deref().map(str::to_owned),
            answer: payment.answer.as_deref().map(GatewayAnswerWire::from_domain),
            failure: payment.failure.as_ref().map(FailureWire::from_domain),
            created_at: payment.created_at.as_millis(),
            updated_at: payment.updated_at.as_millis(),
            completed_at: instant_out(payment.completed_at),
            refunded_at: instant_out(payment.refunded_at),
            key: payment.key,
            more: [
                payment.refund.map(|refund| PaymentMore::Refund(refund.minor())),
                payment.went_back.map(|back| PaymentMore::WentBack(back.minor())),
            ]
            .into_iter()
            .flatten()
            .collect(),
        }
    }

    fn into_domain(self, schedule: ScheduleNumber) -> Read<(u32, Payment)> {
        let (method, amount) = (method_in(self.method)?, money(self.amount)?);
        // A payment that needs no gateway was never sent to one: none would know it.
        if self.gateway.is_some() && !needs_gateway(method, amount) {
            return Err(DecodeError::Value("a payment's gateway"));
        }

        let (mut refund, mut went_back) = (None, None);
        for field in self.more {
            match field {
                PaymentMore::Refund(minor) => refund = Some(money(minor)?),
                PaymentMore::WentBack(minor) => went_back = Some(money(minor)?),
            }
        }

        let payment = Payment {
            id: PaymentId { schedule, number: PaymentNumber(self.number), nonce: self.nonce },
            reservation: reservation_in(self.reservation),
            user: user_id(&self.user)?,
            method,
            amount,
            currency: currency_in(self.currency)?,
            state: state_in(self.state)?,
            gateway: self.gateway.as_deref().map(gateway_in).transpose()?,
            payment_key: self.payment_key.map(Arc::from),
            answer: self.answer.map(|answer| Arc::new(answer.into_domain())),
            failure: self.failure.map(FailureWire::into_domain).transpose()?,
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
            completed_at: instant_in(self.completed_at),
            refunded_at: instant_in(self.refunded_at),
            refund,
            went_back,
            key: self.key,
        };

        Ok((self.number, payment))
    }
}

fn method_out(method: Method) -> u8 {
    match method {
        Method::Balance => 0,
        Method::Card => 1,
        Method::KakaoPay => 2,
        Method::NaverPay => 3,
        Method::Toss => 4,
        Method::External => 5,
    }
}

pub(super) fn method_in(method: u8) -> Read<Method> {
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

pub(super) fn state_in(state: u8) -> Read<State> {
    let found = State::ALL.into_iter().find(|known| state_out(*known) == state);
    found.ok_or(DecodeError::Value("a payment's state"))
}
