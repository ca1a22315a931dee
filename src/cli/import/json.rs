//! JSON whose values know where they stand, so that an error names its line, its column and its path.
//!
//! `serde_json` says where a text isn't JSON, but not where a value was that turned out wrong later. This reader takes only what
//! `serde_json` has accepted, so it has no errors of its own, and goes no deeper than `serde_json` does.

use core::fmt::Write as _;
use std::borrow::Cow;

use serde::de::IgnoredAny;

use super::wrong::Wrong;

/// A JSON text.
pub(super) struct Json<'t> {
    text: &'t str,
    root: Node<'t>,
}

/// A value of a JSON text.
pub(super) struct Node<'t> {
    /// Where it begins, in bytes.
    at: usize,
    kind: Kind<'t>,
}

/// What a value is.
enum Kind<'t> {
    Null,
    Flag(bool),
    /// As it stands in the text.
    Number(&'t str),
    Text(Cow<'t, str>),
    List(Vec<Node<'t>>),
    Object(Vec<(Cow<'t, str>, Node<'t>)>),
}

/// The place of a value for a reader: line and column from 1, and the path from the whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) path: String,
}

impl<'t> Json<'t> {
    /// Reads a text.
    ///
    /// # Errors
    /// Why the text isn't JSON, with line and column.
    pub(super) fn parse(text: &'t str) -> Result<Self, serde_json::Error> {
        serde_json::from_str::<IgnoredAny>(text)?;
        let mut reader = Scanner { text, at: 0 };
        let root = reader.value();
        Ok(Self { text, root })
    }

    /// Returns the whole.
    pub(super) const fn root(&self) -> &Node<'t> {
        &self.root
    }

    /// Tells where a value stands: [`Node::at`] of one of this text's.
    pub(super) fn place(&self, at: usize) -> Place {
        let before = &self.text[..at];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let mut path = String::new();
        let mut node = &self.root;
        // Values stand in order, so the last one that begins at or before the place holds it, or is it.
        while node.at < at {
            match &node.kind {
                Kind::List(items) => {
                    let index = items.partition_point(|item| item.at <= at).saturating_sub(1);
                    let Some(item) = items.get(index) else { break };
                    write!(path, "[{index}]").expect("a string takes all");
                    node = item;
                }
                Kind::Object(members) => {
                    let index = members.partition_point(|(_, value)| value.at <= at).saturating_sub(1);
                    let Some((name, value)) = members.get(index) else { break };
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(name);
                    node = value;
                }
                Kind::Null | Kind::Flag(_) | Kind::Number(_) | Kind::Text(_) => break,
            }
        }
        Place {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            path,
        }
    }
}

impl Node<'_> {
    /// Where it begins, in bytes; for [`Json::place`].
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// Tells whether it is an object.
    pub(super) const fn is_object(&self) -> bool {
        matches!(self.kind, Kind::Object(_))
    }

    /// Tells whether it is a list.
    pub(super) const fn is_list(&self) -> bool {
        matches!(self.kind, Kind::List(_))
    }

    /// Returns a member of an object. An absent one and null are the same.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        let Kind::Object(members) = &self.kind else { return None };
        let (_, value) = members.iter().find(|(member, _)| member == name)?;
        (!matches!(value.kind, Kind::Null)).then_some(value)
    }

    /// Returns the names of an object's members.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let members = if let Kind::Object(members) = &self.kind { members.as_slice() } else { &[] };
        members.iter().map(|(name, _)| &**name)
    }

    /// Returns a member that must be there.
    pub(super) fn needed(&self, name: &str, wrong: &mut Wrong<usize>) -> Option<&Self> {
        let member = self.member(name);
        if member.is_none() {
            wrong.note(self.at, format!("needs {name}"));
        }
        member
    }

    /// Returns the items of a list that is a member. One that is absent has none.
    pub(super) fn list(&self, name: &str, wrong: &mut Wrong<usize>) -> &[Self] {
        match self.member(name) {
            Some(Self { kind: Kind::List(items), .. }) => items,
            Some(other) => {
                wrong.note(other.at, "must be a list");
                &[]
            }
            None => &[],
        }
    }

    /// Returns its text, or its number as a text: labels and keys are written as either.
    pub(super) fn label(&self, wrong: &mut Wrong<usize>) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            Kind::Number(number) => Some(number),
            Kind::Null | Kind::Flag(_) | Kind::List(_) | Kind::Object(_) => {
                wrong.note(self.at, "must be a text");
                None
            }
        }
    }

    /// Returns its number.
    pub(super) fn number(&self, wrong: &mut Wrong<usize>) -> Option<f64> {
        let number = if let Kind::Number(text) = &self.kind { text.parse().ok() } else { None };
        if number.is_none() {
            wrong.note(self.at, "must be a number");
        }
        number
    }

    /// Returns a member that is true or false. One that is absent is false.
    pub(super) fn flag(&self, name: &str, wrong: &mut Wrong<usize>) -> bool {
        match self.member(name) {
            Some(Self { kind: Kind::Flag(flag), .. }) => *flag,
            Some(other) => {
                wrong.note(other.at, "must be true or false");
                false
            }
            None => false,
        }
    }
}

