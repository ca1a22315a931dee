//! Phases, codes and allotments against a model of their own, at random: each decision agrees, and so does every seat's status, the area's
//! counts, each code's count, each allotment's, the phase, and what each reservation costs; and replay through the record codec, from the beginning or from an image, ends in the
//! same state.
//!
//! The model shares the schedule's words and none of its code. It keeps lists, and counts by scanning them.

use proptest::prelude::*;

use super::journal::Journal;
use super::selling::{code, opens, phase};
use super::*;
use crate::domain::ids::AllotmentId;
use crate::domain::schedule::allotments::{AllotmentCounts, AllotmentTerms, AsidePlaces};
use crate::domain::schedule::codes::{AccessCode, CodeTerms, Discount};
use crate::domain::schedule::policy::Phase;
use crate::domain::schedule::terms::{AreaWish, PriceType};
use crate::domain::venue::{Area, VenueArea};

const HOLD: u64 = 15_000;
const USERS: [&str; 2] = ["ann", "bob"];
const CODES: [&str; 6] = ["OPEN", "FANS", "CARD", "SPON", "FSPO", "NONE"];
const ALLOTMENTS: [&str; 2] = ["sponsor", "club"];
/// VIP is 0 to 5, R is 6 to 11.
const SEATS: u32 = 12;
/// The area, of the grade R, and how many places it has.
const PIT: Area = Area(0);
const PIT_PLACES: u32 = 7;

/// The usual rows and the pit.
fn hall() -> Arc<Layout> {
    let pit = VenueArea {
        id: "pit".into(),
        floor: "1".into(),
        name: "pit".into(),
        grade: GradeName::parse("R").unwrap(),
        capacity: PIT_PLACES,
        outline: None,
    };
    Arc::new(Layout::with_areas(&rows(), &[pit]).unwrap())
}

/// What a code takes off, in hundredths.
fn percent_of(text: Option<&str>) -> u64 {
    match text {
        Some("OPEN" | "CARD") => 50,
        Some("SPON") => 30,
        _ => 0,
    }
}

/// What seats and places cost with a code.
fn cost(seats: &[u32], pit: u32, text: Option<&str>) -> u64 {
    let prices = seats.iter().map(|seat| if *seat < 6 { 100 } else { 70 });
    let places = (0..pit).map(|_| 70);
    prices.chain(places).map(|price| price - price * percent_of(text) / 100).sum()
}

fn lacking(left: u32) -> Refusal {
    Refusal::NotEnoughPlaces { areas: vec![(PIT, left)] }
}

/// What a code of the model is: the phase, the allotment, how often, and whether it is for the grade R alone.
#[derive(Debug, Clone)]
struct Def {
    text: &'static str,
    phase: Option<&'static str>,
    allotment: Option<&'static str>,
    max_uses: u32,
    max_seats: Option<u32>,
    only_r: bool,
}

fn def(text: &'static str, max_uses: u32, max_seats: Option<u32>) -> Def {
    let plain = Def { text, phase: None, allotment: None, max_uses, max_seats, only_r: false };
    match text {
        "FANS" => Def { phase: Some("fans"), ..plain },
        "CARD" => Def { phase: Some("card"), ..plain },
        "SPON" => Def { allotment: Some("sponsor"), ..plain },
        "FSPO" => Def { phase: Some("fans"), allotment: Some("sponsor"), only_r: true, ..plain },
        _ => plain,
    }
}

impl Def {
    fn terms(&self) -> CodeTerms {
        CodeTerms {
            allotment: self.allotment.map(|id| AllotmentId::parse(id).unwrap()),
            grades: self.only_r.then(|| [GradeName::parse("R").unwrap()].into()),
            max_uses: Some(self.max_uses),
            max_seats: self.max_seats,
            discount: match percent_of(Some(self.text)) {
                0 => None,
                percent => Some(Discount::Percent(u8::try_from(percent).unwrap())),
            },
            ..opens(&self.phase.into_iter().collect::<Vec<_>>())
        }
    }
}

#[derive(Debug, Clone)]
struct Kept {
    text: &'static str,
    def: Def,
    over: bool,
    /// Uses that stay for good: of what was paid for and cancelled.
    spent: (u32, u32),
}

#[derive(Debug, Clone)]
struct Booking {
    reference: ReservationRef,
    user: &'static str,
    seats: Vec<u32>,
    pit: u32,
    code: Option<&'static str>,
    /// The allotment that it was taken from, and which of its lives.
    allotment: Option<(&'static str, u64)>,
    cost: u64,
    status: ReservationStatus,
    deadline: u64,
    payment: Option<u128>,
}

impl Booking {
    fn lives(&self) -> bool {
        use ReservationStatus::{Confirmed, Held, Paying};
        [Held, Paying, Confirmed].contains(&self.status)
    }

