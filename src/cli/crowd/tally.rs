//! The outcomes of the fans' visits, as the fans saw them, and the summary of them.

use core::time::Duration;
use std::collections::BTreeMap;

use onsale::domain::ids::UserId;
use onsale::domain::schedule::Counts;
use onsale::domain::venue::Seat;

use super::super::output::count;

/// The end of a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// The fan paid for its seats.
    Paid,
    /// The fan gave its seats back.
    GaveUp,
    /// The fan left without a word; seats and pass ended by time.
    Vanished,
    /// The fan's turn came, and it wasn't there.
    NeverCame,
    /// The fan's time at the seats ended before it had paid.
    TooLate,
    /// The fan was let in, and no seats were left.
    EmptyHanded,
    /// The fan left the line: the show was sold out, or the sale over.
    SoldOut,
    /// The engine refused the fan, or was too busy for too long.
    TurnedAway,
}

impl Outcome {
    /// All outcomes, in the order of the summary.
    const ALL: [Self; 8] = [
        Self::Paid,
        Self::SoldOut,
        Self::EmptyHanded,
        Self::GaveUp,
        Self::Vanished,
        Self::NeverCame,
        Self::TooLate,
        Self::TurnedAway,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::GaveUp => "gave up",
            Self::Vanished => "vanished",
            Self::NeverCame => "never came",
            Self::TooLate => "too late",
            Self::EmptyHanded => "empty-handed",
            Self::SoldOut => "sold out",
            Self::TurnedAway => "turned away",
        }
    }

    const fn meaning(self) -> &'static str {
        match self {
            Self::Paid => "",
            Self::GaveUp => "gave their seats back and left",
            Self::Vanished => "closed the window: their seats and passes ended by time",
            Self::NeverCame => "weren't there: the pass went to the next in line",
            Self::TooLate => "were too slow: their time ran out",
            Self::EmptyHanded => "were let in when the last seats were just gone",
            Self::SoldOut => "went home from the line",
            Self::TurnedAway => "were refused, again and again",
        }
    }
}

/// The counts of what the fans have seen so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    home: BTreeMap<Outcome, u32>,
    /// The waits of the fans who came when they were let in.
    waits: Vec<Duration>,
    /// The fan who paid for each seat.
    owners: BTreeMap<u32, UserId>,
    /// Seats for which a second fan paid.
    oversold: u32,
    /// Places of areas that fans paid for.
    places: u32,
    /// How often another fan was faster.
    beaten: u32,
    /// How often the engine was too busy.
    busy: u32,
}

impl Tally {
    pub(super) fn go_home(&mut self, outcome: Outcome) {
        *self.home.entry(outcome).or_default() += 1;
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.waits.push(time);
    }

    pub(super) fn pay(&mut self, user: &UserId, seats: &[Seat], places: u32) {
        self.places += places;
        for seat in seats {
            let before = self.owners.insert(seat.0, user.clone());
            self.oversold += u32::from(before.is_some_and(|before| before != *user));
        }
    }

    pub(super) fn beaten(&mut self) {
        self.beaten += 1;
    }

    pub(super) fn busy(&mut self) {
        self.busy += 1;
    }

    /// Returns the number of fans who have gone home.
    pub(super) fn gone(&self) -> u32 {
        self.home.values().sum()
    }

    /// Returns the median and the longest wait.
    fn waited(&self) -> Option<(Duration, Duration)> {
        let mut waits = self.waits.clone();
        let middle = waits.len() / 2;
        let longest = waits.iter().max().copied()?;
        let (_, median, _) = waits.select_nth_unstable(middle);
        Some((*median, longest))
    }

    /// Counts the seats for which two fans paid, or whose owner isn't the fan who paid; and the places that fans paid for beyond those that
    /// the engine has sold.
    fn oversold(&self, owner: impl Fn(Seat) -> Option<UserId>, places_sold: u32) -> u32 {
        let others =
            |(seat, user): &(&u32, &UserId)| owner(Seat(**seat)).is_some_and(|owner| owner != **user);
        let others = self.owners.iter().filter(others).count();
        let beyond = self.places.saturating_sub(places_sold);
        self.oversold.saturating_add(u32::try_from(others).unwrap_or(u32::MAX)).saturating_add(beyond)
    }
}

