//! JSON as answers are written: by serde for a document, by hand for a seat map. The bytes are those of `serde_json`.
//!
//! An answer is read by machines and written for each request, so it is written in one pass over one buffer: a text is
//! looked at as a whole, and copied as a whole where nothing in it needs an escape.
//!
//! Absent on purpose: maps whose keys aren't texts, and variants with data (an answer's are words, or untagged).

use core::fmt::{self, Display};
use std::io::Write;

use serde::ser::{self, Impossible, Serialize, Serializer};

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
        if is_plain(text.as_bytes()) {
            self.quoted(text.as_bytes());
        } else {
            serde_json::to_writer(&mut self.0, text).expect("writing to memory doesn't fail");
        }
        self
    }

    fn signed(&mut self, number: i64) {
        self.display(number);
    }

    /// Writes a whole number.
    fn number(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] = b'0' + u8::try_from(number % 10).expect("a digit");
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.0.extend_from_slice(&digits[first..]);
    }

    /// Writes a number, or what else is displayed as JSON.
    pub fn display(&mut self, value: impl Display) -> &mut Self {
        write!(self.0, "{value}").expect("writing to memory doesn't fail");
        self
    }

    /// Writes an instant with its quotes.
    pub fn instant(&mut self, at: Timestamp) -> &mut Self {
        self.quoted(&at.to_text());
        self
    }

    /// Writes a document.
    pub fn document(&mut self, value: &impl Serialize) -> &mut Self {
        value.serialize(&mut *self).expect("an answer's type has text keys and total serialisers");
        self
    }

    /// Returns what was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn quoted(&mut self, plain: &[u8]) {
        self.0.reserve(plain.len() + 2);
        self.0.push(b'"');
        self.0.extend_from_slice(plain);
        self.0.push(b'"');
    }
}

/// Tells whether a text is written as it is: it has no control characters, quotes and backslashes. Eight bytes are looked at at once.
fn is_plain(text: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGHS: u64 = ONES << 7;
    // The high bit of a byte that is less than `than`, which is 0x80 at most ("Bit Twiddling Hacks", Sean Eron Anderson).
    let less = |word: u64, than: u64| word.wrapping_sub(ONES * than) & !word & HIGHS;
    let special = |eight: &[u8; 8]| {
        let word = u64::from_le_bytes(*eight);
        let is = |byte: u8| less(word ^ (ONES * u64::from(byte)), 1);
        less(word, 0x20) | is(b'"') | is(b'\\')
    };

    let (eights, rest) = text.as_chunks();
    let mut last = [b' '; 8];
    last[..rest.len()].copy_from_slice(rest);
    eights.iter().fold(special(&last), |found, eight| found | special(eight)) == 0
}

/// The members of an array or an object that is being written.
#[derive(Debug)]
pub struct Members<'w> {
    json: &'w mut JsonWriter,
    any: bool,
    /// What closes it.
    end: &'static str,
}

impl<'w> Members<'w> {
    fn begin(json: &'w mut JsonWriter, start: &str, end: &'static str) -> Self {
        json.raw(start);
        Self { json, any: false, end }
    }

    fn next(&mut self) -> &mut JsonWriter {
        if self.any {
            self.json.0.push(b',');
        }
        self.any = true;
        self.json
    }

    /// Writes a member that a type names: no such name needs an escape.
    fn member(&mut self, name: &'static str, value: &(impl Serialize + ?Sized)) -> Written {
        let start = if self.any { ",\"" } else { "\"" };
        self.any = true;
        self.json.raw(start).raw(name).raw("\":");
        value.serialize(&mut *self.json)
    }

    fn close(self) {
        self.json.raw(self.end);
    }
}

type Written = Result<(), fmt::Error>;

/// Writes values by a method of the writer.
macro_rules! written {
    ($($name:ident: $of:ty => $by:ident)+) => {$(
        fn $name(self, value: $of) -> Written {
            self.$by(value.into());
            Ok(())
        }
    )+};
}