    fn places(&self) -> u32 {
        u32::try_from(self.seats.len()).unwrap() + self.pit
    }
}

#[derive(Debug, Clone)]
struct Aside {
    id: &'static str,
    /// Counts the allotments, so that two of one id are told apart.
    life: u64,
    seats: Vec<u32>,
    pit: u32,
    release: Option<u64>,
}

#[derive(Debug, Clone)]
struct Model {
    now: u64,
    /// How many allotments there were.
    lives: u64,
    sale: SaleStatus,
    bookings: Vec<Booking>,
    codes: Vec<Kept>,
    asides: Vec<Aside>,
}

/// The phases: when they are open, whether for the grade R alone, and how many seats a user has.
const PHASES: [(&str, u64, u64, bool, u32); 2] =
    [("fans", 10_000, 30_000, false, 3), ("card", 30_000, 45_000, true, 6)];
const OPENS: u64 = 60_000;
const CLOSES: u64 = 120_000;

type Verdict = Result<(), Refusal>;

impl Model {
    fn phase(&self) -> Option<(&'static str, bool, u32)> {
        let open = |(_, opens, closes, ..): &&(_, u64, u64, _, _)| *opens <= self.now && self.now < *closes;
        let (id, _, _, only_r, max) = PHASES.iter().find(open)?;
        (self.sale == SaleStatus::Upcoming).then_some((id, *only_r, *max))
    }

    /// What time brings: everything that is due by now has happened.
    fn tick(&mut self) {
        if self.sale == SaleStatus::Upcoming && self.now >= OPENS {
            self.sale = SaleStatus::Open;
        }
        if self.sale == SaleStatus::Open && self.now >= CLOSES {
            self.sale = SaleStatus::Closed;
        }
        for booking in &mut self.bookings {
            let waits = [ReservationStatus::Held, ReservationStatus::Paying].contains(&booking.status);
            if waits && booking.deadline <= self.now {
                booking.status = ReservationStatus::Expired;
            }
        }
        self.asides.retain(|aside| aside.release.is_none_or(|at| self.now < at));
    }

    fn owner(&self, seat: u32) -> Option<&Booking> {
        self.bookings.iter().find(|booking| booking.lives() && booking.seats.contains(&seat))
    }

    fn aside(&self, id: &str) -> Option<&Aside> {
        self.asides.iter().find(|aside| aside.id == id)
    }

    /// The allotment that a seat is left in.
    fn left_in(&self, seat: u32) -> Option<&'static str> {
        let aside = self.asides.iter().find(|aside| aside.seats.contains(&seat))?;
        self.owner(seat).is_none().then_some(aside.id)
    }

    /// The allotment that a booking was taken from, if it still stands.
    fn source(&self, booking: &Booking) -> Option<&Aside> {
        let (id, life) = booking.allotment?;
        self.aside(id).filter(|aside| aside.life == life)
    }

    /// The places of the pit that live bookings by an allotment's codes have.
    fn pit_of(&self, id: &str) -> u32 {
        let is_of = |booking: &&Booking| self.source(booking).is_some_and(|aside| aside.id == id);
        let of = self.bookings.iter().filter(|booking| booking.lives()).filter(is_of);
        of.map(|booking| booking.pit).sum()
    }

    /// The places of the pit that are left in an allotment.
    fn pit_left(&self, id: &str) -> u32 {
        let aside = self.aside(id).filter(|aside| aside.pit > 0);
        aside.map_or(0, |aside| aside.pit - self.pit_of(id))
    }

    /// The places of the pit that are everyone's.
    fn pit_free(&self) -> u32 {
        let had: u32 =
            self.bookings.iter().filter(|booking| booking.lives()).map(|booking| booking.pit).sum();
        let left: u32 = self.asides.iter().map(|aside| self.pit_left(aside.id)).sum();
        PIT_PLACES - had - left
    }

