//! The bucket of leases: a stream in the servers' memory with one message a node and one a lane, and every request to it.
//!
//! Each message replaces the one before by compare-and-set, so the node's own one says whether the bucket is still what it was: only its
//! process writes it, and a bucket that has less of it has forgotten.
//!
//! Absent on purpose: decisions. A request that brought nothing says why, and is made again at the next turn.

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::super::super::config::Clock;
use super::super::super::lane::{Message, Published};
use super::super::names::Names;
use super::super::session::{Dated, NO_STREAM, NoAnswer, Session};
use super::record::{Boot, Hint, NodeRecord};
use super::rules::{Picture, SILENCE};
use crate::cluster::Moment;

/// How long a request may take: several fit into the time for which a renewal counts.
const ANSWER_IN: Duration = Duration::from_millis(400);
/// How often a server that is behind is asked again.
const LOOKS_MAX: u32 = 40;
const LOOK_PAUSE: Duration = Duration::from_millis(5);
/// How many messages there may be.
const MESSAGES_MAX: u32 = 1_024;
/// How often a node looks whether another process has its name.
const WATCH_PAUSE: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct Bucket {
    pub(super) session: Arc<Session>,
    pub(super) names: Names,
    /// With which its stream is made, where it isn't there.
    pub(super) settings: Value,
    pub(super) clock: Clock,
    pub(super) node: String,
    pub(super) boot: Boot,
    /// The sequence of the own record; 0 before there is one.
    pub(super) own: u64,
}

/// What became of a renewal.
#[derive(Debug)]
pub(super) enum Renewed {
    /// It is there, and the bucket is what it was.
    There,
    /// The bucket has lost the own record.
    Forgotten,
    /// Another process has written in its place.
    NameTaken(NodeRecord),
    /// Nothing is known.
    Unknown(String),
}

/// Who had this node's name before.
#[derive(Debug)]
pub(super) enum Former {
    /// Nobody that the bucket knows of.
    Unknown,
    /// A process that has ended, or is silent for so long that nothing of it counts.
    Over,
    /// A process that is alive.
    Alive(NodeRecord),
}

fn json(of: &impl Serialize) -> Bytes {
    serde_json::to_vec(of).expect("it is made of texts and numbers").into()
}

