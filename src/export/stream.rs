//! An export as lines of JSON (NDJSON), so that it can be given while it is made, and a cut one is noticed.
//!
//! ```text
//! {"onsale":"0.1.0","schemaVersion":1,"position":118,"takenAt":"…","logId":"…","tables":[{"name":"venues","columns":[…],"rows":1},…]}
//! ["venues","hall","Hall",…]          a row: its table, then its values in the order of the columns
//! {"complete":true,"tables":{"venues":1,…}}
//! ```
//!
//! The last line is `{"failure":"…"}` where the export can't go on. Empty lines mean nothing: they keep a
//! connection open. Absent on purpose: sockets and files; [`Writer`] makes bytes, and [`Reader`] takes them as they come.
//!
//! Invariants: a reader accepts nothing but the tables that it knows, rows that fit their columns, and, at the end, as
//! many rows as were announced and counted; without a [`Reader::finish`] that succeeded, there is no export.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Kind, SCHEMA_VERSION, Table, Taken, Value};

/// The longest line: a venue's document has 16 MiB at most, and its texts stand in several rows.
const LINE_LEN_MAX: usize = 32 << 20;

/// Writes the lines of an export.
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    counts: [u64; Table::ALL.len()],
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    onsale: String,
    schema_version: u32,
    position: u64,
    taken_at: String,
    log_id: String,
    tables: Vec<AnnouncedTable>,
}

#[derive(Serialize, Deserialize)]
struct AnnouncedTable {
    name: String,
    columns: Vec<String>,
    rows: u64,
}

#[derive(Serialize, Deserialize)]
struct Trailer {
    complete: bool,
    tables: BTreeMap<String, u64>,
}

#[derive(Serialize, Deserialize)]
struct Failed {
    failure: String,
}

impl Writer {
    /// Begins an export with its first line; `rows` as [`super::count`] returned it.
    pub fn new(taken: &Taken, rows: &[u64; Table::ALL.len()]) -> Self {
        let tables = Table::ALL.iter().zip(rows).map(|(table, rows)| AnnouncedTable {
            name: table.name().to_owned(),
            columns: table.schema().column_names().map(str::to_owned).collect(),
            rows: *rows,
        });
        let header = Header {
            onsale: env!("CARGO_PKG_VERSION").to_owned(),
            schema_version: SCHEMA_VERSION,
            position: taken.position.get(),
            taken_at: taken.at.to_string(),
            log_id: taken.log(),
            tables: tables.collect(),
        };
        let mut writer = Self { bytes: Vec::new(), counts: [0; Table::ALL.len()] };
        writer.line(&header);
        writer
    }

    /// Adds a row.
    pub fn row(&mut self, table: Table, values: &[Value<'_>]) {
        assert!(fits(table, values), "a row has its table's columns");
        self.counts[table.index()] += 1;
        self.bytes.extend_from_slice(b"[\"");
        self.bytes.extend_from_slice(table.name().as_bytes());
        self.bytes.push(b'"');
        for value in values {
            self.bytes.push(b',');
            write(&mut self.bytes, value);
        }
        self.bytes.extend_from_slice(b"]\n");
    }

    /// Adds the last line.
    pub fn complete(&mut self) {
        let tables = Table::ALL.iter().zip(self.counts);
        let tables = tables.map(|(table, rows)| (table.name().to_owned(), rows)).collect();
        self.line(&Trailer { complete: true, tables });
    }

    /// Makes the last line of an export that can't go on; `why` is shown to its reader.
    pub fn failure(why: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, &Failed { failure: why.to_owned() });
        bytes.push(b'\n');
        bytes
    }

    /// Returns how many bytes wait to be taken.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Tells whether none do.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes the whole lines that were written since the last time.
    pub fn take(&mut self) -> Vec<u8> {
        let room = self.bytes.capacity();
        core::mem::replace(&mut self.bytes, Vec::with_capacity(room))
    }

    fn line(&mut self, value: &impl Serialize) {
        write(&mut self.bytes, value);
        self.bytes.push(b'\n');
    }
}

/// Tells whether values are a row of a table.
fn fits(table: Table, values: &[Value<'_>]) -> bool {
    let columns = table.schema().columns;
    columns.len() == values.len()
        && columns.iter().zip(values).all(|(column, value)| match value {
            Value::Null => column.nullable,
            Value::Integer(_) => column.kind == Kind::Integer,
            Value::Text(_) => column.kind == Kind::Text,
        })
}

fn write(bytes: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(bytes, value).expect("writing to memory doesn't fail");
}

/// Why bytes aren't an export that can be kept.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "the message says what each field is")]
pub enum StreamError {
    /// A line is not what it should be.
    #[error("line {line} of the export isn't one of an export: {what}")]
    Line {
        /// Which, from 1.
        line: u64,
        what: &'static str,
    },
    /// The tables are another version's.
    #[error(
        "the engine is onsale {onsale}, whose tables differ from those of this program: use that version's own"
    )]
    OtherVersion { onsale: String },
    /// The engine says that it can't go on.
    #[error("the engine couldn't finish the export: {0}")]
    Failed(String),
    /// There are other rows than were announced.
    #[error("the export has {found} rows of {table}, and {announced} were announced")]
    Miscounted {
        table: &'static str,
        /// How many there should be.
        announced: u64,
        /// How many came.
        found: u64,
    },
    /// The last line is missing.
    #[error("the export was cut off: its last line is missing")]
    Cut,
}

