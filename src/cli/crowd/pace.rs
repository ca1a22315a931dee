//! The size and the speed of a crowd: the policy of its waiting room, and when the fans come.
//!
//! The times here are those of a crowd of 5,000, which takes three to four minutes. A smaller crowd is quicker in
//! proportion, down to a tenth. Policies count whole seconds, and leave a person the time to join by hand.

use core::time::Duration;

use onsale::domain::schedule::policy::{Policy, QueueOrder, QueuePolicy};
use onsale::domain::time::Seconds;

/// The size of the crowd to which the times here apply.
const FULL: u32 = 5_000;
/// The time before the first fan, in which a person reads what to try, and can be the first.
const LEAD: Duration = Duration::from_secs(10);
/// From the first fan to the last.
const ARRIVALS: Duration = Duration::from_mins(1);
/// A waiting fan looks again after a quarter to a half of this, and after half of that when its turn is near.
const LOOK: Duration = Duration::from_secs(20);

/// The pace of a crowd of a certain size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    fans: u32,
    percent: u32,
}

impl Pace {
    pub(super) fn of(fans: u32) -> Self {
        Self { fans, percent: (fans / (FULL / 100)).clamp(10, 100) }
    }

    /// Returns the number of fans.
    pub(super) fn fans(self) -> u32 {
        self.fans
    }

    /// Returns how many fans may be at the seats at once.
    pub(super) fn active_max(self) -> u32 {
        (self.fans / 5).clamp(10, 100)
    }

    /// Returns a sale's policy with the crowd's waiting room before it.
    pub(super) fn policy(self, sale: &Policy) -> Policy {
        let seconds = |full: u32, least: u32| Seconds::new((full * self.percent / 100).max(least));
        let queue = QueuePolicy {
            active_max: self.active_max(),
            // The room fills within seconds rather than at once. Later admissions depend on who leaves.
            admit_per_minute: Some(self.active_max() * 600 / self.percent),
            active: seconds(60, 10),
            claim: seconds(20, 5),
            idle: None,
            waiting: Seconds::new(3_600),
            order: QueueOrder::Fifo,
            opens_at: None,
        };
        Policy { hold: seconds(20, 5), queue: Some(queue), ..sale.clone() }
    }

    /// Returns how long something takes that takes `full` in a crowd of 5,000.
    pub(super) fn time(self, full: Duration) -> Duration {
        full * self.percent / 100
    }

    /// Returns the time before the first fan.
    #[expect(clippy::unused_self, reason = "asked as the other times are")]
    pub(super) fn lead(self) -> Duration {
        LEAD
    }

    /// Returns when a fan comes (the first is 0): a steep burst with a long tail, by the cube of the fan's share.
    pub(super) fn arrival(self, index: u32) -> Duration {
        let share = f64::from(index) / f64::from(self.fans.max(1));
        self.lead() + self.time(ARRIVALS).mul_f64(share.powi(3))
    }

    /// Returns the time after which a fan at `position` looks again. `share`, of a thousand, spreads fans who came
    /// together.
    pub(super) fn look_again(self, position: Option<u32>, share: u32) -> Duration {
        let near = position.is_some_and(|position| position <= self.active_max());
        let longest = self.time(LOOK) / if near { 4 } else { 2 };
        longest / 2 + longest * share.min(1_000) / 2_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fans_come_one_after_the_other_in_a_burst_with_a_tail() {
        for fans in [1, 200, 5_000, 100_000] {
            let pace = Pace::of(fans);
            let arrivals: Vec<Duration> = (0..fans).map(|index| pace.arrival(index)).collect();
            assert!(arrivals.is_sorted());
            assert_eq!(arrivals[0], pace.lead());
            assert!(arrivals.iter().all(|at| *at < pace.lead() + pace.time(ARRIVALS)));
            if fans > 1 {
                let soon = pace.lead() + pace.time(ARRIVALS) / 20;
                let burst = arrivals.iter().filter(|at| **at < soon).count();
                let third = usize::try_from(fans / 3).unwrap();
                assert!(burst > third && burst < 2 * third, "{burst} of {fans} in the first twentieth");
            }
        }
    }

    #[test]
    fn a_crowd_is_quicker_the_smaller_it_is_and_leaves_a_person_time() {
        let seconds = |fans| {
            let policy = Pace::of(fans).policy(&Policy::default());
            let queue = policy.queue.unwrap();
            [policy.hold.get(), queue.claim.get(), queue.active.get(), queue.active_max]
        };
        assert_eq!(seconds(1), [5, 5, 10, 10]);
        assert_eq!(seconds(200), [5, 5, 10, 40]);
        assert_eq!(seconds(2_500), [10, 10, 30, 100]);
        assert_eq!(seconds(5_000), [20, 20, 60, 100]);
        assert_eq!(seconds(100_000), seconds(5_000));
    }

    #[test]
    fn who_waits_looks_often_enough_to_be_there_in_time() {
        for fans in [1, 200, 5_000] {
            let pace = Pace::of(fans);
            let claim = pace.policy(&Policy::default()).queue.unwrap().claim;
            let claim = Duration::from_secs(u64::from(claim.get()));
            for share in [0, 500, 1_000] {
                let far = pace.look_again(Some(1_000_000), share);
                let near = pace.look_again(Some(1), share);
                assert!(near == far / 2 && near > Duration::ZERO && far <= claim / 2);
            }
        }
    }
}