/// The figures at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) fans: u32,
    /// The fans who are still to come.
    pub(super) to_come: u32,
    /// The time until the first fan comes; absent once it has come.
    pub(super) begins_in: Option<Duration>,
    pub(super) waiting: u32,
    pub(super) active: u32,
    pub(super) active_max: u32,
    pub(super) seats: Counts,
    /// Admissions per minute, over the last ten seconds.
    pub(super) per_minute: u32,
    /// The median and the longest wait.
    pub(super) waited: Option<(Duration, Duration)>,
    pub(super) gone: u32,
    pub(super) home: BTreeMap<Outcome, u32>,
}

impl Figures {
    /// Takes the fans' figures. The engine's are set by the caller.
    pub(super) fn of(tally: &Tally, fans: u32, seats: Counts) -> Self {
        Self {
            fans,
            to_come: 0,
            begins_in: None,
            waiting: 0,
            active: 0,
            active_max: 0,
            seats,
            per_minute: 0,
            waited: tally.waited(),
            gone: tally.gone(),
            home: tally.home.clone(),
        }
    }

    /// Describes how fast the line moves.
    pub(super) fn pace(&self) -> String {
        if let Some(begins_in) = self.begins_in {
            return format!("the first fans come in {}: be there before them", spoken(begins_in));
        }
        let waited = self.waited.map_or_else(
            || "nobody let in has come yet".to_owned(),
            |(median, longest)| format!("wait: median {}, longest {}", spoken(median), spoken(longest)),
        );
        format!("{} let in a minute · {waited}", grouped(self.per_minute))
    }

    /// Counts the outcomes of the fans who have gone home.
    pub(super) fn endings(&self) -> String {
        let ended = Outcome::ALL.iter().filter_map(|outcome| {
            let count = self.home.get(outcome)?;
            Some(format!("{} {}", grouped(*count), outcome.as_str()))
        });
        ended.collect::<Vec<_>>().join(" · ")
    }
}

/// Returns the summary. `owner` returns the owner of a seat, and `places_sold` is how many places of areas are sold, as the engine has it.
pub(super) fn summary(
    tally: &Tally,
    figures: &Figures,
    took: Duration,
    owner: impl Fn(Seat) -> Option<UserId>,
    places_sold: u32,
) -> String {
    let fans = count_grouped(figures.fans, "fan");
    let mut text = if figures.gone == figures.fans {
        format!("\nThe crowd has gone home: {fans} in {}\n", spoken(took))
    } else {
        let gone = grouped(figures.gone);
        format!("\nThe crowd was sent home after {}: {gone} of {fans} were through\n", spoken(took))
    };
    let mut line = |name: &str, number: u32, meaning: &str| add_line(&mut text, name, number, meaning);
    let paid = u32::try_from(tally.owners.len()).unwrap_or(u32::MAX);

    for outcome in Outcome::ALL {
        match (outcome, tally.home.get(&outcome).copied()) {
            (Outcome::Paid, number) => {
                let places = count_grouped(tally.places, "place");
                let places = if tally.places > 0 { format!(" and {places} of areas") } else { String::new() };
                let meaning = format!("for {}{places}", count_grouped(paid, "seat"));
                line(outcome.as_str(), number.unwrap_or_default(), &meaning);
            }
            (_, Some(number)) => line(outcome.as_str(), number, outcome.meaning()),
            (_, None) => {}
        }
    }

    text.push('\n');
    let mut line = |name: &str, number: u32, meaning: &str| add_line(&mut text, name, number, meaning);
    let Counts { available, held, reserved, blocked } = figures.seats;
    let off_sale = if blocked > 0 { format!(", {} off sale", grouped(blocked)) } else { String::new() };
    let sold =
        format!("{} sold, {} held, {} free{off_sale}", grouped(reserved), grouped(held), grouped(available));
    line("seats", figures.seats.total(), &sold);

    let oversold = tally.oversold(owner, places_sold);
    let meaning = if oversold == 0 {
        "each seat paid for has one owner; the engine agrees"
    } else {
        "a bug: please report it, with the data directory"
    };

    line("oversold", oversold, meaning);
    line("collisions", tally.beaten, "times another was faster to the chosen seats");
    if tally.busy > 0 {
        line("busy", tally.busy, "times the engine said \"later\", and they came again");
    }

    let (median, longest) = figures.waited.unwrap_or_default();
    let came = u32::try_from(tally.waits.len()).unwrap_or(u32::MAX);
    let waits = format!("waited {} (the median), at most {}", spoken(median), spoken(longest));
    line("let in", came, &waits);
    text
}