/// The first line of an export, before its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// The position in the journal.
    pub position: u64,
    /// The engine's instant then, as text.
    pub taken_at: String,
    /// How many rows there are of each table, in the order of [`Table::ALL`].
    pub rows: [u64; Table::ALL.len()],
}

/// A line that means something.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// The first.
    Announced(&'a Announced),
    /// A row.
    Row(Table, Vec<Value<'a>>),
}

/// Reads an export as its bytes come.
#[derive(Debug, Default)]
pub struct Reader {
    /// The beginning of a line whose end hasn't come.
    rest: Vec<u8>,
    lines: u64,
    announced: Option<Announced>,
    counts: [u64; Table::ALL.len()],
    complete: bool,
}

impl Reader {
    /// Takes the next bytes, and shows each whole line that means something.
    ///
    /// # Errors
    /// When they don't go on as an export does, or `show` fails.
    pub fn push<E: From<StreamError>>(
        &mut self,
        bytes: &[u8],
        show: &mut dyn FnMut(Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut pieces = bytes.split_inclusive(|byte| *byte == b'\n');
        if !self.rest.is_empty()
            && let Some(piece) = pieces.next()
        {
            self.rest.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = core::mem::take(&mut self.rest);
                self.line(&line, show)?;
            }
        }

        // A whole line is read where it stands: only a line that is cut between two pieces is copied.
        for piece in pieces {
            if piece.ends_with(b"\n") {
                self.line(piece, show)?;
            } else {
                self.rest.extend_from_slice(piece);
            }
        }

        if self.rest.len() > LINE_LEN_MAX {
            return Err(self.wrong("it is too long").into());
        }
        Ok(())
    }

    /// Tells whether all of it has come.
    ///
    /// # Errors
    /// When the last line is missing, or rows are.
    pub fn finish(&self) -> Result<(), StreamError> {
        let Some(Announced { rows, .. }) = self.announced.as_ref().filter(|_| self.complete) else {
            return Err(StreamError::Cut);
        };
        for ((table, announced), found) in Table::ALL.iter().zip(rows).zip(self.counts) {
            if *announced != found {
                return Err(StreamError::Miscounted { table: table.name(), announced: *announced, found });
            }
        }
        Ok(())
    }

    fn wrong(&self, what: &'static str) -> StreamError {
        StreamError::Line { line: self.lines, what }
    }

    fn line<E: From<StreamError>>(
        &mut self,
        line: &[u8],
        show: &mut dyn FnMut(Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.lines += 1;
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(());
        }

        if self.complete {
            return Err(self.wrong("something follows the last line").into());
        }
        if line.starts_with(b"[") {
            let (table, values) = self.row(line)?;
            return show(Line::Row(table, values));
        }

        if let Ok(Failed { failure }) = serde_json::from_slice(line) {
            return Err(StreamError::Failed(failure).into());
        }
        match &self.announced {
            None => show(Line::Announced(self.header(line)?)),
            Some(_) => Ok(self.trailer(line)?),
        }
    }

    fn header(&mut self, line: &[u8]) -> Result<&Announced, StreamError> {
        let header: Header =
            serde_json::from_slice(line).map_err(|_| self.wrong("it doesn't say what the export is of"))?;
        let same = |(table, announced): (&Table, &AnnouncedTable)| {
            let columns = table.schema().column_names();
            announced.name == table.name() && columns.eq(announced.columns.iter().map(String::as_str))
        };

        let known = header.schema_version == SCHEMA_VERSION
            && header.tables.len() == Table::ALL.len()
            && Table::ALL.iter().zip(&header.tables).all(same);
        if !known {
            let onsale = header.onsale.chars().filter(|c| !c.is_control()).take(20).collect();
            return Err(StreamError::OtherVersion { onsale });
        }

        let mut rows = [0; Table::ALL.len()];
        for (rows, announced) in rows.iter_mut().zip(&header.tables) {
            *rows = announced.rows;
        }
        let announced = Announced { position: header.position, taken_at: header.taken_at, rows };
        Ok(self.announced.insert(announced))
    }

    fn row<'a>(&mut self, line: &'a [u8]) -> Result<(Table, Vec<Value<'a>>), StreamError> {
        if self.announced.is_none() {
            return Err(self.wrong("a row comes before the first line"));
        }
        let mut values: Vec<Value<'a>> =
            serde_json::from_slice(line).map_err(|_| self.wrong("it isn't a row"))?;

        let name = if values.is_empty() { Value::Null } else { values.remove(0) };
        let table = match name {
            Value::Text(name) => Table::named(&name),
            Value::Null | Value::Integer(_) => None,
        };
        let table = table.ok_or_else(|| self.wrong("it names no table"))?;

        if !fits(table, &values) {
            return Err(self.wrong("its values don't fit its table's columns"));
        }
        self.counts[table.index()] += 1;
        Ok((table, values))
    }

    fn trailer(&mut self, line: &[u8]) -> Result<(), StreamError> {
        let Ok(Trailer { complete: true, tables }) = serde_json::from_slice(line) else {
            return Err(self.wrong("it is neither a row nor the last line"));
        };
        let counted = |(table, count): (&Table, &u64)| tables.get(table.name()) == Some(count);
        if !Table::ALL.iter().zip(&self.counts).all(counted) {
            return Err(self.wrong("it counts other rows than came"));
        }
        self.complete = true;
        Ok(())
    }
}