    /// Where the places of the pit go back to that a booking has.
    fn pit_home(&self, booking: &Booking) -> Option<&'static str> {
        self.source(booking).filter(|aside| aside.pit > 0).map(|aside| aside.id)
    }

    /// The places of the pit that a hold which goes by a definition may have.
    fn pit_for(&self, def: Option<&Def>, own: Option<&Booking>) -> u32 {
        let source = def.and_then(|def| def.allotment);
        let own = own.filter(|own| self.pit_home(own) == source).map_or(0, |own| own.pit);
        source.map_or_else(|| self.pit_free(), |id| self.pit_left(id)) + own
    }

    fn uses(&self, text: &str) -> (u32, u32) {
        let kept = self.codes.iter().find(|kept| kept.text == text).unwrap();
        let of = self.bookings.iter().filter(|booking| booking.code == Some(kept.text) && booking.lives());
        of.fold(kept.spent, |(used, seats), booking| (used + 1, seats + booking.places()))
    }

    fn standing(&self, text: &str) -> Option<&Kept> {
        self.codes.iter().find(|kept| kept.text == text && !kept.over)
    }

    /// Whether a hold with a code, or an exchange by `own` that has used it, gets places; an answer, or the definition that it goes by.
    fn access(
        &self,
        text: Option<&'static str>,
        places: u32,
        own: Option<&Booking>,
    ) -> Result<Option<Def>, Refusal> {
        let phase = self.phase();
        if self.sale != SaleStatus::Open && phase.is_none() {
            return Err(Refusal::NotOpen);
        }
        let Some(text) = text else {
            return if phase.is_some() { Err(Refusal::CodeRequired) } else { Ok(None) };
        };
        let kept = self.standing(text).ok_or(Refusal::CodeInvalid)?;
        let gone = kept.def.allotment.is_some_and(|id| self.aside(id).is_none());
        if kept.def.phase != phase.map(|(id, ..)| id) || gone {
            return Err(Refusal::CodeInvalid);
        }
        let (used, seats) = self.uses(text);
        // One that has used it already needs no more than the difference.
        let more = places.saturating_sub(own.map_or(0, Booking::places));
        let over = more > 0 && kept.def.max_seats.is_some_and(|max| seats + more > max);
        if own.is_none() && used >= kept.def.max_uses || over {
            return Err(Refusal::CodeExhausted);
        }
        Ok(Some(kept.def.clone()))
    }

    fn limit(&self, user: &str, places: u32, own: Option<&Booking>) -> Verdict {
        let max = self.phase().map_or(6, |(.., max)| max);
        let of = self.bookings.iter().filter(|booking| booking.user == user && booking.lives());
        let live: u32 = of.map(Booking::places).sum();
        let live = live - own.map_or(0, Booking::places);
        if live + places > max { Err(Refusal::SeatLimitExceeded { max }) } else { Ok(()) }
    }

    fn only_r(&self, def: Option<&Def>) -> bool {
        self.phase().is_some_and(|(_, only_r, _)| only_r) || def.is_some_and(|def| def.only_r)
    }

    /// Whether a hold that goes by a definition may take a seat.
    fn free(&self, seat: u32, def: Option<&Def>, own: Option<&Booking>) -> bool {
        let source = def.and_then(|def| def.allotment);
        match self.owner(seat) {
            None => self.left_in(seat) == source,
            Some(owner) => {
                let home = self.source(owner).filter(|aside| aside.seats.contains(&seat));
                let home = home.map(|aside| aside.id);
                own.is_some_and(|own| own.reference == owner.reference) && home == source
            }
        }
    }

    fn seats(&self, seats: &[u32], def: Option<&Def>, own: Option<&Booking>) -> Verdict {
        if self.only_r(def) && seats.iter().any(|seat| *seat < 6) {
            return Err(Refusal::CodeInvalid);
        }
        let taken = seats.iter().filter(|seat| !self.free(**seat, def, own)).map(|seat| Seat(*seat));
        let taken: Vec<Seat> = taken.collect();
        if taken.is_empty() { Ok(()) } else { Err(Refusal::SeatsUnavailable { seats: taken }) }
    }

    fn places(&self, seats: &[u32], pit: u32, def: Option<&Def>, own: Option<&Booking>) -> Verdict {
        self.seats(seats, def, own)?;
        let left = self.pit_for(def, own);
        if pit > left { Err(lacking(left)) } else { Ok(()) }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Hold { user: usize, first: u32, count: u32, pit: u32, code: Option<usize> },
    Best { user: usize, count: u32, code: Option<usize> },
    Exchange { which: usize, first: u32, count: u32, pit: u32, code: Option<usize>, drops: bool },
    GiveBack { which: usize, keep: u32, pit: u32 },
    Release(usize),
    Begin(usize),
    Fail(usize),
    Confirm(usize),
    Put { code: usize, uses: u32, seats: Option<u32> },
    End(usize),
    Aside { which: usize, first: u32, count: u32, pit: u32, release: Option<u64> },
    LetGo(usize),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    let code = || prop::option::weighted(0.8, 0..CODES.len());
    prop_oneof![
        6 => (0..9_000_u64).prop_map(Step::Wait),
        8 => (0..2_usize, 0..SEATS, 0..4_u32, 0..3_u32, code())
            .prop_map(|(user, first, count, pit, code)| Step::Hold { user, first, count, pit, code }),
        3 => (0..2_usize, 1..4_u32, code()).prop_map(|(user, count, code)| Step::Best { user, count, code }),
        4 => (0..20_usize, 0..SEATS, 0..4_u32, 0..3_u32, code(), any::<bool>()).prop_map(
            |(which, first, count, pit, code, drops)| Step::Exchange { which, first, count, pit, code, drops }
        ),
        3 => (0..20_usize, 0..3_u32, 0..3_u32)
            .prop_map(|(which, keep, pit)| Step::GiveBack { which, keep, pit }),
        3 => (0..20_usize).prop_map(Step::Release),
        3 => (0..20_usize).prop_map(Step::Begin),
        2 => (0..20_usize).prop_map(Step::Fail),
        4 => (0..20_usize).prop_map(Step::Confirm),
        4 => (0..CODES.len() - 1, 1..4_u32, prop::option::of(1..6_u32))
            .prop_map(|(code, uses, seats)| Step::Put { code, uses, seats }),
        1 => (0..CODES.len()).prop_map(Step::End),
        3 => (0..2_usize, 0..SEATS, 0..6_u32, 0..5_u32, prop::option::of(1..20_000_u64))
            .prop_map(|(which, first, count, pit, release)| Step::Aside { which, first, count, pit, release }),
        1 => (0..2_usize).prop_map(Step::LetGo),
        1 => Just(Step::Close),
    ]
}

