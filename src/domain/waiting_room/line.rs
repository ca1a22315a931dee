//! The line: who waits, in order, with exact ranks.
//!
//! A place in line is a *slot*, a number that grows with the order of admission. One bit a slot says whether
//! someone waits there; the bits stand in blocks of [`SLOTS`], and a Fenwick tree over the blocks' counts (Peter
//! M. Fenwick, "A new data structure for cumulative frequency tables", 1994) makes a rank the sum of O(log n)
//! counts and the ones of at most one block. Blocks in front that are empty for good are let go now and then,
//! so that the line is as long as who waits in it, not as all who ever did.

use std::collections::VecDeque;

/// How many slots a block has.
const SLOTS: u32 = 1_024;
const WORDS: usize = 16;
/// How many dead blocks in front are worth building the tree anew.
const DEAD_MIN: usize = 64;

type Block = [u64; WORDS];

/// Who waits, by slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// The number of the first block that is kept.
    first: u32,
    blocks: VecDeque<Block>,
    /// A Fenwick tree over the blocks' counts; node `i` (from 1) is at `i - 1`.
    tree: Vec<u32>,
    len: u32,
    /// No slot before it is taken.
    head: u32,
}

fn index(number: u32) -> usize {
    usize::try_from(number).expect("a u32 fits")
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("there are fewer blocks than slots")
}

/// Returns the lowest bit of a node's number: how many blocks it sums.
fn span(node: usize) -> usize {
    node & node.wrapping_neg()
}

fn ones(block: &Block) -> u32 {
    block.iter().map(|word| word.count_ones()).sum()
}

impl Line {
    /// Returns how many wait.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Takes a slot. Slots may be taken in any order, but none before a block that was let go.
    pub(super) fn take(&mut self, slot: u32) {
        if self.blocks.is_empty() {
            self.first = slot / SLOTS;
        }
        let block = self.block(slot).expect("a slot is taken behind what was let go");
        while self.blocks.len() <= block {
            self.blocks.push_back([0; WORDS]);
            self.push_node();
        }
        let (word, bit) = place(slot);
        let bits = &mut self.blocks[block][word];
        assert_eq!(*bits & bit, 0, "Q1: a slot is one person's");
        *bits |= bit;
        self.head = if self.len == 0 { slot } else { self.head.min(slot) };
        self.len += 1;
        self.add(block, |count| count + 1);
        // After a time without anyone in line, the slot may be far behind the blocks that are kept.
        self.advance();
    }

    /// Frees a slot.
    pub(super) fn free(&mut self, slot: u32) {
        let block = self.block(slot).expect("who waits is kept");
        let (word, bit) = place(slot);
        let bits = &mut self.blocks[block][word];
        assert_ne!(*bits & bit, 0, "Q1: only who waits stops waiting");
        *bits &= !bit;
        self.len -= 1;
        self.add(block, |count| count - 1);
        self.advance();
    }

    /// Frees every slot.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Tells whether a slot is taken.
    pub(super) fn has(&self, slot: u32) -> bool {
        let (word, bit) = place(slot);
        let block = self.block(slot).and_then(|block| self.blocks.get(block));
        block.is_some_and(|block| block[word] & bit != 0)
    }

    /// Returns how many wait up to and including a slot.
    pub(super) fn rank(&self, slot: u32) -> u32 {
        let Some(block) = self.block(slot) else { return 0 };
        if block >= self.blocks.len() {
            return self.len;
        }
        let mut rank = 0;
        let mut node = block;
        while node > 0 {
            rank += self.tree[node - 1];
            node -= span(node);
        }
        let (word, bit) = place(slot);
        let words = &self.blocks[block];
        rank += words[..word].iter().map(|word| word.count_ones()).sum::<u32>();
        rank + (words[word] & (bit | (bit - 1))).count_ones()
    }

    /// Returns the taken slots in order, from the first.
    pub(super) fn slots(&self) -> impl Iterator<Item = u32> {
        self.slots_from(self.head)
    }

    /// Returns the taken slots from `from` on, in order.
    pub(super) fn slots_from(&self, from: u32) -> impl Iterator<Item = u32> {
        let from = from.max(self.first.saturating_mul(SLOTS));
        let start = index(from / SLOTS - self.first.min(from / SLOTS));
        let blocks = self.blocks.iter().enumerate().skip(start);
        let words = blocks.flat_map(move |(block, words)| {
            let base = (self.first + number(block)) * SLOTS;
            words.iter().enumerate().map(move |(word, bits)| (base + 64 * number(word), *bits))
        });
        words.flat_map(|(base, bits)| Ones { base, bits }).filter(move |slot| *slot >= from)
    }