/// Waits for an answer, but not for long.
async fn in_time<T>(answer: impl Future<Output = Result<T, NoAnswer>>) -> Result<T, String> {
    match tokio::time::timeout(ANSWER_IN, answer).await {
        Ok(answer) => answer.map_err(|error| error.what),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

impl Bucket {
    /// Watches the record of this node's name for as long as its lease would count, and takes it over once nobody renews it.
    pub(super) async fn watch_name(&mut self) -> Result<Former, String> {
        let mut first: Option<(u64, Moment)> = None;
        loop {
            let (live, subject) = (self.names.live.clone(), self.names.node(&self.node));
            let Some(Message { sequence, bytes, .. }) = in_time(self.session.last(&live, &subject)).await?
            else {
                return Ok(Former::Unknown);
            };
            let record: NodeRecord =
                serde_json::from_slice(&bytes).map_err(|error| format!("the record {subject}: {error}"))?;
            let (seen, since) = *first.get_or_insert((sequence, Moment::now()));
            if seen != sequence && !record.left {
                return Ok(Former::Alive(record));
            }
            if record.left || Moment::now().since(since) > SILENCE {
                self.own = sequence;
                return Ok(Former::Over);
            }
            tokio::time::sleep(WATCH_PAUSE).await;
        }
    }

    /// Renews the lease.
    pub(super) async fn renew(&mut self, record: &NodeRecord) -> Renewed {
        let (subject, message) = (self.names.node(&self.node), json(record));
        let published = async { Ok(self.session.publish(&subject, self.own, &[message]).await) };
        match in_time(published).await {
            Ok(Published::At(sequence)) => {
                self.own = sequence;
                Renewed::There
            }
            Ok(Published::Behind) => self.find_own(&subject).await,
            Ok(Published::Unknown(why) | Published::Refused(why)) => self.find_stream(why).await,
            Err(why) => Renewed::Unknown(why),
        }
    }

    /// Finds out why the own record isn't the one that it was.
    async fn find_own(&mut self, subject: &str) -> Renewed {
        let found = match in_time(self.session.last(&self.names.live, subject)).await {
            Ok(found) => found,
            Err(why) => return Renewed::Unknown(why),
        };
        let Some(Message { sequence, bytes, .. }) = found else {
            self.own = 0;
            return Renewed::Forgotten;
        };
        match serde_json::from_slice::<NodeRecord>(&bytes) {
            Ok(record) if record.boot != self.boot => Renewed::NameTaken(record),
            Err(error) => Renewed::Unknown(format!("the record {subject}: {error}")),
            Ok(_) if sequence < self.own => {
                self.own = sequence;
                Renewed::Forgotten
            }
            Ok(_) => {
                // An earlier one landed, and its answer was lost.
                self.own = sequence;
                Renewed::Unknown("an earlier renewal came late".to_owned())
            }
        }
    }

    /// Makes the stream again where it is gone.
    async fn find_stream(&mut self, why: String) -> Renewed {
        let info = tokio::time::timeout(ANSWER_IN, self.session.info(&self.names.live, None)).await;
        if !matches!(info, Ok(Err(NoAnswer { code: Some(NO_STREAM), .. }))) {
            return Renewed::Unknown(why);
        }
        let api = format!("STREAM.CREATE.{}", self.names.live);
        match in_time(self.session.call::<Value>(&api, &self.settings)).await {
            Ok(_) => {
                self.own = 0;
                Renewed::Forgotten
            }
            Err(why) => Renewed::Unknown(why),
        }
    }

    /// Puts the lane's hint in the place of the one with a sequence. What became of it is seen in the next picture.
    pub(super) async fn put_hint(&self, last: u64, hint: &Hint) -> bool {
        let (subject, message) = (self.names.hint(), json(hint));
        let published = async { Ok(self.session.publish(&subject, last, &[message]).await) };
        matches!(in_time(published).await, Ok(Published::At(_)))
    }

    /// Deletes a node's record up to a sequence: not the one that it may write at this moment. What isn't deleted now is at the next turn.
    pub(super) async fn forget(&self, node: &str, sequence: u64) {
        let subject = self.names.node(node);
        match in_time(self.session.purge(&self.names.live, &subject, Some(sequence + 1))).await {
            Ok(()) => tracing::info!(node, "this node has said nothing for an hour, and is forgotten"),
            Err(why) => tracing::debug!(node, %why, "the record of a node that is gone isn't deleted"),
        }
    }

    /// Reads everything behind the own renewal, which was sent at `sent`, when the clock said `wall`.
    pub(super) async fn look(&self, sent: Moment, wall: u64) -> Result<Picture, String> {
        let (live, all) = (&self.names.live, self.names.leases());
        for _ in 0..LOOKS_MAX {
            let found = in_time(self.session.all_of(live, &all, MESSAGES_MAX)).await?;
            if let Some(own) = found.iter().find(|found| found.message.sequence == self.own) {
                let clock_apart = apart(&own.stored_at, wall, (self.clock)());
                return self.picture(sent, clock_apart, found);
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        Err("a server that is behind answers".to_owned())
    }

    fn picture(&self, sent: Moment, clock_apart: Duration, found: Vec<Dated>) -> Result<Picture, String> {
        let (mut nodes, mut hint) = (Vec::new(), None);
        let own = self.names.hint();
        for Dated { message: Message { sequence, subject, bytes }, .. } in found {
            let wrong = |error| format!("the message {sequence} ({subject}): {error}");
            if subject == own {
                hint = Some((sequence, serde_json::from_slice(&bytes).map_err(wrong)?));
            } else if self.names.is_node(&subject) {
                nodes.push((sequence, serde_json::from_slice(&bytes).map_err(wrong)?));
            }
        }
        Ok(Picture { sent, came: Moment::now(), nodes, hint, clock_apart })
    }
}

/// Returns how far a clock is from the servers', which stored a message between two of its instants.
fn apart(stored_at: &str, sent: u64, came: u64) -> Duration {
    let Ok(stored) = stored_at.parse::<jiff::Timestamp>() else { return Duration::ZERO };
    let stored = u64::try_from(stored.as_millisecond()).unwrap_or(0);
    Duration::from_millis(sent.saturating_sub(stored).max(stored.saturating_sub(came)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::super::servers::{LOGIN, Servers};
    use super::super::super::settings::StreamLogin;
    use super::super::record::Form;
    use super::*;

    fn bucket(session: &Arc<Session>, node: &str, boot: u128) -> (Bucket, NodeRecord) {
        let form = Form { version: String::new(), formats: String::new(), settings: String::new() };
        let (node, boot) = (node.to_owned(), Boot(boot));
        let record = NodeRecord {
            node: node.clone(),
            boot,
            address: String::new(),
            form,
            draining: false,
            left: false,
            holds: BTreeMap::new(),
        };
        let names = Names::of("test");
        let settings = serde_json::json!({
            "name": names.live, "subjects": [names.leases()], "storage": "memory", "max_msgs_per_subject": 1, "allow_direct": true,
        });
        let session = Arc::clone(session);
        (Bucket { session, names, settings, clock: Arc::new(|| 0), node, boot, own: 0 }, record)
    }

    #[tokio::test]
    async fn a_record_is_deleted_up_to_what_was_known_of_it_and_its_node_comes_back_as_a_new_one() {
        let Some(servers) = Servers::start(1) else { return };
        let (user, password) = LOGIN;
        let login = StreamLogin::Password { user: user.to_owned(), password: password.to_owned() };
        let session = Session::connect(&servers.urls(), Some(&login), None, "test").unwrap();
        let (mut owner, of_owner) = bucket(&session, "owner", 1);
        let (mut other, of_other) = bucket(&session, "other.1", 2);
        // The first finds no stream, and makes it.
        assert!(matches!(owner.renew(&of_owner).await, Renewed::Forgotten));
        for _ in 0..2 {
            assert!(matches!(owner.renew(&of_owner).await, Renewed::There));
            assert!(matches!(other.renew(&of_other).await, Renewed::There));
        }
        let known = async |owner: &Bucket| {
            let picture = owner.look(Moment::now(), 0).await.unwrap();
            picture
                .nodes
                .into_iter()
                .find(|(_, record)| record.node == "other.1")
                .map(|(sequence, _)| sequence)
        };

        let newest = known(&owner).await.unwrap();
        owner.forget("other.1", newest - 1).await;
        assert_eq!(known(&owner).await, Some(newest), "it has renewed its lease meanwhile");
        owner.forget("other.1", newest).await;
        assert_eq!(known(&owner).await, None);
        assert!(matches!(owner.renew(&of_owner).await, Renewed::There), "nobody else's is deleted");

        assert!(matches!(other.renew(&of_other).await, Renewed::Forgotten));
        assert!(matches!(other.renew(&of_other).await, Renewed::There));
        assert!(known(&owner).await.is_some());
    }

    #[test]
    fn a_clock_is_apart_by_what_no_way_there_and_back_explains() {
        let stored = "1970-01-01T00:00:10.250123456Z";
        let apart = |sent, came| apart(stored, sent, came).as_millis();
        assert_eq!([apart(10_200, 10_300), apart(10_250, 10_250)], [0, 0]);
        assert_eq!([apart(9_000, 9_050), apart(11_000, 11_050)], [1_200, 750]);
    }
}