fn some_seats(first: u32, count: u32) -> Vec<u32> {
    (first..first + count).map(|seat| seat % SEATS).collect()
}

/// A wish for seats, and places of the pit.
fn wish_of(seats: &[u32], pit: u32) -> Wish {
    let wish = if seats.is_empty() { Wish::default() } else { Wish::seats(seats_of(seats)) };
    let places = AreaWish { area: PIT, count: pit, price_type: PriceType::DEFAULT };
    Wish { areas: [places].into_iter().filter(|places| places.count > 0).collect(), ..wish }
}

fn seats_of(seats: &[u32]) -> Arc<[Seat]> {
    seats.iter().map(|seat| Seat(*seat)).collect()
}

struct World {
    sale: Sale,
    model: Model,
    journal: Journal,
}

impl World {
    fn new() -> Self {
        let phases = PHASES.iter().map(|(id, opens, closes, only_r, max)| Phase {
            grades: only_r.then(|| vec![GradeName::parse("R").unwrap()]),
            seats_per_user_max: Some(*max),
            ..phase(id, *opens, *closes)
        });
        let policy = Policy {
            phases: phases.collect(),
            hold: Seconds::new(15),
            seats_per_user_max: 6,
            seats_per_reservation_max: 6,
            ..Policy::default()
        };
        let plan = Plan {
            sales_open_at: Some(after(START, OPENS)),
            sales_close_at: Some(after(START, CLOSES)),
            policy,
            ..plan()
        };
        let model = Model {
            now: 0,
            lives: 0,
            sale: SaleStatus::Upcoming,
            bookings: Vec::new(),
            codes: Vec::new(),
            asides: Vec::new(),
        };
        let schedule = Schedule::create(creation(plan), hall(), START);
        let sale = Sale { schedule, now: START, nonce: 100 };
        Self { sale, model, journal: Journal::default() }
    }

    fn tick(&mut self) {
        self.journal.tick(&mut self.sale);
        self.model.tick();
    }

    /// Asks, and keeps what happened.
    fn ask(&mut self, command: &AnyCommand) -> Outcome {
        self.tick();
        let outcome = self.sale.ask(command);
        if let Ok(Some(event)) = &outcome {
            self.journal.push(&self.sale.schedule, event, self.sale.now);
        }
        outcome
    }

    fn wish(pick: Wish, code: Option<&'static str>) -> Wish {
        Wish { code: code.map(Into::into), ..pick }
    }

    fn chosen(&self, which: usize) -> Option<usize> {
        let count = self.model.bookings.len();
        (count > 0).then(|| which % count)
    }

