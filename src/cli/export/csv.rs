//! One CSV file a table: RFC 4180, UTF-8, a line of names first, an empty field for null.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use csv::{Terminator, Writer, WriterBuilder};
use onsale::export::{Table, Value};

use super::csv_name;
use crate::cli::output::Failure;

/// The files, in the order of [`Table::ALL`].
pub(super) struct CsvFiles(Vec<Writer<BufWriter<File>>>);

impl CsvFiles {
    /// Makes each file with its first line.
    pub(super) fn create(dir: &Path) -> Result<Self, Failure> {
        let create = |table: Table| {
            let file = File::create_new(dir.join(csv_name(table)))?;
            let mut writer =
                WriterBuilder::new().terminator(Terminator::CRLF).from_writer(BufWriter::new(file));
            writer.write_record(table.schema().column_names())?;
            Ok::<_, csv::Error>(writer)
        };
        let files = Table::ALL.into_iter().map(create).collect::<Result<_, _>>();
        files.map(Self).map_err(|error| failed(&error))
    }

    pub(super) fn row(&mut self, table: Table, values: &[Value<'_>]) -> Result<(), Failure> {
        let file = &mut self.0[table.index()];
        let write = |value: &Value<'_>| match value {
            Value::Null => file.write_field(""),
            Value::Integer(number) => file.write_field(number.to_string()),
            Value::Text(text) => file.write_field(&**text),
        };
        values.iter().try_for_each(write).map_err(|error| failed(&error))?;
        // Ends the record.
        file.write_record(None::<&[u8]>).map_err(|error| failed(&error))
    }

    /// Puts every file on disk.
    pub(super) fn finish(self) -> Result<(), Failure> {
        for file in self.0 {
            let file = file.into_inner().map_err(|error| failed(error.error()))?;
            let file = file.into_inner().map_err(|error| failed(error.error()))?;
            file.sync_all().map_err(|error| failed(&error))?;
        }
        Ok(())
    }
}

fn failed(error: &dyn core::fmt::Display) -> Failure {
    Failure::Failed(format!("a CSV file can't be written: {error}"))
}
