//! The rows of an archive for a copy of it, in batches that are read one after the other while it is written.
//!
//! The batches needn't be of one instant: a row counts only by its event, and never changes after it. So a copy that is begun behind a
//! position of the journal has all that the journal had moved up to there; what else it has does no harm.

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Row, params_from_iter};

use super::{Archive, ArchiveError};

/// A table as it is copied: its name, its key, which are its first columns, and how many rows are read at once.
struct Table {
    name: &'static str,
    key: &'static [&'static str],
    /// What stands before every key.
    first: fn() -> Vec<Value>,
    rows: usize,
    columns: usize,
}

/// All tables but the log's own. Rows of schedules are large.
const TABLES: [Table; 4] = [
    Table { name: "schedules", key: &["number"], first: || vec![Value::Integer(-1)], rows: 1, columns: 15 },
    Table { name: "reservations", key: &["schedule", "number"], first: two_numbers, rows: 2_000, columns: 5 },
    Table { name: "payments", key: &["schedule", "number"], first: two_numbers, rows: 2_000, columns: 4 },
    Table { name: "transactions", key: &["user", "number"], first: text_and_number, rows: 2_000, columns: 9 },
];

fn two_numbers() -> Vec<Value> {
    vec![Value::Integer(-1), Value::Integer(-1)]
}

fn text_and_number() -> Vec<Value> {
    vec![Value::Text(String::new()), Value::Integer(-1)]
}

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const TEXT: u8 = 2;
const BLOB: u8 = 3;

/// Some rows as bytes, and the key of the last one.
type Batch = (Vec<u8>, Vec<Value>);

impl Archive {
    /// Shows all rows as batches of bytes for [`Archive::put_batch`]; none where there is no file. Blocks, for one batch at a time.
    ///
    /// # Errors
    /// When the archive can't be read, or `visit` fails.
    pub fn for_each_batch<E: From<ArchiveError>>(
        &self,
        mut visit: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for (number, table) in (0..).zip(&TABLES) {
            let mut after = (table.first)();
            while let Some((batch, last)) = self.batch(number, table, &after)? {
                visit(&batch)?;
                after = last;
            }
        }
        Ok(())
    }

    /// Reads the rows of a table behind a key, and returns the last one's key; nothing where none is left.
    fn batch(&self, number: u8, table: &Table, after: &[Value]) -> Result<Option<Batch>, ArchiveError> {
        let (name, key, limit) = (table.name, table.key.join(", "), table.rows);
        let places = vec!["?"; table.key.len()].join(", ");
        let select = format!("SELECT * FROM {name} WHERE ({key}) > ({places}) ORDER BY {key} LIMIT {limit}");

        let found = self.read(|connection| {
            let mut batch = vec![number];
            let mut last = None;
            let mut statement = connection.prepare_cached(&select)?;
            let mut rows = statement.query(params_from_iter(after))?;
            while let Some(row) = rows.next()? {
                encode(row, table.columns, &mut batch)?;
                let key = (0..table.key.len()).map(|column| row.get(column));
                last = Some(key.collect::<rusqlite::Result<Vec<Value>>>()?);
            }
            Ok(last.map(|last| (batch, last)))
        })?;
        Ok(found.flatten())
    }

    /// Writes a batch of rows, durably; makes the file where there is none.
    ///
    /// # Errors
    /// When it isn't a batch, or can't be written.
    pub fn put_batch(&self, batch: &[u8]) -> Result<(), ArchiveError> {
        let broken = || self.damaged("a batch of rows that came isn't one");
        let (number, mut bytes) = batch.split_first().ok_or_else(broken)?;
        let table = TABLES.get(usize::from(*number)).ok_or_else(broken)?;
        let mut rows = Vec::new();
        while !bytes.is_empty() {
            rows.push(decode(&mut bytes, table.columns).ok_or_else(broken)?);
        }

        let places = vec!["?"; table.columns].join(", ");
        let insert = format!("INSERT INTO {} VALUES ({places})", table.name);
        self.write(|transaction| {
            let mut insert = transaction.prepare_cached(&insert)?;
            for row in &rows {
                insert.execute(params_from_iter(row))?;
            }
            Ok(())
        })
    }
}

/// Appends a row: each value's kind, then its bytes; those of texts and blobs with their length before them.
fn encode(row: &Row<'_>, columns: usize, batch: &mut Vec<u8>) -> rusqlite::Result<()> {
    for column in 0..columns {
        let (kind, bytes) = match row.get_ref(column)? {
            ValueRef::Null => {
                batch.push(NULL);
                continue;
            }
            ValueRef::Integer(number) => {
                batch.push(INTEGER);
                batch.extend_from_slice(&number.to_le_bytes());
                continue;
            }
            ValueRef::Text(bytes) => (TEXT, bytes),
            ValueRef::Blob(bytes) => (BLOB, bytes),
            // Strict tables without such a column have none.
            ValueRef::Real(_) => return Err(rusqlite::Error::InvalidQuery),
        };
        batch.push(kind);
        let length = u32::try_from(bytes.len()).map_err(|_| rusqlite::Error::InvalidQuery)?;
        batch.extend_from_slice(&length.to_le_bytes());
        batch.extend_from_slice(bytes);
    }
    Ok(())
}

/// Takes a row off the front; nothing where it isn't one.
fn decode(bytes: &mut &[u8], columns: usize) -> Option<Vec<Value>> {
    (0..columns).map(|_| decode_value(bytes)).collect()
}

fn decode_value(bytes: &mut &[u8]) -> Option<Value> {
    let (kind, rest) = bytes.split_first()?;
    *bytes = rest;
    match *kind {
        NULL => Some(Value::Null),
        INTEGER => {
            let (number, rest) = bytes.split_first_chunk()?;
            *bytes = rest;
            Some(Value::Integer(i64::from_le_bytes(*number)))
        }
        TEXT | BLOB => {
            let (length, rest) = bytes.split_first_chunk()?;
            let (taken, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
            *bytes = rest;
            let taken = taken.to_vec();
            if *kind == BLOB {
                Some(Value::Blob(taken))
            } else {
                String::from_utf8(taken).ok().map(Value::Text)
            }
        }
        _ => None,
    }
}
