//! A seat map as it is sent: one version, in shared pieces.
//!
//! The first reader of a piece writes it, and it is shared while its version is the newest. Of an older version only
//! the statuses are kept, a byte for each seat, for its remaining readers: a slow reader holds a piece in memory and
//! not a map.

use core::ops::Range;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use super::background;
use super::documents::{At, SeatWord};
use super::json_writer::JsonWriter;
use super::map_areas::{MapAreaDocument, MapAreas, SeatFilter, seating_of};
use crate::domain::concert::Prices;
use crate::domain::ids::{ScheduleId, ScheduleNumber};
use crate::domain::schedule::{Counts, SeatStatus};
use crate::domain::venue::{Layout, Seat, Seating};
use crate::engine::{Engine, MarkedMap, ScheduleEntry, SeatsMark};

/// The seats of a piece: some 40 KB of a map.
const PIECE_SEATS: usize = 256;
/// About how many bytes a seat takes in a map.
const SEAT_BYTES: usize = 160;

/// A seat map.
#[derive(Debug, ToSchema)]
#[schema(as = SeatMap, rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what `Seats` writes")]
pub(super) struct MapDocument {
    schedule_id: String,
    /// The map's version.
    version: u64,
    /// The seats in the order of the venue's plan.
    seats: Vec<SeatDocument>,
    /// The areas in the order of the venue's plan; absent if the venue has none.
    areas: Option<Vec<MapAreaDocument<'static>>>,
}

/// A seat map as it was.
#[derive(Debug, ToSchema)]
#[schema(as = SeatMapAt, rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what `Seats` writes")]
pub(super) struct MapAtDocument {
    schedule_id: String,
    at: At,
    /// The map's version then.
    version: u64,
    /// The seats in the order of the venue's plan.
    seats: Vec<SeatDocument>,
    /// The areas in the order of the venue's plan; absent if the venue has none.
    areas: Option<Vec<MapAreaDocument<'static>>>,
}

/// A seat of a map.
#[derive(Debug, ToSchema)]
#[schema(as = MapSeat, rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what `Seats` writes")]
pub(super) struct SeatDocument {
    seat_id: String,
    /// Its section's id.
    section: String,
    floor: String,
    /// Its row's id.
    row: String,
    /// Its number in the row.
    number: u32,
    grade: String,
    /// In the currency's minor unit.
    price: u64,
    status: SeatWord,
}

/// The newest version of each live schedule's map, and the turn to compress one.
pub struct SeatBodies {
    newest: Mutex<HashMap<ScheduleNumber, Arc<SeatBody>>>,
    /// One map is compressed at a time, of all: those who wait for it share the next.
    turn: Arc<Semaphore>,
}

impl Default for SeatBodies {
    fn default() -> Self {
        Self { newest: Mutex::default(), turn: Arc::new(Semaphore::new(1)) }
    }
}

impl SeatBodies {
    /// Returns the map as it is now.
    pub(super) fn get(&self, engine: &Engine, entry: &ScheduleEntry) -> Arc<SeatBody> {
        let (prices, seating) = (engine.prices(entry), seating_of(engine, entry));
        let bodies = || self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let standing = bodies().get(&entry.number()).cloned();
        if let Some(body) = &standing
            && body.tag == tag_of(entry, entry.seats_mark(), &prices, seating.as_deref())
        {
            return Arc::clone(body);
        }
        let body = Arc::new(SeatBody::new(entry, prices, seating, standing.as_deref()));
        if entry.is_archived() {
            body.retire();
            return body;
        }
        let mut bodies = bodies();
        match bodies.insert(entry.number(), Arc::clone(&body)) {
            Some(older) => older.retire(),
            // One more: those whose schedules are gone leave.
            None => bodies.retain(|number, _| engine.schedule_by_number(*number).is_some()),
        }
        body
    }

    /// Returns the map as it is now, or as it is when its turn comes, compressed; nothing where that can't be done.
    pub(super) async fn compressed(
        &self,
        engine: &Engine,
        entry: &ScheduleEntry,
    ) -> Option<(Arc<SeatBody>, Bytes)> {
        let done = |body: Arc<SeatBody>| body.gzip.get().cloned().map(|gzip| (body, gzip));
        if let Some(done) = done(self.get(engine, entry)) {
            return Some(done);
        }
        let turn = Arc::clone(&self.turn).acquire_owned().await.ok()?;
        let body = self.get(engine, entry);
        if let Some(done) = done(Arc::clone(&body)) {
            return Some(done);
        }
        background::run("onsale-gzip", move || {
            // The turn ends with the work, whether or not anyone still waits for it.
            let _turn = turn;
            let gzip = body.compress();
            (Arc::clone(&body), body.gzip.get_or_init(|| gzip).clone())
        })
        .await
    }
}

