//! The one table of rights. Every route checks it by the extractor in its signature.

use serde::{Deserialize, Serialize};

/// The role of a token, from its claim `role`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Buys seats.
    User,
    /// Does everything.
    Admin,
    /// Runs sales and waiting rooms.
    Operator,
    /// Reads everything and changes nothing.
    Auditor,
    /// Reads the feed of events and nothing else.
    Feed,
    /// Sells at the box office.
    BoxOffice,
}

/// A right that a role has or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Right {
    /// Be a customer: wait, hold, pay, give back, put money in.
    Buy,
    /// Sell at the box office.
    Sell,
    /// Give a reservation back that one may touch.
    GiveBack,
    /// Read a reservation or a payment that one may see.
    ReadOne,
    /// Read all that is one's own.
    ReadOwn,
    /// Read what is anyone's, and export it.
    ReadAll,
    /// See how sales and rooms go, and went.
    WatchSales,
    /// Open, close and cancel a sale, take seats off it, and run its room.
    RunSales,
    /// Take tickets to event streams, each of which asks for its own right.
    OpenStreams,
    /// Follow the journal as a feed.
    FollowEvents,
    /// All else: catalogue, users, others' money and reservations, snapshots.
    Administer,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] =
        [Self::User, Self::Admin, Self::Operator, Self::Auditor, Self::Feed, Self::BoxOffice];

    /// Returns what the role may do.
    pub const fn rights(self) -> &'static [Right] {
        match self {
            Self::User => &[Right::Buy, Right::GiveBack, Right::ReadOne, Right::ReadOwn, Right::OpenStreams],
            Self::Admin => &[
                Right::Buy,
                Right::Sell,
                Right::GiveBack,
                Right::ReadOne,
                Right::ReadOwn,
                Right::ReadAll,
                Right::WatchSales,
                Right::RunSales,
                Right::OpenStreams,
                Right::FollowEvents,
                Right::Administer,
            ],
            Self::Operator => &[Right::WatchSales, Right::RunSales, Right::OpenStreams],
            Self::Auditor => &[
                Right::ReadOne,
                Right::ReadOwn,
                Right::ReadAll,
                Right::WatchSales,
                Right::OpenStreams,
                Right::FollowEvents,
            ],
            Self::Feed => &[Right::OpenStreams, Right::FollowEvents],
            Self::BoxOffice => &[Right::Sell, Right::GiveBack, Right::ReadOne],
        }
    }

    /// Says whether the role may do something.
    pub fn may(self, right: Right) -> bool {
        self.rights().contains(&right)
    }

    /// Returns the word that the claim has.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
            Self::Feed => "feed",
            Self::BoxOffice => "box_office",
        }
    }
}
