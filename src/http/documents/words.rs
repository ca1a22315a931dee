//! The small parts of answers: instants, ids and words, each written as it is described.

use serde::{Deserialize, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    ArrayBuilder, KnownFormat, Object, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, Type,
};
use utoipa::{PartialSchema, ToSchema};

use super::checks::{self, LINES_LEN_MAX, NAMES_MAX};
use crate::domain::accounts::Kind;
use crate::domain::concert::{LINE_NAME_LEN_MAX, PRICE_TYPES_MAX};
use crate::domain::ids::{ID_LEN_MAX, PaymentId, ReservationId, TransactionId};
use crate::domain::payments::{Method, State};
use crate::domain::schedule::orders::{ORDER_TEXT_LEN_MAX, OrderMethod};
use crate::domain::schedule::{ReservationStatus, SaleStatus, SeatStatus};
use crate::domain::time::Timestamp;
use crate::domain::users::{EMAIL_LEN_MAX, NAME_LEN_MAX, UserStatus};
use crate::domain::venue::PlanId;
use crate::domain::waiting_room::{Gate, PlaceStatus};

/// The length of a plan's id.
const PLAN_ID_LEN: usize = PlanId::TEXT_LEN;
/// The longest URL of a picture, in characters.
pub(super) const URL_LEN_MAX: usize = 2_000;

/// The pattern of a domain's label. It only has classes of ASCII, which every engine of patterns knows; the description
/// and the check say the rest.
macro_rules! label {
    () => {
        r"[^\x00-/:-@\[-`{-\x9f]([^\x00-,./:-@\[-`{-\x9f]*[^\x00-/:-@\[-`{-\x9f])?"
    };
}

/// The pattern of what stands behind the name of a mailbox.
macro_rules! domain {
    () => {
        concat!("@", label!(), r"(\.", label!(), ")+$")
    };
}

/// A text without control characters.
const PRINTABLE: &str = r"^[^\x00-\x1f\x7f-\x9f]+$";
/// The same, or nothing.
const LINE: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";
/// A text that isn't blank, and whose control characters are tabs and line ends.
const REASON: &str = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$";
/// A text whose control characters are tabs and line ends.
const LINES: &str = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$";
/// No white space, and before any path no scheme but two.
const URL: &str = concat!(
    r"^([Hh][Tt][Tt][Pp][Ss]?:[^\s\x00-\x1f\x7f-\x9f]*",
    r"|[^\s\x00-\x1f\x7f-\x9f:/?#]*([/?#][^\s\x00-\x1f\x7f-\x9f]*)?)$"
);
/// A text without control characters that isn't only white space.
const NAME: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$";
/// One `@`, no space before it, and behind it two or more labels of letters with their marks, digits and hyphens.
const EMAIL: &str = concat!(r"^[^\s\x00-\x1f\x7f-\x9f@]+", domain!());
/// The same, with a name that mail servers take: some marks only stand within quotation marks.
const NEW_EMAIL: &str = concat!(
    r#"^([^\s\x00-\x1f\x7f-\x9f@()<>\[\]:;,\\"]+"#,
    r#"|"([^\s\x00-\x1f\x7f-\x9f@\\"]|\\[^\s\x00-\x1f\x7f-\x9f@])+")"#,
    domain!()
);

/// An instant as answers write it: RFC 3339 in UTC with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At(pub Timestamp);

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(core::str::from_utf8(&self.0.to_text()).expect("digits and marks are ASCII"))
    }
}

impl PartialSchema for At {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        text.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .pattern(Some(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"))
            .description(Some("RFC 3339 in UTC with milliseconds"))
            .examples(["2026-11-20T12:00:00.000Z"])
            .into()
    }
}

impl ToSchema for At {
    fn name() -> std::borrow::Cow<'static, str> {
        "Instant".into()
    }
}

/// Describes an instant as requests may write it.
#[derive(Debug)]
pub struct InstantText;

impl PartialSchema for InstantText {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        text.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .pattern(Some(concat!(
                r"^(19[7-9]\d|[2-9]\d{3})-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?",
                r"([Zz]|[+-]\d{2}:\d{2})$"
            )))
            .description(Some(
                "RFC 3339 with any offset, from 1970 on; finer digits than milliseconds are cut",
            ))
            .examples(["2026-11-20T12:00:00.000Z"])
            .into()
    }
}

impl ToSchema for InstantText {}

/// An id that the engine made: 26 characters of base 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpaqueId([u8; ReservationId::TEXT_LEN]);

impl From<ReservationId> for OpaqueId {
    fn from(id: ReservationId) -> Self {
        Self(id.to_text())
    }
}

impl From<PaymentId> for OpaqueId {
    fn from(id: PaymentId) -> Self {
        Self(id.to_text())
    }
}

impl From<TransactionId> for OpaqueId {
    fn from(id: TransactionId) -> Self {
        Self(id.to_text())
    }
}

impl Serialize for OpaqueId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(core::str::from_utf8(&self.0).expect("base 32 is ASCII"))
    }
}

