//! The codes of a schedule: what each opens and takes off, and how often it was used.
//!
//! A code opens a phase or an allotment, takes something off the price, or both. A hold uses it once; its use is given back when the
//! hold ends before it is paid for. Counts change with the events that hold and end, and with nothing else: they are exact at every
//! instant, after a crash, too.
//!
//! **Generated codes** are many and alike. Each is its batch's prefix and a number of 60 bits that was drawn; the batch has one
//! definition, and of each code the number and two counts: 16 bytes, of which copies of the schedule share 8.
//!
//! Absent on purpose: who may guess how often (`http` limits that), what a reservation comes to with a discount (`pricing`).
//!
//! Invariants, checked by [`Codes::check_invariants`]:
//! - a text is one code: what a batch has and an administrator defined anew is no longer the batch's;
//! - a batch's numbers are in order, and distinct.

use core::fmt;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::ids::{AllotmentId, GradeName, PhaseId, PriceTypeId};
use crate::domain::money::Money;
use crate::domain::time::Timestamp;

/// The shortest code, in characters.
pub const CODE_LEN_MIN: usize = 4;
/// The longest code, in characters.
pub const CODE_LEN_MAX: usize = 64;
/// The most codes of a schedule that are defined one by one, those that are over among them.
pub const NAMED_CODES_MAX: usize = 10_000;
/// The most codes that one command generates.
pub const BATCH_CODES_MAX: usize = 10_000;
/// The most codes of a schedule that are generated.
pub const GENERATED_CODES_MAX: usize = 200_000;
/// The most batches of generated codes of a schedule.
pub const BATCHES_MAX: usize = 1_000;
/// The longest prefix of generated codes, in characters.
pub const PREFIX_LEN_MAX: usize = 40;
/// The most names in one of a definition's lists.
pub const CODE_NAMES_MAX: usize = 64;

/// How many bits of a generated code are drawn: 12 letters of 5 bits.
const DRAWN_BITS: u32 = 60;
/// Crockford's base 32: no letter looks like a digit, and the letters are in order.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LETTERS_LEN: usize = 12;
const GROUP_LEN: usize = 4;

/// A code, in capital letters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessCode(Arc<str>);

/// A text that can't be a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 4 to 64 letters, digits and dashes")]
pub struct InvalidCode;

impl AccessCode {
    /// Takes a code; capital and small letters are the same, as Unicode makes capital letters (`ß` is `SS`, and `ẞ` and `İ` are
    /// themselves). What is made so is taken again as it is.
    ///
    /// # Errors
    /// When the text is too short or too long, or has something else than letters, digits and `-`.
    pub fn parse(text: &str) -> Result<Self, InvalidCode> {
        // Counting stops one past the limit, so that a huge text costs no more than a long one.
        let count = text.chars().take(CODE_LEN_MAX + 1).count();
        let code = normalized(text).ok_or(InvalidCode)?;
        // A capital letter may be two.
        let right = (CODE_LEN_MIN..=CODE_LEN_MAX).contains(&count) && code.chars().count() <= CODE_LEN_MAX;
        if right { Ok(Self(code.into())) } else { Err(InvalidCode) }
    }

    /// Returns its text, in capital letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns its text to share, in capital letters.
    pub fn text(&self) -> &Arc<str> {
        &self.0
    }
}

impl core::borrow::Borrow<str> for AccessCode {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccessCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AccessCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// Returns a text in capital letters, if it has only what a code has.
fn normalized(text: &str) -> Option<String> {
    let right = |c: char| c.is_alphanumeric() || c == '-';
    let upper = || text.to_uppercase();
    (text.len() <= 4 * CODE_LEN_MAX && text.chars().all(right))
        .then(upper)
        .filter(|text| text.chars().all(right))
}

/// The beginning of every code of a batch, in capital letters: what the letters that were drawn follow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct CodePrefix(Arc<str>);

impl CodePrefix {
    /// Takes a prefix; a dash follows it, unless it ends with one. An empty one has none.
    ///
    /// # Errors
    /// When it is longer than [`PREFIX_LEN_MAX`] characters without that dash, or has something else than letters, digits and `-`.
    pub fn parse(text: &str) -> Result<Self, InvalidCode> {
        let mut prefix = normalized(text).ok_or(InvalidCode)?;
        if prefix.strip_suffix('-').unwrap_or(&prefix).chars().count() > PREFIX_LEN_MAX {
            return Err(InvalidCode);
        }
        if !prefix.is_empty() && !prefix.ends_with('-') {
            prefix.push('-');
        }
        Ok(Self(prefix.into()))
    }

