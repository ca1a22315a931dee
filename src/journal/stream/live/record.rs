//! What stands in the bucket of leases: a record a node, and a hint a lane, as JSON whose unknown fields are skipped.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Tells two processes of one node apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Boot(pub(super) u128);

impl Serialize for Boot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:032x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Boot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(Self).map_err(D::Error::custom)
    }
}

/// What a process would make of the log: two that differ in it don't take over from each other while others can.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Form {
    /// The version of its program.
    pub(super) version: String,
    /// The formats that it writes.
    pub(super) formats: String,
    /// A digest of those settings that become events.
    pub(super) settings: String,
}

impl Form {
    /// Names what differs.
    pub(super) fn differs_from(&self, other: &Self) -> &'static str {
        if self.version != other.version {
            "its version"
        } else if self.formats != other.formats {
            "its formats"
        } else {
            "its settings (limits.ended_retention_days, limits.idempotency_keys_max, limits.unpaid_holds_per_hour or archive.after)"
        }
    }
}

/// A node's record. Each time that it is written is a renewal of the node's lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NodeRecord {
    pub(super) node: String,
    pub(super) boot: Boot,
    /// Where its API is reached.
    pub(super) address: String,
    pub(super) form: Form,
    /// Whether it takes nothing any more, and is about to let go what it has.
    #[serde(default)]
    pub(super) draining: bool,
    /// Whether the process has ended: it answers nothing any more, and never will.
    #[serde(default)]
    pub(super) left: bool,
    /// The lanes that it claims or holds, with its life's epoch. It answers reads of no others.
    #[serde(default)]
    pub(super) holds: BTreeMap<String, u64>,
}

/// How far a claim is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum HintStage {
    /// Its life has begun in the log, and it waits until no owner before it answers.
    Claims,
    /// It serves.
    Serves,
    /// It has let the lane go, and answers nothing of it any more.
    Released,
}

/// Says who claimed a lane last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hint {
    pub(super) lane: String,
    pub(super) node: String,
    pub(super) boot: Boot,
    /// The life that it began in the log.
    pub(super) epoch: u64,
    pub(super) stage: HintStage,
    pub(super) form: Form,
}

impl Hint {
    /// Tells whether it is about a claim of this process.
    pub(super) fn is_by(&self, record: &NodeRecord) -> bool {
        (self.boot, &self.node) == (record.boot, &record.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_what_a_later_version_adds_is_skipped() {
        let form = Form { version: "1.2.3".to_owned(), formats: "1.1".to_owned(), settings: "ab".to_owned() };
        let hint = Hint {
            lane: "all".to_owned(),
            node: "node-a".to_owned(),
            boot: Boot(u128::MAX - 5),
            epoch: 7,
            stage: HintStage::Claims,
            form: form.clone(),
        };
        let text = serde_json::to_string(&hint).unwrap();
        assert_eq!(serde_json::from_str::<Hint>(&text).unwrap(), hint);

        let text = r#"{"node":"a","boot":"00ff","address":"http://x","form":{"version":"1.2.3","formats":"1.1","settings":"ab"},"new":1}"#;
        let record: NodeRecord = serde_json::from_str(text).unwrap();
        assert_eq!((record.boot, &record.form, record.left), (Boot(255), &form, false));
        assert!(record.holds.is_empty());
        assert!(serde_json::from_str::<Hint>(&text.replace("00ff", "node")).is_err());
    }
}
