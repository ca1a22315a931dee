//! One CSV file for each table: RFC 4180, UTF-8, a line of column names first, an empty field for null.
//!
//! A spreadsheet runs a text that begins like a formula, and users choose names and ids. So an apostrophe goes before
//! such a text, which makes a spreadsheet show it as a text (OWASP, "CSV Injection"). A byte order mark goes before the
//! first line: without it Excel doesn't read the file as UTF-8. Files for programs have neither.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use csv::{Terminator, Writer, WriterBuilder};
use onsale::export::{Table, Value};
use onsale::files;

use super::csv_name;
use crate::cli::output::Failure;

/// The characters with which spreadsheets let a formula begin; the wide ones come from East Asian keyboards.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The reader for whom the files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// A person, in a spreadsheet.
    Spreadsheet,
    /// A program: every text is as it is.
    Program,
}

/// The files, in the order of [`Table::ALL`].
pub(super) struct CsvFiles {
    writers: Vec<Writer<BufWriter<File>>>,
    audience: Audience,
}

impl CsvFiles {
    /// Makes each file with its first line.
    pub(super) fn create(dir: &Path, audience: Audience) -> Result<Self, Failure> {
        let create = |table: Table| {
            let mut file = files::create_new(&dir.join(csv_name(table)))?;
            if audience == Audience::Spreadsheet {
                file.write_all(BYTE_ORDER_MARK)?;
            }
            let mut writer =
                WriterBuilder::new().terminator(Terminator::CRLF).from_writer(BufWriter::new(file));
            writer.write_record(table.schema().column_names())?;
            Ok::<_, csv::Error>(writer)
        };
        let writers = Table::ALL.into_iter().map(create).collect::<Result<_, _>>();
        let writers = writers.map_err(|error| failed(&error))?;
        Ok(Self { writers, audience })
    }

    pub(super) fn row(&mut self, table: Table, values: &[Value<'_>]) -> Result<(), Failure> {
        let (file, audience) = (&mut self.writers[table.index()], self.audience);
        let write = |value: &Value<'_>| match value {
            Value::Null => file.write_field(""),
            Value::Integer(number) => file.write_field(number.to_string()),
            Value::Text(text) if audience == Audience::Program => file.write_field(&**text),
            Value::Text(text) => file.write_field(&*harmless(text)),
        };
        values.iter().try_for_each(write).map_err(|error| failed(&error))?;
        // Ends the record.
        file.write_record(None::<&[u8]>).map_err(|error| failed(&error))
    }

    /// Puts every file on disk.
    pub(super) fn finish(self) -> Result<(), Failure> {
        for file in self.writers {
            let file = file.into_inner().map_err(|error| failed(error.error()))?;
            let file = file.into_inner().map_err(|error| failed(error.error()))?;
            file.sync_all().map_err(|error| failed(&error))?;
        }
        Ok(())
    }
}

/// Returns the text so that no spreadsheet runs it as a formula.
fn harmless(text: &str) -> Cow<'_, str> {
    let is_formula = text.trim_start_matches(' ').starts_with(FORMULA);
    if is_formula { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

fn failed(error: &dyn core::fmt::Display) -> Failure {
    Failure::Failed(format!("a CSV file can't be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_like_a_formula_is_a_text_and_all_else_is_as_it_is() {
        for formula in [
            "=1+1",
            "+1",
            "-1층-B-7-14",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "\n=1",
            " =1",
            "＝1",
            "－1",
            "＋1",
            "＠1",
        ] {
            assert_eq!(harmless(formula), format!("'{formula}"));
        }
        for text in ["", "김호영", "1층-B-7-14", "a=b", "'=1", "2026-11-21T15:16:50.151Z"] {
            assert_eq!(harmless(text), text);
        }
    }
}
