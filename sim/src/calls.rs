//! Calls of the engine, as clients and administrators make them, and callers who vanish.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use onsale::domain::accounts;
use onsale::domain::cause::{By, Cause};
use onsale::domain::concert::Concert;
use onsale::domain::ids::{AllotmentId, ConcertId, PaymentId, PriceTypeId, ScheduleId, UserId};
use onsale::domain::keys::KeyUse;
use onsale::domain::money::{Currency, Money};
use onsale::domain::payments::{Method, Payment};
use onsale::domain::schedule::allotments::AllotmentTerms;
use onsale::domain::schedule::codes::{AccessCode, CodePrefix, CodeTerms};
use onsale::domain::schedule::orders::{Order, OrderWish};
use onsale::domain::schedule::terms::{AreaWish, PriceType};
use onsale::domain::schedule::{Answer, Caller, Command, Plan, Reservation, ReservationRef, Wish};
use onsale::domain::users::{Profile, UserStatus};
use onsale::domain::venue::Seat;
use onsale::domain::waiting_room::{self, Place, Ticket, Tuning};
use onsale::engine::{CatalogueChange, Changed, Done, Engine, EngineError, Import, Purchase, ScheduleEntry};
use onsale::gateway::PaymentKey;

use crate::dice::Dice;
use crate::documents;
use crate::plan::Fate;

/// How long a client has a confirmation wait for the gateway.
const PATIENCE: Duration = Duration::from_secs(5);
/// The price type of a youth.
pub(crate) const YOUTH: PriceType = PriceType(1);

/// What of an order isn't its places.
#[derive(Debug, Clone)]
pub(crate) struct Sale {
    pub(crate) user: Option<UserId>,
    pub(crate) allotment: Option<AllotmentId>,
    /// What is taken, where that isn't the sum of its prices.
    pub(crate) amount: Option<Money>,
    pub(crate) order: Order,
}

/// One request with all that it names. A wish names an adult's places by the default price type, and a youth's by [`YOUTH`], whatever
/// places these have in the concert's list.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    Hold {
        user: UserId,
        schedule: ScheduleId,
        wish: Wish,
    },
    Exchange {
        user: UserId,
        schedule: ScheduleId,
        reservation: ReservationRef,
        wish: Wish,
    },
    Release {
        caller: Caller,
        schedule: ScheduleId,
        reservation: ReservationRef,
    },
    Order {
        schedule: ScheduleId,
        wish: Wish,
        sale: Box<Sale>,
    },
    Pay {
        user: UserId,
        schedule: ScheduleId,
        reservation: ReservationRef,
        card: bool,
    },
    Confirm {
        user: UserId,
        payment: PaymentId,
        payment_key: PaymentKey,
    },
    Charge {
        user: UserId,
        amount: Money,
        currency: Currency,
    },
    Join {
        user: UserId,
        schedule: ScheduleId,
    },
    Leave {
        user: UserId,
        schedule: ScheduleId,
        ticket: Ticket,
    },
    Tune {
        schedule: ScheduleId,
        tuning: Tuning,
    },
    Put {
        schedule: ScheduleId,
        concert: ConcertId,
        plan: Plan,
    },
    Import {
        schedules: Vec<(ScheduleId, ConcertId, Plan)>,
    },
    Reprice {
        concert: Box<Concert>,
    },
    Open {
        schedule: ScheduleId,
    },
    Close {
        schedule: ScheduleId,
    },
    Cancel {
        schedule: ScheduleId,
    },
    Remove {
        schedule: ScheduleId,
    },
    Block {
        schedule: ScheduleId,
        seats: Arc<[Seat]>,
        free: bool,
    },
    PutCode {
        schedule: ScheduleId,
        code: String,
        terms: Arc<CodeTerms>,
    },
    /// Each attempt draws anew; `prefix` is this request's alone.
    MakeCodes {
        schedule: ScheduleId,
        prefix: String,
        count: usize,
        terms: Arc<CodeTerms>,
    },
    EndCode {
        schedule: ScheduleId,
        code: String,
    },
    SetAside {
        schedule: ScheduleId,
        terms: Arc<AllotmentTerms>,
    },
    GiveBack {
        schedule: ScheduleId,
        id: AllotmentId,
    },
    SignUp {
        profile: Box<Profile>,
    },
    SetStatus {
        user: UserId,
        status: UserStatus,
    },
    Snapshot,
    Archive,
}