impl PartialSchema for OpaqueId {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        text.pattern(Some("^[a-h][a-z2-7]{25}$"))
            .description(Some(
                "An id that the engine made: nothing can be read in it or guessed from another",
            ))
            .examples(["gnodh3azvbdamtxgaqhrlv3bny"])
            .into()
    }
}

impl ToSchema for OpaqueId {}

/// Describes the texts that clients choose. Nothing is written by these types: a text is written as it is.
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident: $length:expr, $pattern:expr, $description:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let text = ObjectBuilder::new().schema_type(Type::String);
                let length = $length;
                let least = Some(*length.start()).filter(|least| *least > 0);
                let text = text.min_length(least).max_length(Some(*length.end())).pattern(Some($pattern));
                text.description(Some($description)).into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

texts! {
    /// The id of a venue, a concert or a schedule.
    CatalogueId: 1..=ID_LEN_MAX, r"^[^\x00-,/;-@\[-^`{-\x9f]+$", "1–128 letters of any script, digits, `-_.:`";
    /// A code.
    CodeText: 4..=64, r"^[^\x00-,./:-@\[-`{-\x9f]+$", "4–64 letters of any script, digits and dashes; capital and small letters are the same";
    /// The id of a user.
    UserText: 1..=ID_LEN_MAX, PRINTABLE, "1–128 printable characters";
    /// The id of a seat.
    SeatName: 1..=ID_LEN_MAX, PRINTABLE, "1–128 printable characters, unique in the venue";
    /// The id of a plan.
    PlanName: PLAN_ID_LEN..=PLAN_ID_LEN, "^[0-9a-f]+$", "32 hexadecimal digits, made of the plan's content";
    /// The name of a grade.
    GradeText: 1..=ID_LEN_MAX, PRINTABLE, "1–128 printable characters";
    /// The id of a section or a row.
    PlaceText: 1..=ID_LEN_MAX, NAME, "1–128 printable characters, not only white space";
    /// An address to sign in with.
    EmailText: 1..=EMAIL_LEN_MAX, EMAIL,
        "Kept as it is written, and compared by the mailbox that it leads to: without case, in Unicode's form KC, without quotation marks that nothing needs, with the domain in ASCII";
    /// An address to sign up with.
    NewEmailText: 1..=EMAIL_LEN_MAX, NEW_EMAIL,
        "An address that mail can go to; kept as it is written, and compared by the mailbox that it leads to";
    /// How a user is called.
    UserNameText: 1..=NAME_LEN_MAX, NAME, "1–100 printable characters, without white space around them";
    /// A name for people.
    NameText: 1..=checks::NAME_LEN_MAX, NAME, "1–500 printable characters, not only white space";
    /// A name, a reference or a reason of an order.
    OrderText: 1..=ORDER_TEXT_LEN_MAX, NAME, "1–200 printable characters, not only white space";
    /// The name of a price type or a fee, which lines of reservations keep.
    LineName: 1..=LINE_NAME_LEN_MAX, NAME, "1–100 printable characters, not only white space";
    /// A text of one line, for people.
    LineText: 0..=checks::NAME_LEN_MAX, LINE, "At most 500 printable characters";
    /// A text that may have several lines, for people.
    LinesText: 0..=LINES_LEN_MAX, LINES, "At most 10,000 characters, of control characters only tabs and ends of lines";
    /// Why something is so.
    ReasonText: 1..=LINES_LEN_MAX, REASON, "1–10,000 characters, not only white space, of control characters only tabs and ends of lines";
    /// The name of a floor.
    FloorText: 0..=ID_LEN_MAX, LINE, "At most 128 printable characters";
    /// The name of a time zone.
    ZoneText: 1..=checks::NAME_LEN_MAX, PRINTABLE, "The IANA name of a time zone, as in Asia/Seoul";
    /// The address of a picture.
    PictureUrl: 1..=URL_LEN_MAX, URL, "An `http`, `https` or relative URL";
    /// An ISO 4217 currency.
    CurrencyText: 1..=3, "^[A-Z]{3}$", "ISO 4217, as in KRW";
}

/// Describes the names of those who play a role.
#[derive(Debug)]
pub(super) struct Names;

impl PartialSchema for Names {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new().items(NameText::schema()).max_items(Some(NAMES_MAX)).into()
    }
}

impl ToSchema for Names {}

/// Describes who plays a role: one name, or several.
pub(super) fn one_name_or_several() -> RefOr<Schema> {
    either::<NameText, Names>()
}

/// Describes what has one of two forms.
pub fn either<A: PartialSchema, B: PartialSchema>() -> RefOr<Schema> {
    OneOfBuilder::new().item(A::schema()).item(B::schema()).into()
}

/// Describes what is known of roles by their names.
pub(super) fn by_role<T: PartialSchema>() -> Object {
    // A role's name is as any other.
    let role = match NameText::schema() {
        RefOr::T(role) => Some(role),
        RefOr::Ref(_) => None,
    };
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property_names(role)
        .additional_properties(Some(T::schema()))
        .max_properties(Some(NAMES_MAX))
        .build()
}