    /// Returns its text, with the dash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Writes the code of a number that was drawn.
    fn code(&self, drawn: u64) -> AccessCode {
        let mut text = String::with_capacity(self.0.len() + LETTERS_LEN + LETTERS_LEN / GROUP_LEN);
        text.push_str(&self.0);
        for place in 0..LETTERS_LEN {
            if place > 0 && place.is_multiple_of(GROUP_LEN) {
                text.push('-');
            }
            let shift = 5 * (LETTERS_LEN - 1 - place);
            let digit = usize::try_from((drawn >> shift) & 31).expect("five bits fit");
            text.push(char::from(LETTERS[digit]));
        }
        AccessCode(text.into())
    }

    /// Reads the number of a code that begins so.
    fn drawn(&self, code: &str) -> Option<u64> {
        let drawn = code.strip_prefix(&*self.0)?.as_bytes();
        if drawn.len() != LETTERS_LEN + LETTERS_LEN / GROUP_LEN - 1 {
            return None;
        }

        let mut number = 0;
        for (place, letter) in drawn.iter().enumerate() {
            if place % (GROUP_LEN + 1) == GROUP_LEN {
                if *letter != b'-' {
                    return None;
                }
                continue;
            }
            let digit = LETTERS.binary_search(letter).ok()?;
            number = (number << 5) | u64::try_from(digit).expect("five bits fit");
        }
        Some(number)
    }
}

/// Returns a code as those may hear of it who mustn't use it: of one that was generated, or looks so, its prefix and no letter more.
pub fn masked(code: &str) -> Cow<'_, str> {
    const DRAWN_LEN: usize = LETTERS_LEN + LETTERS_LEN / GROUP_LEN - 1;
    let behind = code.len().checked_sub(DRAWN_LEN).and_then(|at| code.split_at_checked(at));
    let is_generated = |(prefix, _): &(&str, &str)| {
        let has_dash = prefix.is_empty() || prefix.ends_with('-');
        has_dash && CodePrefix((*prefix).into()).drawn(code).is_some()
    };
    match behind.filter(is_generated) {
        Some((prefix, drawn)) => {
            let hidden = drawn.chars().map(|letter| if letter == '-' { '-' } else { '*' });
            prefix.chars().chain(hidden).collect::<String>().into()
        }
        None => code.into(),
    }
}

/// What a code takes off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discount {
    /// So many hundredths of the price of a seat, 1 to 100.
    Percent(u8),
    /// So much of each seat, never more than it costs.
    AmountPerSeat(Money),
}

impl Discount {
    /// Returns what it takes off one place at a price.
    pub fn of(self, price: Money) -> Money {
        let off = match self {
            Self::Percent(percent) => (price.minor() * u64::from(percent) * 2 + 100) / 200,
            Self::AmountPerSeat(amount) => amount.minor(),
        };
        Money::new(off).map_or(price, |off| off.min(price))
    }
}

/// What a code opens, what it takes off, and how often it can be used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CodeTerms {
    /// The phases that it opens. One that names any is for these alone, and for no general sale.
    pub phases: Box<[PhaseId]>,
    /// The allotment that a hold with it takes from, and from nothing else.
    pub allotment: Option<AllotmentId>,
    /// What it takes off.
    pub discount: Option<Discount>,
    /// The grades that it is for; all, where none are named.
    pub grades: Option<Box<[GradeName]>>,
    /// The price types that it is for, by their ids; all, where none are named.
    pub price_types: Option<Box<[Arc<str>]>>,
    /// How many holds can use it.
    pub max_uses: Option<u32>,
    /// How many seats, and places of areas, these holds can have together.
    pub max_seats: Option<u32>,
    /// From when on it can be used.
    pub valid_from: Option<Timestamp>,
    /// From when on it no longer can.
    pub valid_until: Option<Timestamp>,
}

impl CodeTerms {
    /// Tells whether a hold can use it at an instant, in this phase or (without one) in the general sale.
    pub(super) fn is_for(&self, phase: Option<&PhaseId>, at: Timestamp) -> bool {
        let fits = match phase {
            Some(phase) => self.phases.contains(phase),
            None => self.phases.is_empty(),
        };
        let begun = self.valid_from.is_none_or(|from| from <= at);
        let over = self.valid_until.is_some_and(|until| until <= at);
        fits && begun && !over
    }

    /// Tells whether it is for a grade.
    pub(super) fn has_grade(&self, grade: &GradeName) -> bool {
        self.grades.as_ref().is_none_or(|grades| grades.contains(grade))
    }

