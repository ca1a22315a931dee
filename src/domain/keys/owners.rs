//! Whose keys a table has, so that one owner's go before another's.
//!
//! Most owners have one key, which costs a number; an owner of more has a list of them.

use std::collections::VecDeque;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

/// How many keys of one owner are kept, the newest: more than anyone uses in a day of buying.
pub const OWNER_KEYS_MAX: usize = 1_024;

/// The numbers of the keys that an owner has, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Owned {
    One(u64),
    Several(VecDeque<u64>),
}

/// The owners of a table's keys. Administrators aren't among them: their keys have no bound but everyone's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Owners(HashMap<u32, Owned>);

impl Owners {
    /// Adds an owner's newest key; returns the number of the one that goes for it.
    pub(super) fn add(&mut self, owner: u32, number: u64) -> Option<u64> {
        if owner == 0 {
            return None;
        }
        match self.0.entry(owner) {
            Entry::Vacant(vacant) => {
                vacant.insert(Owned::One(number));
                None
            }
            Entry::Occupied(mut occupied) => match occupied.get_mut() {
                Owned::One(one) => {
                    let several = Owned::Several([*one, number].into());
                    occupied.insert(several);
                    None
                }
                Owned::Several(numbers) => {
                    numbers.push_back(number);
                    if numbers.len() > OWNER_KEYS_MAX { numbers.pop_front() } else { None }
                }
            },
        }
    }

    /// Takes a key out that is let go.
    pub(super) fn remove(&mut self, owner: u32, number: u64) {
        let Entry::Occupied(mut occupied) = self.0.entry(owner) else { return };
        let left = match occupied.get_mut() {
            Owned::One(_) => 0,
            Owned::Several(numbers) => {
                // Mostly it is the oldest.
                if let Some(at) = numbers.iter().position(|other| *other == number) {
                    numbers.remove(at);
                }
                numbers.len()
            }
        };
        if left == 0 {
            occupied.remove();
        }
    }
}