/// Reads a text that is known to be JSON.
struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    fn value(&mut self) -> Node<'t> {
        let at = self.skip_spaces();
        let kind = match self.byte() {
            b'{' => Kind::Object(self.items(|scanner| {
                let name = scanner.string();
                scanner.skip_spaces();
                // The colon.
                scanner.at += 1;
                (name, scanner.value())
            })),
            b'[' => Kind::List(self.items(Self::value)),
            b'"' => Kind::Text(self.string()),
            _ => {
                let rest = &self.text[at..];
                let end = rest.find([',', ']', '}', ' ', '\t', '\n', '\r']).unwrap_or(rest.len());
                self.at += end;
                match &rest[..end] {
                    "null" => Kind::Null,
                    "true" => Kind::Flag(true),
                    "false" => Kind::Flag(false),
                    number => Kind::Number(number),
                }
            }
        };
        Node { at, kind }
    }

    /// Reads what stands between brackets.
    fn items<T>(&mut self, read: impl Fn(&mut Self) -> T) -> Vec<T> {
        let mut items = Vec::new();
        // The opening bracket, and then each comma.
        self.at += 1;
        loop {
            self.skip_spaces();
            match self.byte() {
                b']' | b'}' => break,
                b',' => self.at += 1,
                _ => items.push(read(self)),
            }
        }
        self.at += 1;
        items
    }

    fn string(&mut self) -> Cow<'t, str> {
        let start = self.skip_spaces();
        let mut end = start + 1;
        let bytes = self.text.as_bytes();
        while bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        self.at = end + 1;
        let inside = &self.text[start + 1..end];
        if inside.contains('\\') {
            let text = serde_json::from_str(&self.text[start..=end]);
            Cow::Owned(text.expect("serde_json has read this text"))
        } else {
            Cow::Borrowed(inside)
        }
    }

    /// Goes on to the next value, and returns where it is.
    fn skip_spaces(&mut self) -> usize {
        while matches!(self.byte(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        self.at
    }

    fn byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn to_value(node: &Node<'_>) -> Value {
        match &node.kind {
            Kind::Null => Value::Null,
            Kind::Flag(flag) => (*flag).into(),
            Kind::Number(number) => serde_json::from_str(number).unwrap(),
            Kind::Text(text) => text.as_ref().into(),
            Kind::List(items) => items.iter().map(to_value).collect::<Vec<_>>().into(),
            Kind::Object(members) => {
                members.iter().map(|(name, value)| (name.to_string(), to_value(value))).collect()
            }
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f32>().prop_map(|number| serde_json::json!(f64::from(number))),
            "[a-z\"\\\\\n\u{e9}\u{ac00}{}\\[\\],:]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"\\\\ ]{0,4}", inner, 0..5)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    /// Every value with its path, by the values themselves.
    fn check_places(json: &Json<'_>, node: &Node<'_>, path: &str) {
        let place = json.place(node.at());
        assert_eq!(place.path, path);
        match &node.kind {
            Kind::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    check_places(json, item, &format!("{path}[{index}]"));
                }
            }
            Kind::Object(members) => {
                for (name, value) in members {
                    let dot = if path.is_empty() { "" } else { "." };
                    check_places(json, value, &format!("{path}{dot}{name}"));
                }
            }
            Kind::Null | Kind::Flag(_) | Kind::Number(_) | Kind::Text(_) => {}
        }
    }

    proptest! {
        #[test]
        fn it_reads_what_serde_json_reads_and_knows_every_path(value in any_value(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.unwrap();
            let json = Json::parse(&text).unwrap();
            prop_assert_eq!(to_value(json.root()), serde_json::from_str::<Value>(&text).unwrap());
            check_places(&json, json.root(), "");
        }
    }

    #[test]
    fn a_place_is_a_line_a_column_in_characters_and_a_path() {
        let json = Json::parse("{\"a\": 1,\n \"좌석\": [true, \"x\"]}\n").unwrap();
        let list = json.root().member("좌석").unwrap();
        assert_eq!(json.place(list.at()), Place { line: 2, column: 8, path: "좌석".into() });
        let Kind::List(items) = &list.kind else { panic!("a list") };
        assert_eq!(json.place(items[1].at()), Place { line: 2, column: 15, path: "좌석[1]".into() });
        assert_eq!(json.place(0), Place { line: 1, column: 1, path: String::new() });
    }

    #[test]
    fn what_is_not_json_or_too_deep_is_refused() {
        for text in ["", "{", "[1,]", "{\"a\" 1}", "nul", "1 2", "\"\u{1}\"", &"[".repeat(100_000)] {
            assert!(Json::parse(text).is_err(), "{text:.20}");
        }
    }
}
