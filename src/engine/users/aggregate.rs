//! The users as an aggregate, and the table of those who may not act.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use dashmap::DashSet;

use crate::domain::ids::UserId;
use crate::domain::keys::KeyUse;
use crate::domain::time::Timestamp;
use crate::domain::users::{Answer, Command, Event, User, UserStatus, Users};
use crate::engine::core::Core;
use crate::engine::error::EngineError;
use crate::engine::live::{Aggregate, KeyLookup, Live};
use crate::record::FactRef;

impl Aggregate for Users {
    type Command = Command;
    type Event = Event;
    /// The user of an answer, with the present profile; one who was deleted since has none.
    type Answer = User;
    type View = Barred;
    type Own = ();

    fn title(&self) -> String {
        "users".to_owned()
    }

    fn version(&self) -> u64 {
        self.version()
    }

    fn last_instant(&self) -> Timestamp {
        self.last_instant()
    }

    fn name(command: &Self::Command) -> &'static str {
        command.name()
    }

    fn find(&self, key: KeyUse, now: Timestamp) -> Option<KeyLookup<Self::Answer>> {
        self.find_key(key, now).map(|found| KeyLookup::of(&found, |answer| shown(self, answer)))
    }

    fn decide(
        &self,
        command: &Self::Command,
        _: Timestamp,
        _: &Core,
    ) -> Result<Option<Self::Event>, EngineError> {
        Ok(self.decide(command)?)
    }

    fn apply(&mut self, event: &Self::Event, at: Timestamp, key: Option<KeyUse>) {
        self.apply(event, at, key);
    }

    fn kept(&self, command: &Self::Command) -> Self::Event {
        Event::KeyKept { user: command.user().clone() }
    }

    fn answer(&self, _: &Self::Command, event: &Self::Event) -> Self::Answer {
        shown(self, &self.answer(event))
    }

    fn fact<'a>(&self, event: &'a Self::Event) -> FactRef<'a> {
        FactRef::User(event)
    }

    fn own(&self, _: &Live<Self>) {}

    fn follow(live: &Live<Self>, event: &Self::Event, _: &Core) {
        live.view.follow(event);
    }
}

fn shown(users: &Users, answer: &Answer) -> User {
    let user = users.find(&answer.user).expect("who was answered about is known");
    User { status: answer.status, ..user.clone() }
}

/// Who may not act: suspended or deleted.
#[derive(Debug, Default)]
pub(in crate::engine) struct Barred {
    users: DashSet<UserId>,
    /// How many these are.
    len: AtomicUsize,
}

impl Barred {
    pub(super) fn contains(&self, user: &str) -> bool {
        self.len.load(Ordering::Acquire) > 0 && self.users.contains(user)
    }

    fn put(&self, user: &UserId, barred: bool) {
        if barred {
            self.users.insert(user.clone());
        } else {
            self.users.remove(user);
        }
        self.len.store(self.users.len(), Ordering::Release);
    }

    /// Follows an event that has just become durable. Called by the journal, in order.
    fn follow(&self, event: &Event) {
        match event {
            Event::SignedUp { .. } => metrics::counter!("onsale_sign_ups_total").increment(1),
            Event::Suspended { user } | Event::Deleted { user } => self.put(user, true),
            Event::Reinstated { user } => self.put(user, false),
            Event::PasswordReplaced { .. } | Event::KeyKept { .. } => {}
        }
    }
}

/// Makes the entry of users whose whole state is durable.
pub(in crate::engine) fn live_users(users: Users) -> Arc<Live<Users>> {
    let barred = Barred::default();
    for user in users.iter() {
        match user.status {
            UserStatus::Active => {}
            UserStatus::Suspended | UserStatus::Deleted => barred.put(&user.id, true),
        }
    }
    let version = users.version();
    Arc::new(Live::new(users, barred, version))
}