    fn step(&mut self, step: &Step) {
        let code = |code: &Option<usize>| code.map(|code| CODES[code]);
        match step {
            Step::Wait(millis) => {
                self.model.now += millis;
                self.sale.wait(*millis);
                self.tick();
            }
            Step::Hold { user, first, count, pit, code: text } => {
                let (user, text, seats) = (USERS[*user], code(text), some_seats(*first, *count));
                let wish = Self::wish(wish_of(&seats, *pit), text);
                self.hold(user, wish, text, *count + *pit, Some((&seats, *pit)));
            }
            Step::Best { user, count, code: text } => {
                let (user, text) = (USERS[*user], code(text));
                let wish = Self::wish(Wish::best(*count), text);
                self.hold(user, wish, text, *count, None);
            }
            Step::Exchange { which, first, count, pit, code: text, drops } => {
                self.exchange(*which, some_seats(*first, *count), *pit, code(text), *drops);
            }
            Step::GiveBack { which, keep, pit } => {
                if let Some(at) = self.chosen(*which) {
                    let own = &self.model.bookings[at];
                    let keep = own.seats.iter().copied().take(usize::try_from(*keep).unwrap()).collect();
                    let pit = own.pit.min(*pit);
                    self.exchange(*which, keep, pit, None, false);
                }
            }
            Step::Release(which) => self.release(*which),
            Step::Begin(which) => self.begin(*which),
            Step::Fail(which) => self.fail(*which),
            Step::Confirm(which) => self.confirm(*which),
            Step::Put { code: which, uses, seats } => self.put(CODES[*which], *uses, *seats),
            Step::End(which) => self.end(CODES[*which]),
            Step::Aside { which, first, count, pit, release } => {
                self.set_aside(*which, *first, *count, *pit, *release);
            }
            Step::LetGo(which) => self.let_go(ALLOTMENTS[*which]),
            Step::Close => {
                let outcome = self.ask(&Command::Close.into());
                if self.model.sale == SaleStatus::Open || self.model.phase().is_some() {
                    assert_eq!(outcome, Ok(Some(Event::SalesClosed)));
                    self.model.sale = SaleStatus::Closed;
                    // An administrator opens it again.
                    if self.model.now < CLOSES {
                        self.ask(&AnyCommand::Open).unwrap();
                        self.model.sale = SaleStatus::Open;
                    }
                }
            }
        }
        self.check();
        if !self.journal.has_image() && self.journal.len() > 10 {
            self.journal.take_image(&self.sale.schedule);
        }
    }

    fn release(&mut self, which: usize) {
        let Some(at) = self.chosen(which) else { return };
        let reservation = self.model.bookings[at].reference;
        let outcome = self.ask(&Command::Release { reservation, caller: Caller::Admin }.into());
        let booking = &mut self.model.bookings[at];
        match booking.status {
            ReservationStatus::Held => {
                booking.status = ReservationStatus::Released;
                assert!(matches!(outcome, Ok(Some(_))));
            }
            ReservationStatus::Confirmed => {
                booking.status = ReservationStatus::Cancelled;
                let places = booking.places();
                let text = booking.code;
                if let Some(kept) = self.model.codes.iter_mut().find(|kept| Some(kept.text) == text) {
                    kept.spent = (kept.spent.0 + 1, kept.spent.1 + places);
                }
                assert!(matches!(outcome, Ok(Some(_))));
            }
            ReservationStatus::Released | ReservationStatus::Cancelled => {
                assert_eq!(outcome, Ok(None));
            }
            ReservationStatus::Paying | ReservationStatus::Expired => {
                assert_eq!(outcome, Err(Refusal::NotHeld));
            }
        }
    }

    fn begin(&mut self, which: usize) {
        let Some(at) = self.chosen(which) else { return };
        let reservation = self.model.bookings[at].reference;
        let payment = PaymentId::from_bits(u128::try_from(at).unwrap() + 1);
        let outcome = self.ask(&AnyCommand::BeginPayment {
            reservation,
            caller: Caller::Admin,
            payment,
            takes_time: false,
        });
        let booking = &mut self.model.bookings[at];
        if booking.status == ReservationStatus::Held {
            assert!(matches!(outcome, Ok(Some(_))));
            booking.status = ReservationStatus::Paying;
            booking.payment = Some(u128::try_from(at).unwrap() + 1);
        } else {
            assert!(!matches!(outcome, Ok(Some(_))));
        }
    }

    fn fail(&mut self, which: usize) {
        let Some(at) = self.chosen(which) else { return };
        let reservation = self.model.bookings[at].reference;
        let payment = PaymentId::from_bits(u128::try_from(at).unwrap() + 1);
        let outcome = self.ask(&AnyCommand::FailPayment { reservation, payment });
        let booking = &mut self.model.bookings[at];
        if booking.status == ReservationStatus::Paying {
            assert!(matches!(outcome, Ok(Some(_))));
            booking.status = ReservationStatus::Held;
            booking.payment = None;
        } else {
            assert_eq!(outcome, Ok(None));
        }
    }

    fn put(&mut self, text: &'static str, uses: u32, seats: Option<u32>) {
        let def = def(text, uses, seats);
        let command = Command::PutCode { code: code_of(text), terms: Arc::new(def.terms()) };
        let outcome = self.ask(&command.into());
        let known = def.allotment.is_none_or(|id| self.model.aside(id).is_some());
        if !known {
            assert!(matches!(outcome, Err(Refusal::Unfit { field: "allotmentId", .. })));
            return;
        }
        let is_new = self.model.standing(text).is_none();
        match &outcome {
            Ok(Some(Event::CodePut { created, .. })) => assert_eq!(*created, is_new),
            Ok(None) => assert!(!is_new),
            other => panic!("{other:?}"),
        }
        match self.model.codes.iter_mut().find(|kept| kept.text == text) {
            Some(kept) => (kept.def, kept.over) = (def, false),
            None => self.model.codes.push(Kept { text, def, over: false, spent: (0, 0) }),
        }
    }