/// Describes whole numbers, from 0 to the highest, by the ids of price types.
pub fn numbers_by_id(max: u64) -> Object {
    let id = match CatalogueId::schema() {
        RefOr::T(id) => Some(id),
        RefOr::Ref(_) => None,
    };
    let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(max));
    let number: RefOr<Schema> = number.into();
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property_names(id)
        .additional_properties(Some(number))
        .max_properties(Some(PRICE_TYPES_MAX))
        .build()
}

/// Makes the words of a document out of the domain's, one to one.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident as $shown:ident of $domain:ident { $($variant:ident)+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        #[schema(as = $shown)]
        #[expect(missing_docs, reason = "the words are the domain's")]
        pub enum $name {
            $($variant,)+
        }

        impl $name {
            /// Every word.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];
        }

        impl From<$domain> for $name {
            fn from(of: $domain) -> Self {
                match of {
                    $($domain::$variant => Self::$variant,)+
                }
            }
        }

        impl From<$name> for $domain {
            fn from(of: $name) -> Self {
                match of {
                    $($name::$variant => Self::$variant,)+
                }
            }
        }
    )+};
}

words! {
    /// The status of a sale.
    SaleWord as SaleStatus of SaleStatus { Upcoming Open Closed Cancelled }
    /// The status of a seat. A seat that is being paid is `held`, a sold seat `reserved`.
    SeatWord as SeatStatus of SeatStatus { Available Held Reserved Blocked }
    /// The status of a reservation.
    ReservationWord as ReservationStatus of ReservationStatus { Held Paying Confirmed Cancelled Released Expired }
    /// How a payment is made: from the balance, through the gateway, or (`external`) through a payment service of the platform's own.
    MethodWord as PaymentMethod of Method { Balance Card KakaoPay NaverPay Toss External }
    /// How an order of the box office is paid.
    OrderMethodWord as OrderPaymentMethod of OrderMethod { Cash CardTerminal Invoice Complimentary }
    /// Whether a user may act.
    UserWord as UserStatus of UserStatus { Active Suspended Deleted }
    /// The status of a place in a waiting room. A `done` place was paid or given up.
    PlaceWord as PlaceStatus of PlaceStatus { Waiting Active Expired Done }
    /// Whether people are admitted (`open`), or why not.
    GateWord as Gate of Gate { Open NotOnSale AllHeld SoldOut Cancelled }
}

/// How a payment is, or was, made: by a method of users, or by one of the box office.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = AnyPaymentMethod)]
pub enum AnyMethodWord {
    /// By a user.
    Users(MethodWord),
    /// At the box office.
    Order(OrderMethodWord),
}

/// How a map is written: `list` has an object for each seat; `vector` has two bits, and the plan has the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MapShape)]
pub enum ShapeWord {
    /// An object for each seat.
    #[default]
    List,
    /// Two bits for each seat.
    Vector,
}

/// The status of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PaymentStatus)]
pub enum PaymentWord {
    /// The client is at the gateway's checkout.
    Ready,
    /// It is being made.
    Pending,
    /// It is paid.
    Completed,
    /// It came to nothing, and took nothing.
    Failed,
    /// The money is on its way back.
    Refunding,
    /// The money is back.
    Refunded,
}

impl PaymentWord {
    /// Every word.
    pub const ALL: &[Self] =
        &[Self::Ready, Self::Pending, Self::Completed, Self::Failed, Self::Refunding, Self::Refunded];

    /// Returns the word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Pending => "pending",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Refunding => "refunding",
            Self::Refunded => "refunded",
        }
    }
}

impl From<State> for PaymentWord {
    fn from(state: State) -> Self {
        match state {
            State::Ready => Self::Ready,
            State::Begun | State::Capturing | State::Declined | State::Captured | State::Confirmed => {
                Self::Pending
            }
            State::Completed => Self::Completed,
            State::Failed => Self::Failed,
            State::Refunding => Self::Refunding,
            State::Refunded => Self::Refunded,
        }
    }
}

/// The direction of a movement: `charge` and `refund` put money in, `payment` takes it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = TransactionType)]
#[expect(missing_docs, reason = "the words are the domain's")]
pub enum TransactionWord {
    Charge,
    Payment,
    Refund,
}

impl From<Kind> for TransactionWord {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Charge => Self::Charge,
            Kind::Payment(_) => Self::Payment,
            Kind::Refund(_) => Self::Refund,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(word: impl Serialize) -> String {
        serde_json::to_value(word).unwrap().as_str().unwrap().to_owned()
    }

    #[test]
    fn the_words_are_the_domains_own() {
        macro_rules! check {
            ($($word:ident: $domain:ident),+) => {$(
                for word in $word::ALL {
                    assert_eq!(written(word), $domain::from(*word).as_str());
                }
            )+};
        }
        check!(SaleWord: SaleStatus, SeatWord: SeatStatus, ReservationWord: ReservationStatus, MethodWord: Method);
        check!(OrderMethodWord: OrderMethod);
        check!(UserWord: UserStatus, PlaceWord: PlaceStatus, GateWord: Gate);
        for state in State::ALL {
            assert_eq!(written(PaymentWord::from(state)), state.as_str());
            assert_eq!(PaymentWord::from(state).as_str(), state.as_str());
        }
    }
}