fn add_line(text: &mut String, name: &str, number: u32, meaning: &str) {
    let line = format!("  {name:<13}{:>7}  {meaning}", grouped(number));
    text.push_str(line.trim_end());
    text.push('\n');
}

/// Writes a number with a comma between thousands.
pub(super) fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn count_grouped(number: u32, word: &str) -> String {
    let plain = count(u64::from(number), word);
    plain.replacen(&number.to_string(), &grouped(number), 1)
}

/// Writes a time for a person: `0.4 s`, `41 s`, `2 min 3 s`.
pub(super) fn spoken(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{seconds}.{} s", time.subsec_millis() / 100),
        10..60 => format!("{seconds} s"),
        60.. => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::parse(name).unwrap()
    }

    #[test]
    fn numbers_and_times_are_written_as_one_reads_them() {
        assert_eq!([7, 999, 1_000, 1_234_567].map(grouped), ["7", "999", "1,000", "1,234,567"]);
        let times = [0, 400, 9_999, 10_000, 123_000].map(|millis| spoken(Duration::from_millis(millis)));
        assert_eq!(times, ["0.0 s", "0.4 s", "9.9 s", "10 s", "2 min 3 s"]);
        assert_eq!([count_grouped(1, "fan"), count_grouped(5_000, "fan")], ["1 fan", "5,000 fans"]);
    }

    #[test]
    fn a_seat_that_two_paid_for_or_that_is_anothers_is_oversold() {
        let mut tally = Tally::default();
        tally.pay(&user("a"), &[Seat(1), Seat(2)], 0);
        tally.pay(&user("a"), &[Seat(2)], 0);
        tally.pay(&user("b"), &[Seat(3)], 0);
        // One that was given back since has no owner.
        let owner = |seat: Seat| (seat.0 != 2).then(|| user(if seat.0 == 3 { "b" } else { "a" }));
        assert_eq!(tally.oversold(owner, 0), 0);
        assert_eq!(tally.oversold(|seat| Some(user(if seat.0 == 3 { "c" } else { "a" })), 0), 1);
        tally.pay(&user("b"), &[Seat(1)], 0);
        assert_eq!(tally.oversold(|_| None, 0), 1);
    }

    #[test]
    fn places_of_areas_that_fans_paid_for_are_sold_or_oversold() {
        let mut tally = Tally::default();
        tally.pay(&user("a"), &[], 3);
        tally.pay(&user("b"), &[Seat(1)], 2);
        assert_eq!(tally.oversold(|_| None, 5), 0);
        assert_eq!(tally.oversold(|_| None, 4), 1);
        let figures = Figures::of(&tally, 2, Counts { available: 0, held: 0, reserved: 6, blocked: 0 });
        let text = summary(&tally, &figures, Duration::from_secs(1), |_| None, 5);
        assert!(text.contains("for 1 seat and 5 places of areas\n"), "{text}");
    }

    #[test]
    fn the_summary_says_what_became_of_everyone() {
        let mut tally = Tally::default();
        for seconds in [3, 1, 65] {
            tally.wait(Duration::from_secs(seconds));
        }
        tally.pay(&user("a"), &[Seat(1), Seat(2)], 0);
        for outcome in [Outcome::Paid, Outcome::GaveUp, Outcome::SoldOut, Outcome::SoldOut] {
            tally.go_home(outcome);
        }
        let seats = Counts { available: 0, held: 1, reserved: 1_234, blocked: 2 };
        let figures = Figures::of(&tally, 4, seats);
        assert_eq!(figures.endings(), "1 paid · 2 sold out · 1 gave up");
        assert_eq!(figures.pace(), "0 let in a minute · wait: median 3.0 s, longest 1 min 5 s");
        let text = summary(&tally, &figures, Duration::from_secs(90), |_| Some(user("a")), 0);
        for part in [
            "The crowd has gone home: 4 fans in 1 min 30 s\n",
            "  paid               1  for 2 seats\n",
            "  sold out           2  went home from the line",
            "  seats          1,237  1,234 sold, 1 held, 0 free, 2 off sale\n",
            "  oversold           0  each seat",
            "  let in             3  waited 3.0 s (the median), at most 1 min 5 s\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!text.contains("turned away") && !text.contains("busy"), "{text}");
        let cut = Figures::of(&tally, 5, seats);
        let text = summary(&tally, &cut, Duration::from_secs(7), |_| None, 0);
        assert!(text.contains("was sent home after 7.0 s: 4 of 5 fans were through"), "{text}");
    }
}