    fn end(&mut self, text: &'static str) {
        let outcome = self.ask(&Command::EndCode { code: code_of(text) }.into());
        match self.model.codes.iter_mut().find(|kept| kept.text == text && !kept.over) {
            Some(kept) => {
                assert!(matches!(outcome, Ok(Some(_))));
                kept.over = true;
            }
            None => assert_eq!(outcome, Err(Refusal::NoSuchCode)),
        }
    }

    fn let_go(&mut self, id: &'static str) {
        let command = Command::ReleaseAllotment { id: AllotmentId::parse(id).unwrap() };
        let outcome = self.ask(&command.into());
        if self.model.aside(id).is_some() {
            assert!(matches!(outcome, Ok(Some(_))));
            self.model.asides.retain(|aside| aside.id != id);
        } else {
            assert_eq!(outcome, Err(Refusal::NoSuchAllotment));
        }
    }

    fn hold(
        &mut self,
        user: &'static str,
        wish: Wish,
        text: Option<&'static str>,
        count: u32,
        named: Option<(&[u32], u32)>,
    ) {
        self.sale.nonce += 1;
        let nonce = self.sale.nonce;
        let outcome = self.ask(&Command::hold(super::user(user), wish, nonce).into());
        let model = &self.model;
        if count == 0 {
            return assert_eq!(outcome, Err(Refusal::NoSeats));
        }
        let expected = model.access(text, count, None).and_then(|def| {
            model.limit(user, count, None)?;
            if let Some((seats, pit)) = named {
                model.places(seats, pit, def.as_ref(), None)?;
            } else {
                let sold = |seat: &u32| !model.only_r(def.as_ref()) || *seat >= 6;
                let free = (0..SEATS).filter(sold).filter(|seat| model.free(*seat, def.as_ref(), None));
                let free = u32::try_from(free.count()).unwrap() + model.pit_for(def.as_ref(), None);
                if free < count {
                    return Err(Refusal::NotEnoughSeats);
                }
            }
            Ok(def)
        });
        let def = match expected {
            Err(refusal) => return assert_eq!(outcome, Err(refusal)),
            Ok(def) => def,
        };
        let Ok(Some(Event::SeatsHeld { number, nonce, seats: held, terms, .. })) = outcome else {
            panic!("{outcome:?} and not a hold")
        };
        let held: Vec<u32> = held.iter().map(|seat| seat.0).collect();
        let pit: u32 = terms.iter().flat_map(|terms| &*terms.areas).map(|places| places.count).sum();
        if let Some((seats, wished)) = named {
            assert_eq!((held.as_slice(), pit), (seats, wished));
        } else {
            assert_eq!(model.places(&held, pit, def.as_ref(), None), Ok(()));
            assert_eq!(u32::try_from(held.len()).unwrap() + pit, count);
        }
        let aside = def.and_then(|def| def.allotment).and_then(|id| self.model.aside(id));
        let allotment = aside.map(|aside| (aside.id, aside.life));
        assert_eq!(terms.as_ref().and_then(|terms| terms.code.as_deref()), text);
        let told = terms.as_ref().and_then(|terms| terms.allotment.as_ref()).map(|from| &*from.id);
        assert_eq!(told, allotment.map(|(id, _)| id));
        self.model.bookings.push(Booking {
            reference: ReservationRef { number, nonce },
            user,
            cost: cost(&held, pit, text),
            seats: held,
            pit,
            code: text,
            allotment,
            status: ReservationStatus::Held,
            deadline: self.model.now + HOLD,
            payment: None,
        });
    }

    fn exchange(
        &mut self,
        which: usize,
        seats: Vec<u32>,
        pit: u32,
        text: Option<&'static str>,
        drops_code: bool,
    ) {
        let Some(at) = self.chosen(which) else { return };
        let reservation = self.model.bookings[at].reference;
        let wish = Wish { drops_code, ..Self::wish(wish_of(&seats, pit), text) };
        let outcome = self.ask(&Command::Exchange { reservation, caller: Caller::Admin, wish }.into());
        let model = &self.model;
        let own = &model.bookings[at];
        let count = u32::try_from(seats.len()).unwrap() + pit;
        let keeps = own.code.is_some() && text.map_or(!drops_code, |text| own.code == Some(text));
        let code = if keeps { own.code } else { text };
        let expected = match own.status {
            ReservationStatus::Held if count == 0 => Err(Refusal::NoSeats),
            ReservationStatus::Held if model.sale != SaleStatus::Open && model.phase().is_none() => {
                Err(Refusal::NotOpen)
            }
            // Some of what it has, whatever has become of its code.
            ReservationStatus::Held
                if keeps && pit <= own.pit && seats.iter().all(|seat| own.seats.contains(seat)) =>
            {
                Ok(model.source(own).map(|aside| (aside.id, aside.life)))
            }
            ReservationStatus::Held => model.access(code, count, keeps.then_some(own)).and_then(|def| {
                model.limit(own.user, count, Some(own))?;
                model.places(&seats, pit, def.as_ref(), Some(own))?;
                let aside = def.and_then(|def| def.allotment).and_then(|id| model.aside(id));
                Ok(aside.map(|aside| (aside.id, aside.life)))
            }),
            ReservationStatus::Expired => Err(Refusal::Expired),
            ReservationStatus::Paying
            | ReservationStatus::Confirmed
            | ReservationStatus::Cancelled
            | ReservationStatus::Released => Err(Refusal::NotHeld),
        };
        match expected {
            Err(refusal) => assert_eq!(outcome, Err(refusal)),
            Ok(allotment) => {
                let same = (&own.seats, own.pit, own.code, own.allotment) == (&seats, pit, code, allotment);
                assert_eq!(matches!(outcome, Ok(None)), same, "{outcome:?}");
                let own = &mut self.model.bookings[at];
                own.cost = cost(&seats, pit, code);
                (own.seats, own.pit, own.code, own.allotment) = (seats, pit, code, allotment);
            }
        }
    }

