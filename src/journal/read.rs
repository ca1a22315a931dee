//! Reading durable records, in order, across generations.
//!
//! Absent on purpose: anything that changes the log. A reader sees the log as durable as it was when the reader was made.
//!
//! Invariants: nothing beyond the durable position is ever returned; a gap or damage is an error, never skipped.

use std::sync::Arc;

use bytes::Bytes;

use super::frame::Defect;
use super::generations::{Generations, Missing};
use super::position::{Ordinal, Position};
use super::read_error::ReadError;
use super::scan::{Run, Sequence, Walk, Walked};
use super::store::{Key, Store};
#[cfg(feature = "cluster")]
use super::stream::StreamRuns;

/// Walks runs of records behind a position. Nothing comes behind an error.
pub struct Runs {
    source: Source,
    failed: bool,
}

enum Source {
    Disk(DiskRuns),
    #[cfg(feature = "cluster")]
    Stream(StreamRuns),
}

impl From<DiskRuns> for Runs {
    fn from(runs: DiskRuns) -> Self {
        Self { source: Source::Disk(runs), failed: false }
    }
}

#[cfg(feature = "cluster")]
impl From<StreamRuns> for Runs {
    fn from(runs: StreamRuns) -> Self {
        Self { source: Source::Stream(runs), failed: false }
    }
}

impl Iterator for Runs {
    type Item = Result<Run, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = match &mut self.source {
            Source::Disk(runs) => runs.step(),
            #[cfg(feature = "cluster")]
            Source::Stream(runs) => runs.step(),
        };
        self.failed = next.is_err();
        next.transpose()
    }
}

/// Walks the runs of a log on this machine's disk.
pub(super) struct DiskRuns {
    generations: Arc<Generations>,
    /// The next record to return.
    next: Ordinal,
    /// The last record to return.
    until: Ordinal,
    open: Option<Open>,
}

struct Open {
    generation: u64,
    end: Option<Ordinal>,
    walk: Walk,
    sequence: Sequence,
    /// Keeps the store open, and its generation from being deleted.
    _store: Arc<dyn Store>,
}

impl DiskRuns {
    pub(super) fn new(generations: Arc<Generations>, after: Position, until: Position) -> Self {
        Self { generations, next: after.ordinal().next(), until: until.ordinal(), open: None }
    }

    fn open(&self) -> Result<Open, ReadError> {
        let found = self.generations.find(self.next).map_err(|missing| match missing {
            Missing::Gone(oldest) => ReadError::Gone { oldest: oldest.position() },
            Missing::Closed => ReadError::Closed,
            Missing::Store(generation, source) => ReadError::Store { generation, source },
        })?;

        let number = found.generation.number;
        let failed = |source| ReadError::Store { generation: number, source };

        // The record may stand anywhere in its frame, which is found by the key of its first one.
        let sought = Key { ordinal: self.next, chunk: u16::MAX };
        let first = match found.store.floor(sought).map_err(failed)? {
            Some(key) => key.ordinal,
            None => found.generation.first,
        };

        let from = Key { ordinal: first, chunk: 0 };
        let to = Key { ordinal: self.until.next(), chunk: 0 };

        Ok(Open {
            generation: number,
            end: found.end,
            walk: Walk::new(found.store.scan(from, to)),
            sequence: Sequence::new(found.generation.log_id, first, found.generation.epoch),
            _store: found.store,
        })
    }

    fn step(&mut self) -> Result<Option<Run>, ReadError> {
        while self.next <= self.until {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => self.open()?,
            };

            let generation = open.generation;
            let damaged = |at: Ordinal, defect| {
                let position = at.position();
                ReadError::Damaged { generation, position, defect }
            };

            let found = match open.walk.next().transpose() {
                Ok(Some(Walked::Frame(frame))) => {
                    let first = frame.header.first;
                    open.sequence.accept(frame).map_err(|defect| damaged(first, defect))?
                }
                Ok(Some(Walked::Bad(bad))) => {
                    return Err(damaged(bad.key.ordinal, bad.defect));
                }
                Ok(None) => {
                    // The next generation begins where this one has to end; the newest ends behind `until`.
                    let reached = open.sequence.next();
                    if open.end != Some(reached) || self.next != reached {
                        return Err(damaged(reached, Defect::Gap(reached)));
                    }
                    continue;
                }
                Err(source) => return Err(ReadError::Store { generation, source }),
            };

            // Only here: a generation at its end stays out, and the next turn opens the one behind it.
            self.open = Some(open);
            if let Some(run) = found
                && run.last().ordinal() >= self.next
            {
                assert!(run.first.ordinal() <= self.next, "no record is left out");
                self.next = run.last().ordinal().next();
                return Ok(Some(run));
            }
        }
        Ok(None)
    }
}

/// Walks single records behind a position; each shares its frame's bytes.
pub struct Reader {
    runs: Runs,
    after: Position,
    run: Option<(Run, Position, usize)>,
}

impl Reader {
    pub(super) const fn new(runs: Runs, after: Position) -> Self {
        Self { runs, after, run: None }
    }
}

impl Iterator for Reader {
    type Item = Result<(Position, Bytes), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((run, position, at)) = self.run.take()
                && let Some((record, next)) = run.record_at(at)
            {
                self.run = Some((run, position.plus(1), next));
                if position > self.after {
                    return Some(Ok((position, record)));
                }
                continue;
            }
            match self.runs.next()? {
                Ok(run) => {
                    let first = run.first;
                    self.run = Some((run, first, 0));
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Shows every record behind `after` to `visit`, in order and without copying it; stops at the first error of either.
pub(super) fn for_each<E: From<ReadError>>(
    runs: Runs,
    after: Position,
    mut visit: impl FnMut(Position, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    for run in runs {
        let run = run?;
        for (position, record) in run.records(after) {
            visit(position, record)?;
        }
    }
    Ok(())
}