/// What a call was answered with.
#[derive(Debug, Clone)]
pub(crate) enum Answered {
    Reservation(Box<Reservation>),
    Payment(Box<Payment>),
    Moved(accounts::Transaction),
    Place(Place),
    User(UserId),
    /// Codes that were generated.
    Codes(Vec<AccessCode>),
    Done,
}

/// An answer, and whether it is that of an earlier request with the same key.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) answer: Answered,
    pub(crate) replayed: bool,
}

/// Why a call has no answer.
#[derive(Debug, Clone)]
pub(crate) enum No {
    Engine(EngineError),
    Snapshot,
}

impl From<EngineError> for No {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

/// How a call ended for its caller.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    Answered(Result<Reply, No>),
    /// The caller was gone before there was an answer, or it never arrived.
    Unknown,
}

impl Call {
    /// Returns the route, within which a key is one key.
    pub(crate) const fn route(&self) -> &'static str {
        match self {
            Self::Hold { .. } => "hold",
            Self::Exchange { .. } => "exchange",
            Self::Release { .. } => "release",
            Self::Order { .. } => "order",
            Self::Pay { .. } => "pay",
            Self::Confirm { .. } => "confirm",
            Self::Charge { .. } => "charge",
            Self::Join { .. } => "join",
            Self::Leave { .. } => "leave",
            Self::Tune { .. } => "tune",
            Self::Put { .. } => "put",
            Self::Import { .. } => "import",
            Self::Reprice { .. } => "reprice",
            Self::Open { .. } => "open",
            Self::Close { .. } => "close",
            Self::Cancel { .. } => "cancel",
            Self::Remove { .. } => "remove",
            Self::Block { .. } => "block",
            Self::PutCode { .. } => "put code",
            Self::MakeCodes { .. } => "make codes",
            Self::EndCode { .. } => "end code",
            Self::SetAside { .. } => "set aside",
            Self::GiveBack { .. } => "give back",
            Self::SignUp { .. } => "sign up",
            Self::SetStatus { .. } => "set status",
            Self::Snapshot => "snapshot",
            Self::Archive => "archive",
        }
    }

    /// Returns who asks; an administrator is nobody in particular.
    pub(crate) const fn user(&self) -> Option<&UserId> {
        match self {
            Self::Hold { user, .. }
            | Self::Exchange { user, .. }
            | Self::Release { caller: Caller::User(user), .. }
            | Self::Pay { user, .. }
            | Self::Confirm { user, .. }
            | Self::Charge { user, .. }
            | Self::Join { user, .. }
            | Self::Leave { user, .. } => Some(user),
            Self::Release { caller: Caller::Clerk | Caller::Admin, .. }
            | Self::Order { .. }
            | Self::Tune { .. }
            | Self::Put { .. }
            | Self::Import { .. }
            | Self::Reprice { .. }
            | Self::Open { .. }
            | Self::Close { .. }
            | Self::Cancel { .. }
            | Self::Remove { .. }
            | Self::Block { .. }
            | Self::PutCode { .. }
            | Self::MakeCodes { .. }
            | Self::EndCode { .. }
            | Self::SetAside { .. }
            | Self::GiveBack { .. }
            | Self::SignUp { .. }
            | Self::SetStatus { .. }
            | Self::Snapshot
            | Self::Archive => None,
        }
    }

    /// Returns the one schedule that it is about.
    pub(crate) const fn schedule(&self) -> Option<&ScheduleId> {
        match self {
            Self::Hold { schedule, .. }
            | Self::Exchange { schedule, .. }
            | Self::Release { schedule, .. }
            | Self::Order { schedule, .. }
            | Self::Pay { schedule, .. }
            | Self::Join { schedule, .. }
            | Self::Leave { schedule, .. }
            | Self::Tune { schedule, .. }
            | Self::Put { schedule, .. }
            | Self::Open { schedule }
            | Self::Close { schedule }
            | Self::Cancel { schedule }
            | Self::Remove { schedule }
            | Self::Block { schedule, .. }
            | Self::PutCode { schedule, .. }
            | Self::MakeCodes { schedule, .. }
            | Self::EndCode { schedule, .. }
            | Self::SetAside { schedule, .. }
            | Self::GiveBack { schedule, .. } => Some(schedule),
            Self::Confirm { .. }
            | Self::Charge { .. }
            | Self::Import { .. }
            | Self::Reprice { .. }
            | Self::SignUp { .. }
            | Self::SetStatus { .. }
            | Self::Snapshot
            | Self::Archive => None,
        }
    }

    /// Returns the schedules that it gives a plan, with the plan; one that it removes gets none.
    pub(crate) fn plans(&self) -> Vec<(&ScheduleId, Option<&Plan>)> {
        match self {
            Self::Put { schedule, plan, .. } => vec![(schedule, Some(plan))],
            Self::Import { schedules } => schedules.iter().map(|(id, _, plan)| (id, Some(plan))).collect(),
            Self::Remove { schedule } => vec![(schedule, None)],
            Self::Hold { .. }
            | Self::Exchange { .. }
            | Self::Release { .. }
            | Self::Order { .. }
            | Self::Reprice { .. }
            | Self::Pay { .. }
            | Self::Confirm { .. }
            | Self::Charge { .. }
            | Self::Join { .. }
            | Self::Leave { .. }
            | Self::Tune { .. }
            | Self::Open { .. }
            | Self::Close { .. }
            | Self::Cancel { .. }
            | Self::Block { .. }
            | Self::PutCode { .. }
            | Self::MakeCodes { .. }
            | Self::EndCode { .. }
            | Self::SetAside { .. }
            | Self::GiveBack { .. }
            | Self::SignUp { .. }
            | Self::SetStatus { .. }
            | Self::Snapshot
            | Self::Archive => Vec::new(),
        }
    }
}