    fn confirm(&mut self, which: usize) {
        let Some(at) = self.chosen(which) else { return };
        let reservation = self.model.bookings[at].reference;
        let payment = PaymentId::from_bits(u128::try_from(at).unwrap() + 1);
        let outcome = self.ask(&AnyCommand::Confirm { reservation, payment });
        let own = &self.model.bookings[at];
        let expected = match own.status {
            ReservationStatus::Paying => Ok(true),
            ReservationStatus::Confirmed | ReservationStatus::Cancelled => Ok(false),
            ReservationStatus::Expired => self.rescued(own).map(|()| true),
            ReservationStatus::Held | ReservationStatus::Released => Err(Refusal::NotHeld),
        };
        let expected = if own.payment.is_none() { Err(Refusal::PaymentNotUnderWay) } else { expected };
        match expected {
            Err(refusal) => assert_eq!(outcome, Err(refusal)),
            Ok(changes) => {
                assert_eq!(matches!(outcome, Ok(Some(_))), changes, "{outcome:?}");
                if changes {
                    self.model.bookings[at].status = ReservationStatus::Confirmed;
                }
            }
        }
    }

    /// Whether money that came late still gets what it was for.
    fn rescued(&self, own: &Booking) -> Verdict {
        let model = &self.model;
        if let Some(text) = own.code {
            let kept = model.codes.iter().find(|kept| kept.text == text).unwrap();
            let (used, seats) = model.uses(text);
            let over = kept.def.max_seats.is_some_and(|max| seats + own.places() > max);
            if used >= kept.def.max_uses || over {
                return Err(Refusal::CodeExhausted);
            }
        }
        let is_there = |seat: u32| {
            let home = model.source(own).filter(|aside| aside.seats.contains(&seat)).map(|aside| aside.id);
            model.owner(seat).is_none() && model.left_in(seat) == home
        };
        let taken: Vec<Seat> =
            own.seats.iter().filter(|seat| !is_there(**seat)).map(|seat| Seat(*seat)).collect();
        if !taken.is_empty() {
            return Err(Refusal::SeatsUnavailable { seats: taken });
        }
        let left = model.pit_home(own).map_or_else(|| model.pit_free(), |id| model.pit_left(id));
        if own.pit > left { Err(lacking(left)) } else { Ok(()) }
    }

    fn set_aside(&mut self, which: usize, first: u32, count: u32, pit: u32, release: Option<u64>) {
        let id = ALLOTMENTS[which];
        let mut seats = some_seats(first, count);
        seats.sort_unstable();
        let release = release.map(|wait| self.model.now + wait);
        let terms = AllotmentTerms {
            id: AllotmentId::parse(id).unwrap(),
            name: id.to_owned(),
            reason: None,
            seats: seats_of(&seats),
            areas: [AsidePlaces { area: PIT, count: pit }].into_iter().filter(|_| pit > 0).collect(),
            release_at: release.map(|at| after(START, at)),
            life: 0,
        };
        let outcome = self.ask(&Command::SetAllotment { terms: Arc::new(terms) }.into());
        let model = &self.model;
        if count + pit == 0 {
            return assert_eq!(outcome, Err(Refusal::NoSeats));
        }
        let standing = model.aside(id).map(|aside| aside.seats.clone());
        let own = |seat: u32| standing.as_ref().is_some_and(|standing| standing.contains(&seat));
        let free = |seat: u32| model.owner(seat).is_none() && model.left_in(seat).is_none();
        let taken: Vec<Seat> =
            seats.iter().filter(|seat| !own(**seat) && !free(**seat)).map(|seat| Seat(*seat)).collect();
        if !taken.is_empty() {
            return assert_eq!(outcome, Err(Refusal::SeatsUnavailable { seats: taken }));
        }
        let had = model.pit_of(id);
        if pit > 0 && pit < had {
            return assert!(matches!(outcome, Err(Refusal::Unfit { field: "areas", .. })), "{outcome:?}");
        }
        let could_have = had + model.pit_free() + model.pit_left(id);
        if pit > could_have {
            return assert_eq!(outcome, Err(lacking(could_have)));
        }
        match &outcome {
            Ok(Some(Event::AllotmentSet { created, .. })) => assert_eq!(*created, standing.is_none()),
            Ok(None) => assert!(standing.is_some()),
            other => panic!("{other:?}"),
        }
        // One that stands goes on; else it is another, which has nothing of what was taken from the one before.
        let life = model.aside(id).map_or(model.lives + 1, |aside| aside.life);
        self.model.lives = self.model.lives.max(life);
        self.model.asides.retain(|aside| aside.id != id);
        self.model.asides.push(Aside { id, life, seats, pit, release });
    }

