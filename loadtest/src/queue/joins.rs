//! The rush: everyone takes a place, as fast as the connections allow.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::Result;

use super::crowd::{Crowd, Place, Told};
use crate::{
    book::Faults,
    clock::Wall,
    drive::{Asked, Caller, Until, drive},
    round::Measured,
    wire::Answer,
};

/// What a rush saw.
pub(super) struct Joined {
    pub(super) seen: Measured,
    pub(super) faults: Faults,
    /// By how many milliseconds our clock is ahead of the server's: no less and no more than this.
    pub(super) ahead: (i64, i64),
}

/// One connection: whoever is next in the crowd joins through it.
struct Joiner {
    crowd: Arc<Crowd>,
    next: Arc<AtomicUsize>,
    host: Arc<str>,
    person: usize,
    sent: u64,
    status: &'static str,
    places: Vec<(usize, Place)>,
    faults: Faults,
}

impl Caller for Joiner {
    fn ask(&mut self, request: &mut Vec<u8>, now: u64) -> bool {
        self.person = self.next.fetch_add(1, Ordering::Relaxed);
        self.sent = now;
        let left = self.person < self.crowd.people.len();
        if left {
            self.crowd.write_join(request, &self.host, self.person);
        }
        left
    }

    fn told(&mut self, answer: &Answer<'_>, now: u64) {
        match Told::read(answer) {
            Ok(told) if answer.status == 201 && *told.status == *self.status => {
                let Told { pass, position, issued_at, .. } = told;
                let (position, sent) = (position.unwrap_or_default(), self.sent);
                self.places.push((self.person, Place { pass, position, issued_at, sent, acknowledged: now }));
            }
            Ok(told) => {
                self.faults.add(format!("the join of user #{}: {} {told:?}", self.person, answer.status));
            }
            Err(error) => self.faults.add(format!("the join of user #{}: {error}", self.person)),
        }
    }
}

/// Has a whole crowd join on so many connections; each must be told that it is `status`.
pub(super) async fn join(
    crowd: &mut Arc<Crowd>,
    asked: Asked,
    connections: usize,
    status: &'static str,
) -> Result<Joined> {
    let wall = Wall::of(asked.clock);
    let (next, host) = (Arc::new(AtomicUsize::new(0)), Arc::from(asked.target.host()));
    let joiner = |_| Joiner {
        crowd: Arc::clone(crowd),
        next: Arc::clone(&next),
        host: Arc::clone(&host),
        person: 0,
        sent: 0,
        status,
        places: Vec::new(),
        faults: Faults::default(),
    };
    let (joiners, seen) = drive(asked, (0..connections).map(joiner).collect(), Until::Done).await?;
    let mut rush = Joined { seen, faults: Faults::default(), ahead: (i64::MIN, i64::MAX) };
    let mut places = Vec::new();
    for joiner in joiners {
        rush.faults.merge(joiner.faults);
        places.extend(joiner.places);
    }

    for reason in &rush.seen.lost {
        rush.faults.add(format!("a connection that people joined through was lost: {reason}"));
    }
    let crowd = Arc::get_mut(crowd).expect("the joiners are gone");
    for (person, place) in places {
        // It was issued between the sending of the request and the reading of its answer.
        let (least, most) = rush.ahead;
        let gap = |at: u64| wall.millis(at).saturating_sub_unsigned(place.issued_at);
        rush.ahead = (least.max(gap(place.sent)), most.min(gap(place.acknowledged)));
        crowd.people[person].place = Some(place);
    }

    Ok(rush)
}