    /// Returns the blocks that are kept and the number of the first.
    pub(super) fn blocks(&self) -> (u32, impl Iterator<Item = &Block>) {
        (self.first, self.blocks.iter())
    }

    /// Makes a line from its blocks.
    pub(super) fn from_blocks(first: u32, blocks: impl IntoIterator<Item = Block>) -> Self {
        let mut line = Self { first, head: first.saturating_mul(SLOTS), ..Self::default() };
        for block in blocks {
            let count = ones(&block);
            line.blocks.push_back(block);
            line.push_node();
            line.len += count;
            line.add(line.blocks.len() - 1, |standing| standing + count);
        }
        line.advance();
        line
    }

    /// Returns the number of bytes that it takes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<Block>() + self.tree.capacity() * size_of::<u32>()
    }

    fn block(&self, slot: u32) -> Option<usize> {
        (slot / SLOTS).checked_sub(self.first).map(index)
    }

    fn add(&mut self, block: usize, change: impl Fn(u32) -> u32) {
        let mut node = block + 1;
        while node <= self.tree.len() {
            self.tree[node - 1] = change(self.tree[node - 1]);
            node += span(node);
        }
    }

    /// Adds the node of an empty block at the end: the sum of the nodes below it.
    fn push_node(&mut self) {
        let node = self.tree.len() + 1;
        let mut below = node - 1;
        let mut sum = 0;
        while below > node - span(node) {
            sum += self.tree[below - 1];
            below -= span(below);
        }
        self.tree.push(sum);
    }

    /// Moves the head to the first taken slot, and lets blocks go that are empty for good.
    fn advance(&mut self) {
        if self.len == 0 {
            // The next to come has a greater slot than all before: the last block is the first that can be theirs.
            let last = self.first + number(self.blocks.len());
            self.head = last.saturating_sub(1).max(self.first).saturating_mul(SLOTS);
        } else if !self.has(self.head) {
            let first = self.slots().next().expect("someone waits");
            self.head = first;
        }
        let dead = index((self.head / SLOTS).saturating_sub(self.first)).min(self.blocks.len());
        if dead >= DEAD_MIN && dead * 2 >= self.blocks.len() {
            let kept = self.blocks.split_off(dead);
            let head = self.head;
            *self = Self::from_blocks(self.first + number(dead), kept);
            self.head = self.head.max(head);
        }
    }
}

/// Returns where a slot's bit is in its block.
fn place(slot: u32) -> (usize, u64) {
    let bit = slot % SLOTS;
    (index(bit / 64), 1 << (bit % 64))
}

/// The slots of a word's ones, from the lowest.
struct Ones {
    base: u32,
    bits: u64,
}

impl Iterator for Ones {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.bits == 0 {
            return None;
        }
        let slot = self.base + self.bits.trailing_zeros();
        self.bits &= self.bits - 1;
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn ranks_and_order_are_those_of_a_sorted_set(
            gaps in prop::collection::vec(1u32..3_000, 1..200),
            frees in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..200),
        ) {
            let (mut line, mut set) = (Line::default(), BTreeSet::new());
            let mut slot = 0;
            for gap in gaps {
                slot += gap;
                line.take(slot);
                set.insert(slot);
            }
            for (choice, first) in frees {
                if set.is_empty() {
                    break;
                }
                let at = if first { 0 } else { choice.index(set.len()) };
                let freed = *set.iter().nth(at).unwrap();
                line.free(freed);
                set.remove(&freed);
                prop_assert_eq!(line.len(), u32::try_from(set.len()).unwrap());
                prop_assert!(line.slots().eq(set.iter().copied()));
                for (rank, slot) in set.iter().enumerate() {
                    prop_assert_eq!(line.rank(*slot), u32::try_from(rank).unwrap() + 1);
                    prop_assert!(line.has(*slot));
                }
                prop_assert!(!line.has(freed));
            }
            let (first, blocks) = line.blocks();
            let again = Line::from_blocks(first, blocks.copied().collect::<Vec<_>>());
            prop_assert!(again.slots().eq(set.iter().copied()));
        }
    }

    #[test]
    fn a_line_is_as_long_as_who_waits_not_as_who_ever_did() {
        let mut line = Line::default();
        for slot in 0..1_000_000 {
            line.take(slot);
            if slot >= 10 {
                line.free(slot - 10);
            }
        }
        assert_eq!(line.len(), 10);
        assert!(line.blocks.len() <= 2 * DEAD_MIN, "{} blocks", line.blocks.len());
        assert_eq!(line.rank(999_999), 10);
    }
}