    fn check(&self) {
        let (schedule, model) = (&self.sale.schedule, &self.model);
        for seat in 0..SEATS {
            let expected = match model.owner(seat).map(|booking| booking.status) {
                Some(ReservationStatus::Confirmed) => SeatStatus::Reserved,
                Some(_) => SeatStatus::Held,
                None if model.left_in(seat).is_some() => SeatStatus::Blocked,
                None => SeatStatus::Available,
            };
            assert_eq!(schedule.statuses()[usize::try_from(seat).unwrap()], expected, "seat {seat}");
        }
        let live = |status| {
            let of = model.bookings.iter().filter(|booking| booking.lives());
            of.filter(|of| (of.status == ReservationStatus::Confirmed) == status)
                .map(|of| of.pit)
                .sum::<u32>()
        };
        let aside: u32 = model.asides.iter().map(|aside| model.pit_left(aside.id)).sum();
        let expected = [model.pit_free(), live(false), live(true), aside];
        let pit = schedule.area_counts()[PIT.index()];
        assert_eq!(SeatStatus::ALL.map(|status| pit.of(status)), expected, "the pit");
        for booking in &model.bookings {
            let kept = schedule.reservation(booking.reference).expect("it is kept");
            assert_eq!(schedule.amount_of(kept).minor(), booking.cost, "{booking:?}");
        }
        for kept in &model.codes {
            let standing = schedule.codes().unwrap().find_used(kept.text).unwrap();
            assert_eq!((standing.uses.used, standing.uses.seats), model.uses(kept.text), "{}", kept.text);
            assert_eq!(schedule.codes().unwrap().find(kept.text).is_some(), !kept.over);
        }
        let mut asides: Vec<&str> = model.asides.iter().map(|aside| aside.id).collect();
        asides.sort_unstable();
        let allotments = schedule.allotments();
        assert_eq!(allotments.iter().map(|terms| &*terms.id).collect::<Vec<_>>(), asides);
        for terms in &allotments {
            let aside = model.aside(&terms.id).unwrap();
            let total = u32::try_from(aside.seats.len()).unwrap() + aside.pit;
            let mut counts = AllotmentCounts { total, ..AllotmentCounts::default() };
            for booking in model.bookings.iter().filter(|booking| booking.lives()) {
                let seats = booking.seats.iter().filter(|seat| aside.seats.contains(seat)).count();
                let is_of_it = aside.pit > 0 && booking.allotment == Some((aside.id, aside.life));
                let places = u32::try_from(seats).unwrap() + if is_of_it { booking.pit } else { 0 };
                let is_sold = booking.status == ReservationStatus::Confirmed;
                *(if is_sold { &mut counts.sold } else { &mut counts.held }) += places;
            }
            counts.left = counts.total - counts.held - counts.sold;
            assert_eq!(schedule.allotment_counts(terms, self.sale.now), counts, "{}", aside.id);
        }
        let phase = model.phase().map(|(id, ..)| id);
        assert_eq!(schedule.summary().phase.as_deref(), phase);
        assert_eq!(schedule.phase_at(self.sale.now).map(|phase| &*phase.id), phase);
        let status = if phase.is_some() { SaleStatus::Open } else { model.sale };
        assert_eq!((schedule.summary().status, schedule.sale_at(self.sale.now)), (status, status));
        let left = schedule.sellable().available - schedule.counts().available;
        assert_eq!(
            left,
            aside + u32::try_from((0..SEATS).filter(|seat| model.left_in(*seat).is_some()).count()).unwrap()
        );
    }
}

fn code_of(text: &str) -> AccessCode {
    code(text)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn phases_codes_and_allotments_do_what_their_model_does(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        let plan = Plan::clone(world.sale.schedule.plan());
        world.journal.check(&world.sale.schedule, creation(plan), &hall());
    }
}