impl<'w> Serializer for &'w mut JsonWriter {
    type Ok = ();
    type Error = fmt::Error;
    type SerializeSeq = Members<'w>;
    type SerializeTuple = Members<'w>;
    type SerializeTupleStruct = Members<'w>;
    type SerializeTupleVariant = Impossible<(), fmt::Error>;
    type SerializeMap = Members<'w>;
    type SerializeStruct = Members<'w>;
    type SerializeStructVariant = Impossible<(), fmt::Error>;

    written! {
        serialize_i8: i8 => signed
        serialize_i16: i16 => signed
        serialize_i32: i32 => signed
        serialize_i64: i64 => signed
        serialize_u8: u8 => number
        serialize_u16: u16 => number
        serialize_u32: u32 => number
        serialize_u64: u64 => number
        serialize_str: &str => string
    }

    fn serialize_bool(self, value: bool) -> Written {
        self.raw(if value { "true" } else { "false" });
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Written {
        serde_json::to_writer(&mut self.0, &value).map_err(|_| fmt::Error)
    }

    fn serialize_f64(self, value: f64) -> Written {
        serde_json::to_writer(&mut self.0, &value).map_err(|_| fmt::Error)
    }

    fn serialize_char(self, value: char) -> Written {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Written {
        bytes.serialize(self)
    }

    fn serialize_none(self) -> Written {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Written {
        self.raw("null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Written {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Written {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Written {
        Err(fmt::Error)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, fmt::Error> {
        Err(fmt::Error)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, fmt::Error> {
        Err(fmt::Error)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Members<'w>, fmt::Error> {
        Ok(Members::begin(self, "[", "]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Members<'w>, fmt::Error> {
        Ok(Members::begin(self, "[", "]"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Members<'w>, fmt::Error> {
        Ok(Members::begin(self, "[", "]"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Members<'w>, fmt::Error> {
        Ok(Members::begin(self, "{", "}"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Members<'w>, fmt::Error> {
        Ok(Members::begin(self, "{", "}"))
    }
}

/// Writes the elements of what serde calls by several names, and JSON an array.
macro_rules! elements {
    ($($kind:ident by $write:ident)+) => {$(
        impl ser::$kind for Members<'_> {
            type Ok = ();
            type Error = fmt::Error;

            fn $write<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
                value.serialize(self.next())
            }

            fn end(self) -> Written {
                self.close();
                Ok(())
            }
        }
    )+};
}

elements! {
    SerializeSeq by serialize_element
    SerializeTuple by serialize_element
    SerializeTupleStruct by serialize_field
}

impl ser::SerializeStruct for Members<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Written {
        self.member(name, value)
    }

    fn end(self) -> Written {
        self.close();
        Ok(())
    }
}

impl ser::SerializeMap for Members<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Written {
        let json = self.next();
        let start = json.0.len();
        key.serialize(&mut *json)?;
        assert!(json.0.get(start) == Some(&b'"'), "the keys of an object are texts");
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.json.raw(":");
        value.serialize(&mut *self.json)
    }

    fn end(self) -> Written {
        self.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Serialize;
    use serde_json::Value;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Document<'a> {
        some_words: (&'a str, Word, char),
        many: Vec<Option<Inner>>,
        #[serde(flatten)]
        flat: Inner,
        nothing: (),
        half: f32,
    }

    #[derive(Serialize, Clone, Copy)]
    struct Inner {
        low: i8,
        high: u64,
    }

    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Word {
        OfTwo,
    }

    fn written(value: &impl Serialize) -> Vec<u8> {
        let mut json = JsonWriter::default();
        json.document(value);
        json.into_bytes()
    }

    proptest! {
        #[test]
        fn a_document_is_written_as_serde_json_writes_it(value in values(), text: String, low: i8, half: f32) {
            prop_assert_eq!(written(&value), serde_json::to_vec(&value).unwrap());
            let inner = Inner { low, high: u64::MAX };
            let some_words = (text.as_str(), Word::OfTwo, '"');
            let document = Document { some_words, many: vec![Some(inner), None], flat: inner, nothing: (), half };
            prop_assert_eq!(written(&document), serde_json::to_vec(&document).unwrap());
        }
    }
}