/// Makes a call. `nonce` is the random part of what it would make.
pub(crate) async fn make(engine: &Engine, call: &Call, key: Option<KeyUse>, nonce: u64) -> Result<Reply, No> {
    // A key is looked for where the effect is; who asks is only noted.
    let user = |key| Cause { by: By::User, key };
    let admin = || Cause { by: By::Admin(UserId::parse("admin").expect("an id")), key };
    let find = |id: &ScheduleId| engine.schedule(id).ok_or(EngineError::NoSuchSchedule);

    if let Some((schedule, command)) = preparing(call, nonce) {
        let entry = find(schedule)?;
        let done = engine.act_by(&entry, command, admin()).await?;
        return Ok(prepared(&entry, &done));
    }

    match call {
        Call::PutCode { .. }
        | Call::MakeCodes { .. }
        | Call::EndCode { .. }
        | Call::SetAside { .. }
        | Call::GiveBack { .. }
        | Call::Close { .. }
        | Call::Cancel { .. }
        | Call::Block { .. } => unreachable!("it was asked before"),
        Call::Hold { user: who, schedule, wish } => {
            let entry = find(schedule)?;
            let command = Command::hold(who.clone(), named(wish, &entry).0, nonce);
            Ok(acted(engine.act_by(&entry, command, user(key)).await?))
        }
        Call::Exchange { user: who, schedule, reservation, wish } => {
            let entry = find(schedule)?;
            let (caller, (wish, _)) = (Caller::User(who.clone()), named(wish, &entry));
            let command = Command::Exchange { reservation: *reservation, caller, wish };
            Ok(acted(engine.act_by(&entry, command, user(key)).await?))
        }
        Call::Order { schedule, wish, sale } => {
            let entry = find(schedule)?;
            let command = ordering(wish, sale, &entry, nonce);
            Ok(acted(engine.act_by(&entry, command, admin()).await?))
        }
        Call::Release { caller, schedule, reservation } => {
            let cause = if let Caller::User(_) = caller { user(key) } else { admin() };
            let command = Command::Release { reservation: *reservation, caller: caller.clone() };
            Ok(acted(engine.act_by(&*find(schedule)?, command, cause).await?))
        }
        Call::Pay { user, schedule, reservation, card } => {
            let method = if *card { Method::Card } else { Method::Balance };
            let purchase = Purchase { user: user.clone(), reservation: *reservation, method, nonce, key };
            Ok(paid(engine.pay(&*find(schedule)?, purchase).await?))
        }
        Call::Confirm { user, payment, payment_key } => {
            Ok(paid(engine.confirm_payment(*payment, user.clone(), payment_key, key, PATIENCE).await?))
        }
        Call::Charge { user: who, amount, currency } => {
            let done = engine.charge(who, *amount, *currency, nonce, user(key)).await?;
            let answer = match done.answer {
                accounts::Answer::Moved(moved) => Answered::Moved(moved),
                accounts::Answer::Unchanged => Answered::Done,
            };
            Ok(Reply { answer, replayed: done.replayed })
        }
        Call::Join { user, schedule } => Ok(placed(engine.join(&*find(schedule)?, user, key).await?)),
        Call::Leave { user: who, schedule, ticket } => {
            Ok(placed(engine.leave(&*find(schedule)?, who, *ticket, key).await?))
        }
        Call::Tune { schedule, tuning } => {
            Ok(placed(engine.tune(&*find(schedule)?, *tuning, admin()).await?))
        }
        Call::Put { schedule, concert, plan } => {
            let change = CatalogueChange::PutSchedule(schedule.clone(), concert.clone(), plan.clone());
            Ok(changed(&engine.change(change, admin()).await?))
        }
        Call::Import { schedules } => {
            let import = Import { schedules: schedules.clone(), ..Import::default() };
            Ok(changed(&engine.change(CatalogueChange::Import(import), admin()).await?))
        }
        Call::Reprice { concert } => {
            Ok(changed(&engine.change(CatalogueChange::PutConcert((**concert).clone()), admin()).await?))
        }
        Call::Open { schedule } => {
            Ok(changed(&engine.change(CatalogueChange::OpenSchedule(schedule.clone()), admin()).await?))
        }
        Call::Remove { schedule } => {
            Ok(changed(&engine.change(CatalogueChange::RemoveSchedule(schedule.clone()), admin()).await?))
        }
        Call::SignUp { profile } => {
            let signed_up = engine.sign_up((**profile).clone()).await?;
            Ok(Reply { answer: Answered::User(signed_up.id), replayed: false })
        }
        Call::SetStatus { user: who, status } => {
            let done = engine.set_user_status(who.clone(), *status, admin()).await?;
            Ok(Reply { answer: Answered::User(done.answer.id), replayed: done.replayed })
        }
        Call::Snapshot => {
            let taken = engine.snapshot().await.map_err(|_| No::Snapshot);
            taken.map(|_| Reply { answer: Answered::Done, replayed: false })
        }
        Call::Archive => {
            engine.archive_old().await?;
            Ok(Reply { answer: Answered::Done, replayed: false })
        }
    }
}

