//! The check of a document's values: all of them, each error with its path.

use core::fmt::{Arguments, Display, Write};
use core::ops::RangeInclusive;
use core::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error};

use crate::domain::ids::InvalidId;
use crate::domain::schedule::orders::ORDER_TEXT_LEN_MAX;
use crate::domain::time::Timestamp;
use crate::http::problem::{FieldError, Problem};

/// The longest name, title or address, in characters.
pub const NAME_LEN_MAX: usize = 500;
/// The longest text of several lines, in characters.
pub const LINES_LEN_MAX: usize = 10_000;
/// The most names in a list, and the most roles of a cast.
pub const NAMES_MAX: usize = 1_000;
/// Words that a path of another route has in the place of an item's id.
const ROUTES_WORDS: [(&str, &str); 1] = [("concertId", "available-dates")];
/// The most errors that are noted. The client sees the others once these are mended.
const ERRORS_MAX: usize = 100;

/// Collects the errors of a document. A wrong value is replaced by a valid one, so that the check goes on;
/// [`Checks::finish`] then returns the errors.
#[derive(Default)]
pub(super) struct Checks {
    /// The path of what is checked now, with a dot at its end unless it is empty.
    path: String,
    errors: Vec<FieldError>,
}

impl Checks {
    /// Notes that a field is wrong.
    pub(super) fn wrong(&mut self, field: Arguments<'_>, detail: impl Into<String>) {
        if self.errors.len() < ERRORS_MAX {
            let field = format!("{}{field}", self.path);
            self.errors.push(FieldError { field, detail: detail.into() });
        }
    }

    /// Checks what stands inside of a field.
    pub(super) fn within<T>(&mut self, field: Arguments<'_>, check: impl FnOnce(&mut Self) -> T) -> T {
        let outside = self.path.len();
        write!(self.path, "{field}.").expect("writing to memory doesn't fail");
        let checked = check(self);
        self.path.truncate(outside);
        checked
    }

    /// Returns the value if nothing was wrong.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, Vec<FieldError>> {
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            Some(_) | None => {
                assert!(!self.errors.is_empty(), "what can't be made has a wrong field");
                Err(self.errors)
            }
        }
    }

    /// Takes two fields that are there together or not at all.
    pub(super) fn both<A, B>(
        &mut self,
        (first, a): (&str, Option<A>),
        (second, b): (&str, Option<B>),
    ) -> Option<(A, B)> {
        let (missing, there) = if a.is_none() { (first, second) } else { (second, first) };
        if a.is_some() != b.is_some() {
            self.wrong(format_args!("{missing}"), format!("is needed with {there}"));
        }
        a.zip(b)
    }

    /// Checks an id or the like by its own parser.
    pub(super) fn parsed<T>(
        &mut self,
        field: Arguments<'_>,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, InvalidId>,
    ) -> Option<T> {
        parse(text).map_err(|invalid| self.wrong(field, invalid.to_string())).ok()
    }

    /// Checks an item's own id: the path's, which the document may repeat, or (in an import) the document's.
    pub(super) fn own_id<T>(
        &mut self,
        field: &str,
        path: Option<&str>,
        document: Option<&str>,
        parse: impl FnOnce(&str) -> Result<T, InvalidId>,
    ) -> Option<T> {
        let name = format_args!("{field}");
        match (path, document) {
            (Some(path), Some(document)) if path != document => {
                self.wrong(name, "must be the id that the path names, or be left out");
                None
            }
            (Some(id), _) | (None, Some(id)) if !is_reachable(field, id) => {
                self.wrong(
                    name,
                    "has a meaning of its own in a path, so that nothing could be reached by it",
                );
                None
            }
            (Some(id), _) | (None, Some(id)) => self.parsed(name, id, parse),
            (None, None) => {
                self.wrong(name, "is required");
                None
            }
        }
    }

    /// Checks a text of one line with as many characters; one that must say something isn't blank.
    pub(super) fn text(&mut self, field: Arguments<'_>, text: &str, length: RangeInclusive<usize>) {
        self.characters(field, text, length, char::is_control);
    }

    /// Checks a text that may have several lines.
    pub(super) fn lines(&mut self, field: Arguments<'_>, text: &str) {
        self.several_lines(field, text, 0);
    }

    /// Checks a text that may have several lines, and says something.
    pub(super) fn reason(&mut self, field: Arguments<'_>, text: &str) {
        self.several_lines(field, text, 1);
    }

    fn several_lines(&mut self, field: Arguments<'_>, text: &str, least: usize) {
        let refused = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        self.characters(field, text, least..=LINES_LEN_MAX, refused);
    }

    fn characters(
        &mut self,
        field: Arguments<'_>,
        text: &str,
        length: RangeInclusive<usize>,
        refused: impl Fn(char) -> bool,
    ) {
        // Counting stops one past the limit, so that a huge text costs no more than a long one.
        let count = text.chars().take(length.end() + 1).count();
        if !length.contains(&count) {
            let (least, most) = (length.start(), length.end());
            self.wrong(field, format!("must have {least} to {most} characters"));
        } else if text.chars().any(refused) {
            self.wrong(field, "must not have control characters");
        } else if *length.start() > 0 && text.trim().is_empty() {
            self.wrong(field, "must not be blank");
        }
    }

    /// Checks that a number lies between two.
    pub(super) fn number(&mut self, field: Arguments<'_>, number: u64, range: RangeInclusive<u32>) -> u32 {
        match u32::try_from(number) {
            Ok(number) if range.contains(&number) => number,
            Ok(_) | Err(_) => {
                self.wrong(field, format!("must be from {} to {}", range.start(), range.end()));
                *range.start()
            }
        }
    }

    /// Checks an instant of RFC 3339.
    pub(super) fn instant(&mut self, field: Arguments<'_>, text: &str) -> Timestamp {
        instant(text).unwrap_or_else(|| {
            self.wrong(field, "must be an RFC 3339 instant from 1970 on, as in 2026-11-20T12:00:00.000Z");
            Timestamp::ZERO
        })
    }

    /// Checks an instant that may be absent.
    pub(super) fn instant_or_none(&mut self, field: Arguments<'_>, text: Option<&str>) -> Option<Timestamp> {
        text.map(|text| self.instant(field, text))
    }
}

