//! The crowd looks where it stands, over and over.

use std::sync::Arc;

use anyhow::Result;

use super::crowd::{Crowd, Told};
use crate::{
    book::Faults,
    drive::{Asked, Caller, Until, drive},
    round::Measured,
    wire::Answer,
};

/// One connection: its part of the crowd, one after the other.
struct Poller {
    crowd: Arc<Crowd>,
    host: Arc<str>,
    /// Who asks through it.
    people: Vec<usize>,
    next: usize,
    /// How many were admitted of those who stand before everyone here; unless nothing is checked.
    gone: Option<u32>,
    faults: Faults,
}

impl Caller for Poller {
    fn ask(&mut self, request: &mut Vec<u8>, _: u64) -> bool {
        self.crowd.write_poll(request, &self.host, self.people[self.next]);
        true
    }

    fn told(&mut self, answer: &Answer<'_>, _: u64) {
        let person = self.people[self.next];
        self.next = (self.next + 1) % self.people.len();
        // Read at the echo, too: the generator's cost is the same at both.
        let told = Told::read(answer);
        let Some(gone) = self.gone else { return };
        let place = self.crowd.people[person].place.as_ref().expect("who polls has a place");
        let expected = place.position - gone;
        match told {
            Ok(told) if &*told.status == "waiting" && told.position == Some(expected) => {}
            Ok(told) => self.faults.add(format!("user #{person} should wait at {expected}: {told:?}")),
            Err(error) => self.faults.add(format!("the poll of user #{person}: {error}")),
        }
    }
}

/// Has people poll on so many connections. With `gone`, each must be told that it waits, and so
/// many positions before the one at which it joined.
pub(super) async fn poll(
    crowd: &Arc<Crowd>,
    people: &[usize],
    asked: Asked,
    connections: usize,
    gone: Option<u32>,
    until: Until,
) -> Result<(Measured, Faults)> {
    let host: Arc<str> = asked.target.host().into();
    let part = |number: usize| people.iter().copied().skip(number).step_by(connections).collect::<Vec<_>>();
    let poller = |people: Vec<usize>| Poller {
        crowd: Arc::clone(crowd),
        host: Arc::clone(&host),
        people,
        next: 0,
        gone,
        faults: Faults::default(),
    };
    let parts = (0..connections).map(part).filter(|people| !people.is_empty());
    let (pollers, seen) = drive(asked, parts.map(poller).collect(), until).await?;
    let mut faults = Faults::default();
    for poller in pollers {
        faults.merge(poller.faults);
    }

    Ok((seen, faults))
}