/// Returns a wish with its price types as they stand in the schedule's list, as the routes read them, and that list.
fn named(wish: &Wish, entry: &ScheduleEntry) -> (Wish, Box<[PriceTypeId]>) {
    let schedule = entry.read();
    let prices = schedule.prices();
    let place = |of: PriceType| {
        let name = documents::type_name(of == YOUTH);
        prices.and_then(|prices| prices.price_type(name)).unwrap_or_default()
    };
    let areas = wish.areas.iter().map(|places| AreaWish { price_type: place(places.price_type), ..*places });
    let price_types = wish.price_types.iter().map(|of| place(*of));
    let read = Wish { price_types: price_types.collect(), areas: areas.collect(), ..wish.clone() };
    let types = prices.into_iter().flat_map(|prices| prices.types()).map(|known| known.id.clone());
    (read, types.collect())
}

/// Makes an order as the route does, which says by which list it has read the price types.
fn ordering(wish: &Wish, sale: &Sale, entry: &ScheduleEntry, nonce: u64) -> Command {
    let (wish, types) = named(wish, entry);
    let Sale { user, allotment, amount, order } = sale.clone();
    let payment_nonce = Dice::of(nonce, 2).next();
    let types = Some(types);
    Command::Order(Box::new(OrderWish { user, wish, types, allotment, order, amount, nonce, payment_nonce }))
}

fn acted(Done { answer, replayed }: Done<Answer>) -> Reply {
    let answer = match answer {
        Answer::Reservation(reservation) => Answered::Reservation(Box::new(reservation)),
        Answer::Schedule(_) | Answer::Put { .. } | Answer::Batch(_) => Answered::Done,
    };
    Reply { answer, replayed }
}