    /// Tells whether it is for a price type, where there is one.
    pub(super) fn has_price_type(&self, id: Option<&PriceTypeId>) -> bool {
        let named = |types: &[Arc<str>], id: &PriceTypeId| types.iter().any(|known| **known == *id.as_str());
        self.price_types.as_ref().is_none_or(|types| id.is_some_and(|id| named(types, id)))
    }

    /// Tells whether one more hold can use it, with so many places.
    pub(super) fn has_room(&self, uses: Uses, more_uses: u32, more_seats: u32) -> bool {
        let room = |max: Option<u32>, used: u32, more: u32| {
            more == 0 || max.is_none_or(|max| used.saturating_add(more) <= max)
        };
        room(self.max_uses, uses.used, more_uses) && room(self.max_seats, uses.seats, more_seats)
    }
}

/// How often a code was used: by holds that live or were paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Uses {
    /// How many of these there are.
    pub used: u32,
    /// How many seats, and places of areas, they have together.
    pub seats: u32,
}

impl Uses {
    /// Returns what remains without others, which are among these.
    #[must_use]
    pub fn without(self, others: Self) -> Self {
        let sub = |all: u32, some: u32| all.checked_sub(some).expect("a use is given back once");
        Self { used: sub(self.used, others.used), seats: sub(self.seats, others.seats) }
    }
}

/// A code as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing<'a> {
    /// What it opens, and how often.
    pub terms: &'a Arc<CodeTerms>,
    /// How often it was used.
    pub uses: Uses,
}

/// A code that was defined by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    terms: Arc<CodeTerms>,
    uses: Uses,
    /// Whether it is over for new holds. It is kept: its uses count on, where it is defined anew.
    ended: bool,
}

/// Codes that were generated together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    prefix: CodePrefix,
    terms: Arc<CodeTerms>,
    /// What was drawn, in order.
    drawn: Arc<[u64]>,
    /// By the place of what was drawn.
    uses: Vec<Uses>,
    /// Those that are over, or were defined by themselves since, by their places.
    gone: BTreeSet<u32>,
}

/// The parts of a batch, as they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of `Batch`")]
pub struct BatchImage {
    pub prefix: CodePrefix,
    pub terms: Arc<CodeTerms>,
    pub drawn: Arc<[u64]>,
    /// Of those that were used, by their places.
    pub uses: Vec<(u32, Uses)>,
    pub gone: Vec<u32>,
}

/// A code that was defined by itself, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "a field without a sentence is what its name says")]
pub struct NamedImage {
    pub code: AccessCode,
    pub terms: Arc<CodeTerms>,
    pub uses: Uses,
    pub ended: bool,
}

/// The codes of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Codes {
    named: BTreeMap<AccessCode, Named>,
    batches: Vec<Batch>,
}

/// Where a code stands.
enum Place {
    Named,
    Generated { batch: usize, place: usize },
}

