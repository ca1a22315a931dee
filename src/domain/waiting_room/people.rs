//! Who has a place: the users by their tickets, and the tickets by their users.
//!
//! Ten million people are to fit, so a person costs the bytes of the id, an end of it (4), an instant (8) and an
//! entry of the table (4, and the table's room). Ids stand one behind the other in blocks of [`TICKETS`] people, in
//! the order in which they came. A full block never changes, so copies of the room share it; it goes when the last
//! of its people has. The table holds tickets alone and is cut in [`SHARDS`], so that no growth stops the
//! room for longer than a moment.

use core::hash::BuildHasher;
use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::Ticket;
use crate::domain::time::Timestamp;

/// How many people a block has.
pub(super) const TICKETS: u32 = 1_024;
const SHARDS: u64 = 256;

/// People who came one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Block {
    /// When each joined, in milliseconds since 1970.
    pub(super) joined: Vec<u64>,
    /// Where each one's id ends in `ids`.
    pub(super) ends: Vec<u32>,
    /// The ids, one behind the other.
    pub(super) ids: String,
}

impl Block {
    pub(super) fn user(&self, at: usize) -> &str {
        let start = at.checked_sub(1).map_or(0, |before| index(self.ends[before]));
        &self.ids[start..index(self.ends[at])]
    }

    fn push(&mut self, user: &str, at: Timestamp) {
        self.ids.push_str(user);
        self.ends.push(u32::try_from(self.ids.len()).expect("1,024 ids of at most 512 bytes"));
        self.joined.push(at.as_millis());
    }

    fn heap_bytes(&self) -> usize {
        self.joined.capacity() * 8 + self.ends.capacity() * 4 + self.ids.capacity()
    }
}

/// Everyone who has a place.
#[derive(Debug, Clone, Default)]
pub(super) struct People {
    /// The number of the first block that is kept.
    first: u32,
    /// The full blocks; one that all its people have left is gone.
    full: VecDeque<Option<Arc<Block>>>,
    /// The block that is being filled.
    tail: Block,
    /// How many of each block's people still have a place, the tail's last.
    live: VecDeque<u32>,
    /// Those of them by their users.
    table: Vec<HashTable<u32>>,
    hasher: DefaultHashBuilder,
    /// Blocks that nobody has a place in any more, to be let go before the next change.
    emptied: Vec<u32>,
}

fn index(number: u32) -> usize {
    usize::try_from(number).expect("a u32 fits")
}

/// Returns a ticket's block and its place there.
fn place(ticket: Ticket) -> (u32, usize) {
    let at = ticket.0 - 1;
    (at / TICKETS, index(at % TICKETS))
}

fn shard(hash: u64) -> usize {
    // The table itself uses the lowest and the highest bits.
    usize::try_from((hash >> 32) % SHARDS).expect("fewer shards than a usize holds")
}

impl People {
    /// Returns how many have ever come.
    pub(super) fn tickets(&self) -> u32 {
        let blocks = self.first + u32::try_from(self.full.len()).expect("fewer blocks than tickets");
        blocks * TICKETS + u32::try_from(self.tail.joined.len()).expect("at most a block")
    }

    /// Adds a newcomer, who gets the next ticket.
    pub(super) fn join(&mut self, user: &str, at: Timestamp) -> Ticket {
        let ticket = Ticket(self.tickets() + 1);
        let hash = self.hasher.hash_one(user);
        if self.tail.joined.is_empty() {
            self.live.push_back(0);
        }
        self.tail.push(user, at);
        *self.live.back_mut().expect("the tail's count is the last") += 1;
        self.insert(hash, ticket);
        if self.tail.joined.len() == index(TICKETS) {
            let mut full = core::mem::take(&mut self.tail);
            full.ids.shrink_to_fit();
            if self.live.back() == Some(&0) {
                self.emptied.push(self.first + u32::try_from(self.full.len()).expect("fewer than tickets"));
            }
            self.full.push_back(Some(Arc::new(full)));
            self.tail.joined.reserve_exact(index(TICKETS));
            self.tail.ends.reserve_exact(index(TICKETS));
        }
        ticket
    }

    fn insert(&mut self, hash: u64, ticket: Ticket) {
        if self.table.is_empty() {
            self.table.resize_with(usize::try_from(SHARDS).expect("few"), HashTable::new);
        }
        let mut shards = core::mem::take(&mut self.table);
        let rehash = |ticket: &u32| self.hasher.hash_one(self.user(Ticket(*ticket)));
        shards[shard(hash)].insert_unique(hash, ticket.0, rehash);
        self.table = shards;
    }

    /// Removes one who has a place. Their entry in the block stays until [`People::sweep`].
    pub(super) fn leave(&mut self, ticket: Ticket) {
        let hash = self.hasher.hash_one(self.user(ticket));
        let mut shards = core::mem::take(&mut self.table);
        let found = shards[shard(hash)].find_entry(hash, |other| *other == ticket.0);
        found.expect("who leaves has a place").remove();
        self.table = shards;
        let (block, _) = place(ticket);
        let live = &mut self.live[index(block - self.first)];
        *live -= 1;
        if *live == 0 {
            self.emptied.push(block);
        }
    }