/// A map of one version.
pub(super) struct SeatBody {
    /// Names what it says, with the prices.
    pub(super) tag: String,
    /// The version that it is of.
    pub(super) version: u64,
    /// Names it in a stream.
    id: String,
    schedule: ScheduleId,
    layout: Arc<Layout>,
    prices: Arc<Prices>,
    /// What the venue calls its areas, where it has any.
    seating: Option<Arc<Seating>>,
    statuses: Box<[SeatStatus]>,
    areas: Box<[Counts]>,
    /// The first seat that isn't available.
    first_taken: usize,
    /// The bytes of its seats in a document, without their statuses.
    seats_len: usize,
    document: Pieces,
    snapshot: Pieces,
    gzip: OnceLock<Bytes>,
}

/// The pieces of one version that were written. None is kept once there is a newer version.
struct Pieces(Mutex<Option<Box<[Option<Bytes>]>>>);

impl Pieces {
    fn new(count: usize) -> Self {
        Self(Mutex::new(Some(vec![None; count].into())))
    }

    /// Returns a piece; who comes first writes it.
    fn get(&self, index: usize, write: impl FnOnce() -> Bytes) -> Bytes {
        let pieces = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(piece) = pieces().as_ref().and_then(|pieces| pieces[index].clone()) {
            return piece;
        }
        let piece = write();
        if let Some(pieces) = &mut *pieces() {
            pieces[index] = Some(piece.clone());
        }
        piece
    }

    fn retire(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl SeatBody {
    /// Copies the map of a schedule; `older` is an earlier one of the same schedule.
    fn new(
        entry: &ScheduleEntry,
        prices: Arc<Prices>,
        seating: Option<Arc<Seating>>,
        older: Option<&Self>,
    ) -> Self {
        let MarkedMap { mark, statuses, areas } = entry.marked_map();
        let pieces = pieces_of(statuses.len());

        let mut body = Self {
            tag: tag_of(entry, mark, &prices, seating.as_deref()),
            version: mark.version,
            id: id_of(entry, mark),
            schedule: entry.id().clone(),
            layout: Arc::clone(entry.layout()),
            first_taken: statuses
                .iter()
                .position(|of| *of != SeatStatus::Available)
                .unwrap_or(statuses.len()),
            prices,
            seating,
            statuses,
            areas,
            seats_len: 0,
            document: Pieces::new(pieces),
            snapshot: Pieces::new(pieces),
            gzip: OnceLock::new(),
        };

        let same =
            older.filter(|older| older.prices == body.prices && Arc::ptr_eq(&older.layout, &body.layout));
        body.seats_len = same.map_or_else(|| body.measure(), |older| older.seats_len);
        body
    }

    fn seats(&self) -> Seats<'_> {
        Seats { layout: &self.layout, prices: &self.prices, statuses: &self.statuses }
    }

    fn piece_count(&self) -> usize {
        pieces_of(self.statuses.len())
    }

    fn areas(&self) -> MapAreas<'_> {
        let Self { layout, prices, seating, areas, .. } = self;
        MapAreas { layout, seating: seating.as_deref(), prices, counts: areas }
    }

    /// Writes what stands behind the seats.
    fn tail(&self, narrow: SeatFilter) -> String {
        format!("]{}}}", self.areas().member(narrow))
    }

    /// Returns the seats of a piece.
    fn range(&self, index: usize) -> Range<usize> {
        index * PIECE_SEATS..((index + 1) * PIECE_SEATS).min(self.statuses.len())
    }

    fn statuses_len(&self) -> usize {
        self.statuses.iter().map(|status| status.as_str().len()).sum()
    }

    /// Measures the seats once; whatever their statuses, they take as much.
    fn measure(&self) -> usize {
        let written = (0..self.piece_count()).map(|index| {
            let mut json = JsonWriter::with_capacity(PIECE_SEATS * SEAT_BYTES);
            self.seats().write(&mut json, self.range(index), SeatFilter::default(), &mut (index == 0));
            json.into_bytes().len()
        });
        written.sum::<usize>() - self.statuses_len()
    }