impl Codes {
    /// Tells whether there are none, and were none.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty() && self.batches.is_empty()
    }

    /// Finds a code that new holds can use.
    pub fn find(&self, code: &str) -> Option<Standing<'_>> {
        if let Some(named) = self.named.get(code) {
            return (!named.ended).then_some(Standing { terms: &named.terms, uses: named.uses });
        }
        let Place::Generated { batch, place } = self.place(code)? else { return None };
        let batch = &self.batches[batch];
        let is_gone = batch.gone.contains(&count(place));
        (!is_gone).then(|| Standing { terms: &batch.terms, uses: batch.uses[place] })
    }

    /// Finds what a code means to a hold that has used it, also where it is over for others.
    pub(super) fn find_used(&self, code: &str) -> Option<Standing<'_>> {
        match self.place(code)? {
            Place::Named => {
                let named = &self.named[code];
                Some(Standing { terms: &named.terms, uses: named.uses })
            }
            Place::Generated { batch, place } => {
                let batch = &self.batches[batch];
                Some(Standing { terms: &batch.terms, uses: batch.uses[place] })
            }
        }
    }

    /// Returns the codes that new holds can use: those that were defined by themselves in order of their texts, then the generated ones
    /// in order of their batches; behind one of them, where one is named.
    pub fn list<'a>(
        &'a self,
        behind: Option<&'a str>,
    ) -> impl Iterator<Item = (AccessCode, Standing<'a>)> + use<'a> {
        let place = behind.and_then(|code| match self.place(code) {
            Some(Place::Generated { batch, place }) => Some((batch, place + 1)),
            Some(Place::Named) | None => None,
        });

        let named_from = match (behind, place) {
            (Some(code), None) => core::ops::Bound::Excluded(code),
            _ => core::ops::Bound::Unbounded,
        };
        let named = self.named.range::<str, _>((named_from, core::ops::Bound::Unbounded));
        let named = named
            .filter(move |(_, named)| place.is_none() && !named.ended)
            .map(|(code, named)| (code.clone(), Standing { terms: &named.terms, uses: named.uses }));

        let (first, skipped) = place.unwrap_or_default();
        let batches = self.batches.iter().enumerate().skip(first);
        let generated =
            batches.flat_map(move |(index, batch)| batch.standing(if index == first { skipped } else { 0 }));
        named.chain(generated)
    }

    /// Returns every code, and whether it is over: each once, in the order of [`Codes::list`].
    pub fn all(&self) -> impl Iterator<Item = (AccessCode, Standing<'_>, bool)> {
        let named = self.named.iter().map(|(code, named)| {
            (code.clone(), Standing { terms: &named.terms, uses: named.uses }, named.ended)
        });
        let generated = self.batches.iter().flat_map(|batch| {
            (0..).zip(batch.drawn.iter().zip(&batch.uses)).map(|(place, (drawn, uses))| {
                let standing = Standing { terms: &batch.terms, uses: *uses };
                (batch.prefix.code(*drawn), standing, batch.gone.contains(&place))
            })
        });
        // One that was defined anew is no longer its batch's.
        named.chain(generated.filter(|(code, _, gone)| !gone || !self.named.contains_key(code.as_str())))
    }

    /// Returns the codes of a batch, by its place, in the order in which they were told.
    pub fn batch(&self, batch: u32) -> Option<Vec<AccessCode>> {
        let batch = self.batches.get(index(batch))?;
        Some(batch.drawn.iter().map(|drawn| batch.prefix.code(*drawn)).collect())
    }

    /// Returns how many batches there are.
    pub(super) fn batch_count(&self) -> u32 {
        count(self.batches.len())
    }

    /// Returns how many codes were generated.
    pub(super) fn generated(&self) -> usize {
        self.batches.iter().map(|batch| batch.drawn.len()).sum()
    }

    /// Tells whether one more code can be defined by itself. One that was so already, and perhaps is over, takes no more room.
    pub(super) fn has_room_for(&self, code: &AccessCode) -> bool {
        self.named.len() < NAMED_CODES_MAX || self.named.contains_key(code)
    }

    /// Makes numbers that were drawn those of new codes with a prefix: in order, and each a code that there isn't yet.
    pub(super) fn fresh(&self, prefix: &CodePrefix, drawn: &[u64]) -> Arc<[u64]> {
        let mask = (1 << DRAWN_BITS) - 1;
        let mut fresh = BTreeSet::new();
        for number in drawn {
            let mut number = *number & mask;
            // Two alike are unheard of; the next number is as good.
            while fresh.contains(&number) || self.place(prefix.code(number).as_str()).is_some() {
                number = (number + 1) & mask;
            }
            fresh.insert(number);
        }
        fresh.into_iter().collect()
    }

    /// Defines a code; what it was used stays counted.
    pub(super) fn put(&mut self, code: &AccessCode, terms: &Arc<CodeTerms>) {
        let uses = match self.place(code.as_str()) {
            Some(Place::Generated { batch, place }) => {
                self.batches[batch].gone.insert(count(place));
                core::mem::take(&mut self.batches[batch].uses[place])
            }
            Some(Place::Named) => self.named[code.as_str()].uses,
            None => Uses::default(),
        };
        self.named.insert(code.clone(), Named { terms: Arc::clone(terms), uses, ended: false });
    }

    /// Adds generated codes.
    pub(super) fn add(&mut self, prefix: &CodePrefix, terms: &Arc<CodeTerms>, drawn: &Arc<[u64]>) {
        assert!(drawn.is_sorted_by(|one, next| one < next), "generated codes are in order, and distinct");
        self.batches.push(Batch {
            prefix: prefix.clone(),
            terms: Arc::clone(terms),
            drawn: Arc::clone(drawn),
            uses: vec![Uses::default(); drawn.len()],
            gone: BTreeSet::new(),
        });
    }

    /// Ends a code for new holds.
    pub(super) fn end(&mut self, code: &AccessCode) {
        match self.place(code.as_str()).expect("a code that ends is there") {
            Place::Named => self.named.get_mut(code.as_str()).expect("found just now").ended = true,
            Place::Generated { batch, place } => {
                assert!(self.batches[batch].gone.insert(count(place)), "a code ends once");
            }
        }
    }

    /// Counts a hold that uses a code, which may be over since: money that came late confirms its hold.
    pub(super) fn use_once(&mut self, code: &str, seats: u32) {
        let uses = self.uses_mut(code).expect("a code that was used is kept");
        uses.used += 1;
        uses.seats += seats;
    }

    /// Gives back the use of a hold that ended unpaid.
    pub(super) fn give_back(&mut self, code: &str, seats: u32) {
        let uses = self.uses_mut(code).expect("a code that was used is kept");
        *uses = uses.without(Uses { used: 1, seats });
    }

    fn uses_mut(&mut self, code: &str) -> Option<&mut Uses> {
        match self.place(code)? {
            Place::Named => self.named.get_mut(code).map(|named| &mut named.uses),
            Place::Generated { batch, place } => Some(&mut self.batches[batch].uses[place]),
        }
    }

    /// Finds where a code stands, also one that is over.
    fn place(&self, code: &str) -> Option<Place> {
        if self.named.contains_key(code) {
            return Some(Place::Named);
        }
        self.batches.iter().enumerate().find_map(|(index, batch)| {
            let drawn = batch.prefix.drawn(code)?;
            let place = batch.drawn.binary_search(&drawn).ok()?;
            Some(Place::Generated { batch: index, place })
        })
    }

    /// Takes the image of all codes.
    pub fn image(&self) -> (Vec<NamedImage>, Vec<BatchImage>) {
        let named = self.named.iter().map(|(code, named)| NamedImage {
            code: code.clone(),
            terms: Arc::clone(&named.terms),
            uses: named.uses,
            ended: named.ended,
        });
        let batch = |batch: &Batch| BatchImage {
            prefix: batch.prefix.clone(),
            terms: Arc::clone(&batch.terms),
            drawn: Arc::clone(&batch.drawn),
            uses: (0..)
                .zip(batch.uses.iter().copied())
                .filter(|(_, uses)| *uses != Uses::default())
                .collect(),
            gone: batch.gone.iter().copied().collect(),
        };
        (named.collect(), self.batches.iter().map(batch).collect())
    }

    /// Makes all codes again; nothing, where the image contradicts itself.
    pub fn restore(named: Vec<NamedImage>, batches: Vec<BatchImage>) -> Option<Self> {
        let mut codes = Self::default();
        for NamedImage { code, terms, uses, ended } in named {
            codes.named.insert(code, Named { terms, uses, ended });
        }
        for image in batches {
            if !image.drawn.is_sorted_by(|one, next| one < next) {
                return None;
            }
            let mut uses = vec![Uses::default(); image.drawn.len()];
            for (place, used) in image.uses {
                *uses.get_mut(index(place))? = used;
            }
            let BatchImage { prefix, terms, drawn, gone, .. } = image;
            codes.batches.push(Batch { prefix, terms, drawn, uses, gone: gone.into_iter().collect() });
        }
        Some(codes)
    }

    /// Returns the number of bytes that they take on the heap, for tests and benchmarks: about, and without definitions.
    pub fn heap_bytes(&self) -> usize {
        let batch = |batch: &Batch| {
            size_of::<Batch>()
                + batch.drawn.len() * size_of::<u64>()
                + batch.uses.capacity() * size_of::<Uses>()
                + batch.gone.len() * 16
        };
        self.named.len() * 128 + self.batches.iter().map(batch).sum::<usize>()
    }

    /// Checks every invariant of the module's documentation.
    ///
    /// # Panics
    /// When one doesn't hold.
    pub fn check_invariants(&self) {
        for batch in &self.batches {
            assert!(batch.drawn.is_sorted_by(|one, next| one < next), "generated codes are distinct");
            assert_eq!(batch.uses.len(), batch.drawn.len(), "each has its counts");
            for (place, drawn) in batch.drawn.iter().enumerate() {
                if self.named.contains_key(batch.prefix.code(*drawn).as_str()) {
                    assert!(
                        batch.gone.contains(&count(place)),
                        "what was defined anew is no longer a batch's"
                    );
                    assert_eq!(batch.uses[place], Uses::default(), "its uses went with it");
                }
            }
        }
    }
}

impl Batch {
    /// Returns its codes that new holds can use, from a place on.
    fn standing(&self, from: usize) -> impl Iterator<Item = (AccessCode, Standing<'_>)> {
        let places = self.drawn.iter().zip(&self.uses).enumerate().skip(from);
        let standing = places.filter(|(place, _)| !self.gone.contains(&count(*place)));
        standing.map(|(_, (drawn, uses))| {
            (self.prefix.code(*drawn), Standing { terms: &self.terms, uses: *uses })
        })
    }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).expect("bounded by GENERATED_CODES_MAX")
}

fn index(place: u32) -> usize {
    usize::try_from(place).expect("a u32 fits")
}

#[cfg(test)]
mod tests;
