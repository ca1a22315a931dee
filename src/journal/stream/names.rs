//! The names of a cluster's streams and subjects.

use super::super::position::Position;

/// The region of a log that was never promoted elsewhere.
const GENERATION: u64 = 1;
/// The one lane that holds everything.
pub(super) const LANE: &str = "all";

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// The log's stream.
    pub(super) log: String,
    /// The stream of snapshots and the mark.
    pub(super) rest: String,
    /// The stream of leases.
    pub(super) live: String,
    /// Matches the subjects of the log's frames: each life has one.
    pub(super) lane: String,
    prefix: String,
}

impl Names {
    pub(super) fn of(cluster: &str) -> Self {
        let prefix = format!("onsale.{cluster}.{GENERATION}");
        Self {
            log: format!("ONSALE_{cluster}"),
            rest: format!("ONSALE_{cluster}_SNAP"),
            live: format!("ONSALE_{cluster}_LIVE"),
            lane: format!("{prefix}.log.{LANE}.>"),
            prefix,
        }
    }

    /// Returns the subject of the frames of one life.
    pub(super) fn frames(&self, boot: u128) -> String {
        format!("{}.log.{LANE}.{boot:032x}", self.prefix)
    }

    /// Returns the subject whose last message is the mark of a life.
    pub(super) fn mark(&self, boot: u128) -> String {
        format!("{}.mark.{LANE}.{boot:032x}", self.prefix)
    }

    /// Returns the subjects of all lives' marks.
    pub(super) fn marks(&self) -> String {
        format!("{}.mark.{LANE}.*", self.prefix)
    }

    /// Returns which life's frames or mark have this subject.
    pub(super) fn boot(subject: &str) -> Option<u128> {
        u128::from_str_radix(subject.rsplit('.').next()?, 16).ok()
    }

    /// Returns what the log's stream takes.
    pub(super) fn log_subjects(&self) -> Vec<String> {
        vec![format!("{}.log.>", self.prefix)]
    }

    /// Returns what the other stream takes.
    pub(super) fn rest_subjects(&self) -> Vec<String> {
        vec![format!("{}.snap.>", self.prefix), format!("{}.mark.>", self.prefix)]
    }

    /// Returns the subjects of all leases: what the stream of them takes.
    pub(super) fn leases(&self) -> String {
        format!("{}.live.>", self.prefix)
    }

    /// Returns the subject of a node's record. Its name may have anything in it.
    pub(super) fn node(&self, name: &str) -> String {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let word = name.bytes().fold(String::new(), |word, byte| match byte {
            byte if plain(&byte) => word + char::from(byte).encode_utf8(&mut [0; 4]),
            byte => word + &format!("={byte:02x}"),
        });
        format!("{}.live.node.{word}", self.prefix)
    }

    /// Tells whether a subject of [`Names::leases`] is a node's record.
    pub(super) fn is_node(&self, subject: &str) -> bool {
        subject.strip_prefix(&self.prefix).is_some_and(|rest| rest.starts_with(".live.node."))
    }

    /// Returns the subject of the lane's hint.
    pub(super) fn hint(&self) -> String {
        format!("{}.live.lane.{LANE}", self.prefix)
    }

    /// Returns the subject of everything that belongs to snapshots.
    pub(super) fn snapshots(&self) -> String {
        format!("{}.snap.{LANE}.>", self.prefix)
    }

    /// Returns the subjects of all manifests.
    pub(super) fn manifests(&self) -> String {
        format!("{}.snap.{LANE}.*.manifest", self.prefix)
    }

    /// Returns the subject of a snapshot's manifest.
    pub(super) fn manifest(&self, position: Position) -> String {
        format!("{}.snap.{LANE}.{position}.manifest", self.prefix)
    }

    /// Returns the subject of a part of a snapshot, as one attempt wrote it.
    pub(super) fn part(&self, position: Position, attempt: u64, part: u32) -> String {
        format!("{}.snap.{LANE}.{position}.{attempt:016x}.{part}", self.prefix)
    }

    /// Returns the subjects of all parts of an attempt.
    pub(super) fn parts(&self, position: Position, attempt: u64) -> String {
        format!("{}.snap.{LANE}.{position}.{attempt:016x}.*", self.prefix)
    }

    /// Reads the position and, of a part, the attempt in a subject of [`Names::snapshots`].
    pub(super) fn read_snapshot(&self, subject: &str) -> Option<(Position, Option<u64>)> {
        let rest = subject.strip_prefix(&format!("{}.snap.{LANE}.", self.prefix))?;
        let mut words = rest.split('.');
        let position = Position::new(words.next()?.parse().ok()?);
        match words.next()? {
            "manifest" => Some((position, None)),
            attempt => Some((position, Some(u64::from_str_radix(attempt, 16).ok()?))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_of_different_names_have_different_subjects() {
        let names = Names::of("tickets");
        assert_eq!(names.node("node-1_a"), "onsale.tickets.1.live.node.node-1_a");
        assert_eq!(names.node("a.b c"), "onsale.tickets.1.live.node.a=2eb=20c");
        assert_eq!(names.node("a=2eb"), "onsale.tickets.1.live.node.a=3d2eb");
    }
}