    fn head(&self) -> JsonWriter {
        let mut json = JsonWriter::with_capacity(PIECE_SEATS * SEAT_BYTES);
        json.raw("{\"scheduleId\":").string(&self.schedule);
        json.raw(",\"version\":").display(self.version).raw(",\"seats\":[");
        json
    }

    /// Writes a piece of the whole map.
    fn write(&self, index: usize) -> Bytes {
        let first = index == 0;
        let mut json = if first { self.head() } else { JsonWriter::with_capacity(PIECE_SEATS * SEAT_BYTES) };
        self.seats().write(&mut json, self.range(index), SeatFilter::default(), &mut { first });
        if index + 1 == self.piece_count() {
            json.raw(&self.tail(SeatFilter::default()));
        }
        json.into_bytes().into()
    }

    fn compress(&self) -> Bytes {
        let room = Vec::with_capacity(self.statuses.len() * SEAT_BYTES / 8);
        let mut encoder = flate2::write::GzEncoder::new(room, flate2::Compression::fast());
        for index in 0..self.piece_count() {
            encoder.write_all(&self.write(index)).expect("writing to memory doesn't fail");
        }
        encoder.finish().expect("writing to memory doesn't fail").into()
    }

    /// Writes a piece of the event that begins a stream.
    fn write_snapshot(&self, index: usize) -> Bytes {
        let mut json = JsonWriter::default();
        if index == 0 {
            json.raw("id: ").raw(&self.id).raw("\nevent: snapshot\ndata: {\"version\":");
            json.display(self.version).raw(",\"seats\":{");
        }
        for place in self.range(index) {
            let status = self.statuses[place];
            if status == SeatStatus::Available {
                continue;
            }
            json.raw(if place == self.first_taken { "" } else { "," });
            json.string(self.layout.seat_id(seat_at(place))).raw(":\"").raw(status.as_str()).raw("\"");
        }
        if index + 1 == self.piece_count() {
            json.raw("}").raw(&self.areas().member(SeatFilter::default())).raw("}\n\n");
        }
        json.into_bytes().into()
    }

    /// Keeps nothing that was written any more.
    fn retire(&self) {
        self.document.retire();
        self.snapshot.retire();
    }
}

/// Returns the number of pieces: one at least, since a venue may have nothing but areas.
fn pieces_of(seats: usize) -> usize {
    seats.div_ceil(PIECE_SEATS).max(1)
}

fn seat_at(place: usize) -> Seat {
    Seat(u32::try_from(place).expect("bounded by VENUE_SEATS_MAX"))
}

/// The body of an answer with a whole map, sent in shared pieces.
pub(super) struct MapBody {
    body: Arc<SeatBody>,
    next: usize,
    left: usize,
}

impl MapBody {
    pub(super) fn new(body: Arc<SeatBody>) -> Self {
        let around = body.head().into_bytes().len() + body.tail(SeatFilter::default()).len();
        let left = around + body.seats_len + body.statuses_len();
        Self { body, next: 0, left }
    }
}

impl Body for MapBody {
    type Data = Bytes;
    type Error = core::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Self { body, next, left } = &mut *self;
        if *next == body.piece_count() {
            return Poll::Ready(None);
        }
        let piece = body.document.get(*next, || body.write(*next));
        *next += 1;
        *left -= piece.len();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.next == self.body.piece_count()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.left).unwrap_or(u64::MAX))
    }
}

/// Writes the seats that a filter chooses, piece by piece. No other caller wants the same, so they aren't kept.
pub(super) fn narrowed(body: &Arc<SeatBody>, narrow: SeatFilter) -> impl Iterator<Item = Bytes> + use<> {
    let mut first = true;
    let seats = {
        let body = Arc::clone(body);
        (0..body.piece_count()).filter_map(move |index| {
            let mut json = JsonWriter::default();
            body.seats().write(&mut json, body.range(index), narrow, &mut first);
            Some(Bytes::from(json.into_bytes())).filter(|bytes| !bytes.is_empty())
        })
    };
    let (head, tail) = (body.head().into_bytes().into(), body.tail(narrow).into());
    core::iter::once(head).chain(seats).chain(core::iter::once(tail))
}

