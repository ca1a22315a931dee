//! Idempotency keys as at Toss: the first answer is repeated, errors included, whatever a later body is.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

/// The most keys that are kept; the oldest go first.
pub(super) const KEYS_MAX: usize = 100_000;

/// An answer: its status and its JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

/// The earlier use of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EarlierUse {
    Nothing,
    /// The first request is still being processed.
    Begun,
    Answered(Answer),
}

/// The answers by path and key.
#[derive(Debug)]
pub(super) struct Keys {
    /// No answer yet: the request is being processed.
    answers: HashMap<String, Option<Answer>>,
    /// The oldest first.
    order: VecDeque<String>,
    len_max: usize,
}

impl Keys {
    pub(super) fn new(len_max: usize) -> Self {
        Self { answers: HashMap::new(), order: VecDeque::new(), len_max }
    }

    /// Returns the earlier use of a key. A first use is begun.
    pub(super) fn begin(&mut self, key: &str) -> EarlierUse {
        match self.answers.get(key) {
            Some(Some(answer)) => EarlierUse::Answered(answer.clone()),
            Some(None) => EarlierUse::Begun,
            None => {
                while self.order.len() >= self.len_max {
                    if let Some(oldest) = self.order.pop_front() {
                        self.answers.remove(&oldest);
                    }
                }
                self.answers.insert(key.to_owned(), None);
                self.order.push_back(key.to_owned());
                EarlierUse::Nothing
            }
        }
    }

    /// Keeps the answer.
    pub(super) fn end(&mut self, key: &str, answer: &Answer) {
        if let Some(kept) = self.answers.get_mut(key) {
            *kept = Some(answer.clone());
        }
    }

    /// Forgets a request that never got here.
    pub(super) fn forget(&mut self, key: &str) {
        if self.answers.remove(key).is_some() {
            self.order.retain(|kept| kept != key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_stays_until_there_is_no_room() {
        let mut keys = Keys::new(2);
        let answer = Answer { status: 400, body: Bytes::from_static(b"{}") };
        assert_eq!(keys.begin("a"), EarlierUse::Nothing);
        assert_eq!(keys.begin("a"), EarlierUse::Begun);
        keys.end("a", &answer);
        assert_eq!(keys.begin("a"), EarlierUse::Answered(answer.clone()));
        assert_eq!(keys.begin("b"), EarlierUse::Nothing);
        keys.forget("b");
        assert_eq!(keys.begin("b"), EarlierUse::Nothing);
        assert_eq!(keys.begin("c"), EarlierUse::Nothing);
        assert_eq!(keys.begin("a"), EarlierUse::Nothing, "the oldest went");
        keys.end("b", &answer);
        assert_eq!((keys.answers.len(), keys.order.len()), (2, 2));
    }
}