    /// Lets the blocks go that nobody has a place in any more.
    pub(super) fn sweep(&mut self) {
        for block in core::mem::take(&mut self.emptied) {
            let at = index(block - self.first);
            if self.live[at] == 0 && at < self.full.len() {
                self.full[at] = None;
            }
        }
        while let Some(None) = self.full.front() {
            self.full.pop_front();
            self.live.pop_front();
            self.first += 1;
        }
    }

    /// Finds the place that a user has.
    pub(super) fn find(&self, user: &str) -> Option<Ticket> {
        let hash = self.hasher.hash_one(user);
        let same = |ticket: &u32| self.user(Ticket(*ticket)) == user;
        self.table.get(shard(hash))?.find(hash, same).map(|ticket| Ticket(*ticket))
    }

    /// Returns the user of a ticket whose block is kept.
    pub(super) fn user(&self, ticket: Ticket) -> &str {
        let (block, at) = place(ticket);
        self.block(block).expect("who has a place is kept").user(at)
    }

    /// Returns when the user of a ticket joined, as long as its block is kept.
    pub(super) fn joined_at(&self, ticket: Ticket) -> Option<Timestamp> {
        let (block, at) = (ticket.0 > 0).then(|| place(ticket))?;
        self.block(block)?.joined.get(at).map(|millis| Timestamp::from_millis(*millis))
    }

    fn block(&self, block: u32) -> Option<&Block> {
        let at = index(block.checked_sub(self.first)?);
        match self.full.get(at) {
            Some(full) => full.as_deref(),
            None => (at == self.full.len()).then_some(&self.tail),
        }
    }

    /// Takes full blocks from another copy of the same people, so that both have one.
    pub(super) fn share(&mut self, other: &Self) {
        let from = self.first.max(other.first);
        let mine = self.full.range_mut(index(from - self.first).min(self.full.len())..);
        let others = other.full.range(index(from - other.first).min(other.full.len())..);
        for (mine, other) in mine.zip(others) {
            if let (Some(mine), Some(other)) = (mine, other) {
                *mine = Arc::clone(other);
            }
        }
    }

    /// Returns the number of the first kept block, the full blocks, and the one that is being filled.
    pub(super) fn blocks(&self) -> (u32, &VecDeque<Option<Arc<Block>>>, &Block) {
        (self.first, &self.full, &self.tail)
    }

    /// Makes the people again from their blocks and the tickets of those who have a place.
    pub(super) fn from_blocks(
        first: u32,
        full: VecDeque<Option<Arc<Block>>>,
        tail: Block,
        live: impl Iterator<Item = Ticket>,
    ) -> Self {
        let counts = full.len() + usize::from(!tail.joined.is_empty());
        let mut people = Self { first, full, tail, live: vec![0; counts].into(), ..Self::default() };
        for ticket in live {
            let (block, _) = place(ticket);
            people.live[index(block - first)] += 1;
            let hash = people.hasher.hash_one(people.user(ticket));
            people.insert(hash, ticket);
        }
        let empty = |(block, live): (u32, &u32)| (*live == 0).then_some(block);
        people.emptied = (first..).zip(&people.live).filter_map(empty).collect();
        people
    }

    /// Returns the number of bytes that they take on the heap; a block counts whole, also where it is shared.
    pub(super) fn heap_bytes(&self) -> usize {
        let blocks: usize = self.full.iter().flatten().map(|block| block.heap_bytes() + 88).sum();
        let table: usize = self.table.iter().map(HashTable::allocation_size).sum();
        blocks + self.tail.heap_bytes() + table + self.full.capacity() * 8 + self.live.capacity() * 4
    }

    /// Says what is inside: of the blocks that nobody has a place in, those that are kept until the next change.
    #[cfg(test)]
    pub(super) fn inside(&self) -> String {
        let Self { first, full, tail, live, table, hasher: _, emptied } = self;
        let mut tickets: Vec<u32> = table.iter().flat_map(HashTable::iter).copied().collect();
        tickets.sort_unstable();
        let goes = |block: &&u32| {
            let at = index(**block - first);
            full.get(at).is_some_and(Option::is_some) && live[at] == 0
        };
        let mut emptied: Vec<&u32> = emptied.iter().filter(goes).collect();
        emptied.sort_unstable();
        format!("{first} {full:?} {tail:?} {live:?} {tickets:?} {emptied:?}")
    }

    /// Checks that the table and the counts are those of `live`.
    pub(super) fn check(&self, live: &[Ticket]) {
        let entries: usize = self.table.iter().map(HashTable::len).sum();
        assert_eq!(entries, live.len(), "Q1: one place a user");
        let mut counts = vec![0; self.live.len()];
        for ticket in live {
            assert_eq!(self.find(self.user(*ticket)), Some(*ticket), "a user finds the own ticket");
            counts[index(place(*ticket).0 - self.first)] += 1;
        }
        assert!(self.live.iter().eq(counts.iter()), "the blocks' counts add up");
    }
}