/// The first event of a stream, piece by piece.
pub(super) struct Snapshot {
    body: Arc<SeatBody>,
    next: usize,
}

impl Snapshot {
    pub(super) fn new(body: Arc<SeatBody>) -> Self {
        Self { body, next: 0 }
    }
}

impl Iterator for Snapshot {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let Self { body, next } = self;
        while *next < body.piece_count() {
            let index = *next;
            *next += 1;
            let piece = body.snapshot.get(index, || body.write_snapshot(index));
            if !piece.is_empty() {
                return Some(piece);
            }
        }
        None
    }
}

/// The seats of a map, to be written.
pub(super) struct Seats<'a> {
    pub(super) layout: &'a Layout,
    pub(super) prices: &'a Prices,
    pub(super) statuses: &'a [SeatStatus],
}

impl Seats<'_> {
    /// Writes every seat, separated by commas.
    pub(super) fn write_all(&self, json: &mut JsonWriter) {
        self.write(json, 0..self.statuses.len(), SeatFilter::default(), &mut true);
    }

    /// Writes the seats of a range that the filter chooses, separated by commas. The texts that a row's seats share are
    /// written once and copied.
    fn write(&self, json: &mut JsonWriter, range: Range<usize>, narrow: SeatFilter, first: &mut bool) {
        let layout = self.layout;
        let rows = layout.rows();
        let begin = rows.partition_point(|row| row.range().end <= range.start);
        let rows = rows[begin..].iter().take_while(|row| row.range().start < range.end);

        for row in rows.filter(|row| narrow.grade.is_none_or(|grade| grade == row.grade)) {
            let section = &layout.sections()[usize::from(row.section)];
            let mut place = JsonWriter::default();
            place.raw(",\"section\":").string(&section.id).raw(",\"floor\":").string(&section.floor);
            place.raw(",\"row\":").string(&row.id).raw(",\"number\":");
            let mut worth = JsonWriter::default();
            worth.raw(",\"grade\":").string(&layout.grades()[row.grade.index()]).raw(",\"price\":");
            worth.display(self.prices.by_grade[row.grade.index()].minor()).raw(",\"status\":\"");
            let (place, worth) = (text(place), text(worth));

            let seats = row.range().start.max(range.start)..row.range().end.min(range.end);
            for index in seats {
                let of = self.statuses[index];
                if narrow.status.is_some_and(|status| status != of) {
                    continue;
                }
                let seat = seat_at(index);
                json.raw(if core::mem::take(first) { "{\"seatId\":" } else { ",{\"seatId\":" });
                json.string(layout.seat_id(seat)).raw(&place).display(layout.seat_number(seat));
                json.raw(&worth).raw(of.as_str()).raw("\"}");
            }
        }
    }
}

fn text(json: JsonWriter) -> String {
    String::from_utf8(json.into_bytes()).expect("JSON is UTF-8")
}

/// Names a map's content by the schedule, its version, and a checksum of its seats and prices. Prices may change before
/// the sale opens.
fn tag_of(entry: &ScheduleEntry, mark: SeatsMark, prices: &Prices, seating: Option<&Seating>) -> String {
    // Areas may get other names while seats are sold.
    let names = seating.into_iter().flat_map(|seating| seating.id().halves());
    named(entry, mark, prices.by_grade.iter().map(|price| price.minor()).chain(names))
}

/// Names the state that a stream's client has: the schedule, the map's version, and a checksum of its seats.
///
/// The checksum is of the content, so the name stays valid after a restart. After a restored backup it is invalid if
/// the same version was reached in another way.
pub(super) fn id_of(entry: &ScheduleEntry, mark: SeatsMark) -> String {
    named(entry, mark, core::iter::empty())
}

/// Names a state of a map by the schedule, the version, and a checksum of its seats and of `more`.
pub(super) fn named(entry: &ScheduleEntry, mark: SeatsMark, more: impl Iterator<Item = u64>) -> String {
    let mut sum = crc32fast::Hasher::new_with_initial(entry.layout_sum());
    sum.update(&mark.sum.to_le_bytes());
    more.for_each(|number| sum.update(&number.to_le_bytes()));
    format!("{}-{}-{:08x}", entry.number().0, mark.version, sum.finalize())
}
