//! What of a reservation isn't numbered seats at their grades' prices: places of areas, price types, lines, a code.
//!
//! A plain reservation has none of it, and no pointer to anything. Terms are decided once, when a hold is made or exchanged, and told
//! by that event: nothing recomputes them, so that a reservation costs what its user was told. Only a performance that is cancelled makes
//! all of a reservation's lines refundable.

use std::sync::Arc;

use crate::domain::ids::{AllotmentId, PriceTypeId, UserId};
use crate::domain::money::Money;
use crate::domain::venue::{Area, Grade, LayoutArea, LayoutSection, Seat};

/// A price type by its index in the concert's list; the first is the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PriceType(pub u8);

impl PriceType {
    /// The type of a place for which none is named.
    pub const DEFAULT: Self = Self(0);

    /// Returns the index as a place in a slice.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What a hold, or an exchange, asks for: all or none of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wish {
    /// The numbered seats.
    pub pick: Pick,
    /// The price types of the picked seats, in their order; of the best seats, in the order in which they are found. Empty: the
    /// default for all.
    pub price_types: Box<[PriceType]>,
    /// Places of areas.
    pub areas: Box<[AreaWish]>,
    /// The code that it brings, in capital letters.
    pub code: Option<Arc<str>>,
    /// Whether an exchange that brings no code lets go of the one that its hold has; else it keeps that.
    pub drops_code: bool,
    /// Whether it may have accessible and companion seats.
    pub accessible: bool,
}

/// The numbered seats that a wish asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Pick {
    /// None.
    #[default]
    None,
    /// These seats.
    Seats(Arc<[Seat]>),
    /// The best seats that are left.
    Best(Best),
}

/// The best seats that are left.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Best {
    /// How many.
    pub count: u32,
    /// Of this grade only, where one is named.
    pub grade: Option<Grade>,
    /// In this part of the venue only, where one is named.
    pub part: Option<Arc<Part>>,
}

/// A part of a venue: what it doesn't name, may be any. An area stands on a floor, and in no section.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Part {
    /// The sections of this id.
    pub section: Option<Box<str>>,
    /// What stands on this floor.
    pub floor: Option<Box<str>>,
}

impl Part {
    /// Tells whether a section belongs to it.
    pub fn has_section(&self, section: &LayoutSection) -> bool {
        self.section.as_ref().is_none_or(|id| *id == section.id) && self.has_floor(&section.floor)
    }

    /// Tells whether an area belongs to it.
    pub fn has_area(&self, area: &LayoutArea) -> bool {
        self.section.is_none() && self.has_floor(&area.floor)
    }

    fn has_floor(&self, floor: &str) -> bool {
        self.floor.as_deref().is_none_or(|wanted| wanted == floor)
    }
}

/// Places of an area, as they are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AreaWish {
    /// The area.
    pub area: Area,
    /// How many places.
    pub count: u32,
    /// Their price type.
    pub price_type: PriceType,
}

impl Wish {
    /// Asks for seats.
    pub fn seats(seats: impl Into<Arc<[Seat]>>) -> Self {
        Self { pick: Pick::Seats(seats.into()), ..Self::default() }
    }

    /// Asks for the best seats that are left.
    pub fn best(count: u32) -> Self {
        Self::best_of(None, count)
    }

    /// Asks for the best seats that are left, of one grade where one is named.
    pub fn best_of(grade: Option<Grade>, count: u32) -> Self {
        Self { pick: Pick::Best(Best { count, grade, part: None }), ..Self::default() }
    }

    /// Tells whether it asks for seats of the default price type, without a code.
    pub fn is_plain(&self) -> bool {
        self.price_types.is_empty() && self.areas.is_empty() && self.code.is_none()
    }

    /// Returns how many places it asks for, seats and places of areas together.
    pub fn places(&self) -> u32 {
        let areas = self.areas.iter().map(|area| area.count);
        areas.fold(self.pick.count(), u32::saturating_add)
    }
}

impl Pick {
    /// Returns how many seats it asks for.
    pub fn count(&self) -> u32 {
        match self {
            Self::None => 0,
            Self::Seats(seats) => u32::try_from(seats.len()).unwrap_or(u32::MAX),
            Self::Best(best) => best.count,
        }
    }
}

/// What of a reservation isn't numbered seats at their grades' prices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// Its places of areas, in the order asked for.
    pub areas: Box<[AreaPlaces]>,
    /// The price types of its seats, in their order; empty: the default for all.
    pub price_types: Box<[PriceType]>,
    /// What it costs. The amounts add up to the reservation's.
    pub lines: Box<[Line]>,
    /// The code that it used, in capital letters.
    pub code: Option<Arc<str>>,
    /// The allotment that it was taken from.
    pub allotment: Option<TakenFrom>,
    /// What makes it an order of the box office.
    pub order: Option<Box<Order>>,
}

