//! JSON written by hand for the hot path's answers: the same bytes that serde would write, without the structures that
//! it needs.

use core::fmt::Display;
use std::io::Write;

use crate::domain::time::Timestamp;

/// Writes JSON to memory, field by field. The caller opens and closes nested values.
#[derive(Debug, Default)]
pub struct JsonWriter(Vec<u8>);

impl JsonWriter {
    /// Makes a writer with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Writes what is JSON already.
    pub fn raw(&mut self, json: &str) -> &mut Self {
        self.0.extend_from_slice(json.as_bytes());
        self
    }

    /// Writes a string with its quotes, escaped.
    pub fn string(&mut self, text: &str) -> &mut Self {
        let plain = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\';
        if text.as_bytes().iter().all(plain) {
            self.0.push(b'"');
            self.0.extend_from_slice(text.as_bytes());
            self.0.push(b'"');
        } else {
            serde_json::to_writer(&mut self.0, text).expect("writing to memory doesn't fail");
        }
        self
    }

    /// Writes a number, or what else is displayed as JSON.
    pub fn display(&mut self, value: impl Display) -> &mut Self {
        write!(self.0, "{value}").expect("writing to memory doesn't fail");
        self
    }

    /// Writes an instant with its quotes.
    pub fn instant(&mut self, at: Timestamp) -> &mut Self {
        self.0.push(b'"');
        self.0.extend_from_slice(&at.to_text());
        self.0.push(b'"');
        self
    }

    /// Returns what was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_string_is_written_as_serde_writes_it(text: String) {
            let mut json = JsonWriter::default();
            json.string(&text);
            prop_assert_eq!(json.into_bytes(), serde_json::to_vec(&text).unwrap());
        }
    }
}