/// Returns what an administrator asks of a schedule. Codes are drawn from `nonce`.
fn preparing(call: &Call, nonce: u64) -> Option<(&ScheduleId, Command)> {
    let parse = |code: &str| AccessCode::parse(code).expect("letters and digits");
    if let Call::PutCode { schedule, code, terms } = call {
        return Some((schedule, Command::PutCode { code: parse(code), terms: Arc::clone(terms) }));
    }
    if let Call::MakeCodes { schedule, prefix, count, terms } = call {
        let mut dice = Dice::of(nonce, 1);
        let drawn: Arc<[u64]> = (0..*count).map(|_| dice.next()).collect();
        let prefix = CodePrefix::parse(prefix).expect("letters and digits");
        return Some((schedule, Command::MakeCodes { prefix, terms: Arc::clone(terms), drawn }));
    }
    if let Call::EndCode { schedule, code } = call {
        return Some((schedule, Command::EndCode { code: parse(code) }));
    }
    if let Call::SetAside { schedule, terms } = call {
        return Some((schedule, Command::SetAllotment { terms: Arc::clone(terms) }));
    }
    if let Call::GiveBack { schedule, id } = call {
        return Some((schedule, Command::ReleaseAllotment { id: id.clone() }));
    }
    if let Call::Close { schedule } = call {
        return Some((schedule, Command::Close));
    }
    if let Call::Cancel { schedule } = call {
        return Some((schedule, Command::Cancel));
    }
    if let Call::Block { schedule, seats, free } = call {
        let seats = Arc::clone(seats);
        return Some((schedule, if *free { Command::Unblock { seats } } else { Command::Block { seats } }));
    }
    None
}

/// Tells what came of it; the codes of a batch are read as the route does that tells them.
fn prepared(entry: &ScheduleEntry, done: &Done<Answer>) -> Reply {
    let answer = match done.answer {
        Answer::Batch(batch) => {
            let codes = entry.read().codes().and_then(|codes| codes.batch(batch));
            Answered::Codes(codes.unwrap_or_default())
        }
        Answer::Reservation(_) | Answer::Schedule(_) | Answer::Put { .. } => Answered::Done,
    };
    Reply { answer, replayed: done.replayed }
}

fn paid(done: Done<Payment>) -> Reply {
    Reply { answer: Answered::Payment(Box::new(done.answer)), replayed: done.replayed }
}

fn placed(acted: Done<waiting_room::Answer>) -> Reply {
    let answer = match acted.answer {
        waiting_room::Answer::Place(place) | waiting_room::Answer::Standing(place) => Answered::Place(place),
        waiting_room::Answer::Room(_) => Answered::Done,
    };
    Reply { answer, replayed: acted.replayed }
}

fn changed(changed: &Changed) -> Reply {
    let replayed = match changed {
        Changed::Imported { replayed, .. } | Changed::Removed { replayed } => *replayed,
        Changed::Acted(acted) => acted.replayed,
        // Whether a put was one isn't said.
        Changed::Put(_) => false,
    };
    Reply { answer: Answered::Done, replayed }
}

/// Makes a call for a caller with a fate.
pub(crate) async fn with_fate<T>(fate: Fate, call: impl Future<Output = T>) -> Option<T> {
    match fate {
        Fate::Waits | Fate::Beside => Some(call.await),
        Fate::Polls(left) => Polled { call: Some(Box::pin(call)), left }.await,
        Fate::Deadline(millis) => tokio::time::timeout(Duration::from_millis(millis), call).await.ok(),
        Fate::ReplyLost => {
            call.await;
            None
        }
    }
}

/// A future that is dropped after some polls.
struct Polled<F> {
    call: Option<Pin<Box<F>>>,
    left: u64,
}

impl<F: Future> Future for Polled<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(call) = &mut self.call else { return Poll::Ready(None) };
        if let Poll::Ready(done) = call.as_mut().poll(context) {
            return Poll::Ready(Some(done));
        }
        self.left -= 1;
        if self.left == 0 {
            self.call = None;
            return Poll::Ready(None);
        }
        Poll::Pending
    }
}