/// Checks the texts of an order that are there, each with its field.
///
/// # Errors
/// 422 `invalid_request` with every field that is wrong.
pub(crate) fn check_order_texts(texts: &[(&str, Option<&str>)]) -> Result<(), Problem> {
    let mut checks = Checks::default();
    for (field, text) in texts {
        if let Some(text) = text {
            checks.text(format_args!("{field}"), text, 1..=ORDER_TEXT_LEN_MAX);
        }
    }
    checks.finish(Some(())).map_err(Problem::invalid)
}

/// Tells whether every route of an item leads to it by an id.
pub(crate) fn is_reachable(field: &str, id: &str) -> bool {
    // Clients resolve dots as parts of a path, percent-encoded ones, too (WHATWG URL, section 4.1).
    !matches!(id, "." | "..") && !ROUTES_WORDS.contains(&(field, id))
}

/// Reads an id of a query that filters a list. An impossible id is an error, since an empty list would hide the
/// mistake.
///
/// # Errors
/// If the text can't be an id.
pub(crate) fn narrowing_id<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    String::deserialize(from)?.parse().map(Some).map_err(D::Error::custom)
}

/// Reads an instant of RFC 3339 and nothing else: no missing seconds, no other separators, no name of
/// a time zone.
pub(crate) fn instant(text: &str) -> Option<Timestamp> {
    const DATE_TIME: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    let matches = |bytes: &[u8], pattern: &[u8]| {
        bytes.len() == pattern.len()
            && bytes.iter().zip(pattern).all(|(byte, wanted)| match wanted {
                b'd' => byte.is_ascii_digit(),
                b'T' => byte.eq_ignore_ascii_case(&b'T'),
                wanted => byte == wanted,
            })
    };
    let (date_time, rest) = text.as_bytes().split_at_checked(DATE_TIME.len())?;
    let offset = match rest.strip_prefix(b".") {
        None => rest,
        Some(fraction) => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            fraction.get(digits..).filter(|_| (1..=9).contains(&digits))?
        }
    };
    let right = matches(date_time, DATE_TIME)
        && (offset.eq_ignore_ascii_case(b"Z") || matches(offset, b"+dd:dd") || matches(offset, b"-dd:dd"));
    if right { Timestamp::parse(text).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_rfc_3339_with_an_offset_and_nothing_else() {
        for right in [
            "2026-11-20T12:00:00Z",
            "2026-11-20T12:00:00.000Z",
            "2026-11-20t12:00:00.123456789z",
            "2026-11-20T21:00:00+09:00",
            "2026-11-20T03:00:00-09:00",
        ] {
            assert!(instant(right).is_some(), "{right}");
        }
        for wrong in [
            "",
            "2026-11-20",
            "2026-11-20T12:00Z",
            "2026-11-20 12:00:00Z",
            "20261120T120000Z",
            "2026-11-20T12:00:00",
            "2026-11-20T12:00:00.Z",
            "2026-11-20T12:00:00+09",
            "2026-11-20T21:00:00+09:00[Asia/Seoul]",
            "2026-13-20T12:00:00Z",
            "2026-02-29T12:00:00Z",
            "2026-11-20T25:00:00Z",
            "1969-12-31T23:59:59Z",
            " 2026-11-20T12:00:00Z",
            "２026-11-20T12:00:00Z",
        ] {
            assert_eq!(instant(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_so_many_wrong_fields_are_noted() {
        let mut checks = Checks::default();
        for index in 0..10_000 {
            checks
                .within(format_args!("items[{index}]"), |checks| checks.wrong(format_args!("a"), "is wrong"));
        }
        let errors = checks.finish(Some(())).unwrap_err();
        assert_eq!(errors.len(), ERRORS_MAX);
        assert_eq!(errors[7].field, "items[7].a");
    }
}