/// The allotment that a reservation was taken from. Once an allotment is released another can have its id, and what was taken from the
/// first is nothing of the second: so its life counts, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenFrom {
    /// The allotment's id.
    pub id: Arc<str>,
    /// Its life, as its terms say.
    pub life: u64,
}

/// How an order is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderMethod {
    /// In cash.
    Cash,
    /// By a terminal for cards.
    CardTerminal,
    /// By an invoice.
    Invoice,
    /// Not at all: it costs nothing.
    Complimentary,
}

impl OrderMethod {
    /// Every method.
    pub const ALL: [Self; 4] = [Self::Cash, Self::CardTerminal, Self::Invoice, Self::Complimentary];

    /// Returns the word that clients see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cash => "cash",
            Self::CardTerminal => "card_terminal",
            Self::Invoice => "invoice",
            Self::Complimentary => "complimentary",
        }
    }
}

/// What makes a reservation an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Who sold it.
    pub clerk: UserId,
    /// How it was paid.
    pub method: OrderMethod,
    /// The till's name for the payment: a slip of the terminal, the number of an invoice.
    pub reference: Option<Box<str>>,
    /// Who comes with it, for people.
    pub name: Option<Box<str>>,
    /// Why it costs what it does, for people.
    pub reason: Option<Box<str>>,
}

/// An order to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderWish {
    /// Whose it is; nobody's, where none is named.
    pub user: Option<UserId>,
    /// What it asks for. It brings no code.
    pub wish: Wish,
    /// The price types in whose order its own were read; none: those that stand.
    pub types: Option<Box<[PriceTypeId]>>,
    /// The allotment that it takes from, and from nothing else.
    pub allotment: Option<AllotmentId>,
    /// How it is paid, and by whom it is sold.
    pub order: Order,
    /// What is taken, where that isn't the sum of its prices.
    pub amount: Option<Money>,
    /// The random part of the reservation's id.
    pub nonce: u64,
    /// The random part of its payment's id.
    pub payment_nonce: u64,
}

/// Places of an area that a reservation has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AreaPlaces {
    /// The area.
    pub area: Area,
    /// Their price type.
    pub price_type: PriceType,
    /// How many.
    pub count: u32,
}

/// One line of what a reservation costs. Amounts are in minor units, and negative where they are taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is for.
    pub kind: LineKind,
    /// Its name, for people.
    pub name: Arc<str>,
    /// How often its unit's amount counts.
    pub count: u32,
    /// The amount of one.
    pub unit_amount: i64,
    /// The amount of all.
    pub amount: i64,
    /// Whether a cancellation gives it back.
    pub refundable: bool,
}

/// What a line is for, in the order of a reservation's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LineKind {
    /// Numbered seats.
    Seat,
    /// Places of an area.
    Area,
    /// A fee.
    Fee,
    /// What is taken off.
    Discount,
}

impl LineKind {
    /// Every kind, as the lines of a reservation are ordered.
    pub const ALL: [Self; 4] = [Self::Seat, Self::Area, Self::Fee, Self::Discount];

    /// Returns the word that clients see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seat => "seat",
            Self::Area => "area",
            Self::Fee => "fee",
            Self::Discount => "discount",
        }
    }
}

impl Terms {
    /// Returns what makes it an order, where it is one.
    pub fn order(&self) -> Option<&Order> {
        self.order.as_deref()
    }

    /// Returns the price type of the seat at a place in the reservation's list.
    pub fn price_type(&self, place: usize) -> PriceType {
        self.price_types.get(place).copied().unwrap_or_default()
    }

    /// Returns how many places of areas there are.
    pub fn area_places(&self) -> u32 {
        self.areas.iter().map(|area| area.count).sum()
    }

    /// Returns the sum of all lines.
    ///
    /// # Panics
    /// When it is no amount, which lines that were decided never are.
    pub fn amount(&self) -> Money {
        let sum = self.lines.iter().map(|line| line.amount).sum();
        money(sum).expect("the lines of a reservation add up to an amount")
    }

    /// Makes all of it go back: the performance is cancelled, so its user gets nothing for any fee.
    pub(super) fn refund_all(this: &mut Arc<Self>) {
        if this.lines.iter().all(|line| line.refundable) {
            return;
        }
        for line in &mut Arc::make_mut(this).lines {
            line.refundable = true;
        }
    }

    /// Returns what a cancellation gives back: the sum of the lines that are refundable, and nothing where that is below zero, as it
    /// may be where a discount took off more than they were.
    pub fn refund(&self) -> Money {
        let amount = self.amount();
        let back = self.lines.iter().filter(|line| line.refundable);
        let sum: i64 = back.map(|line| line.amount).sum();
        money(sum.max(0)).map_or(amount, |back| back.min(amount))
    }
}

/// Makes an amount, where it is one.
pub fn money(minor: i64) -> Option<Money> {
    Money::new(u64::try_from(minor).ok()?)
}
