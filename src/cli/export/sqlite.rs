//! One SQLite file with all tables, their keys and indices.
//!
//! It is written in one transaction without SQLite's own journal: nobody opens it before it is whole, and an unfinished
//! one is thrown away. Comments in the file say what each table and column means; `.schema` shows them.

use core::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};

use onsale::export::{Kind, SCHEMA_VERSION, Schema, Table, Value};
use onsale::files;
use rusqlite::types::{ToSqlOutput, Value as SqlValue, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};

use crate::cli::output::Failure;

/// The name of the file.
pub(super) const FILE_NAME: &str = "onsale.sqlite";

/// The file that is being written.
pub(super) struct SqliteFile {
    path: PathBuf,
    database: Connection,
    /// The statement that inserts a row of each table, in the order of [`Table::ALL`].
    inserts: Vec<String>,
}

impl SqliteFile {
    /// Makes the file with its tables.
    pub(super) fn create(dir: &Path) -> Result<Self, Failure> {
        let path = dir.join(FILE_NAME);
        let made = files::create_new(&path);
        made.map_err(|error| Failure::Failed(format!("{FILE_NAME} can't be made: {error}")))?;
        let database = Connection::open(&path).map_err(failed)?;
        let prepare = || {
            database.pragma_update(None, "journal_mode", "OFF")?;
            database.pragma_update(None, "synchronous", "OFF")?;
            database.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
            // 64 MiB (a negative number counts KiB): room for the indices of the keys.
            database.pragma_update(None, "cache_size", -65_536)?;
            database.pragma_update(None, "foreign_keys", "OFF")?;
            database.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            database.set_prepared_statement_cache_capacity(Table::ALL.len());
            database.execute_batch("BEGIN")?;
            for table in Table::ALL {
                database.execute_batch(&create_table(table.schema()))?;
            }
            Ok(())
        };
        prepare().map_err(failed)?;
        let inserts = Table::ALL.iter().map(|table| insert(table.schema())).collect();
        Ok(Self { path, database, inserts })
    }

    pub(super) fn row(&mut self, table: Table, values: &[Value<'_>]) -> Result<(), Failure> {
        let put = || {
            let mut statement = self.database.prepare_cached(&self.inserts[table.index()])?;
            statement.execute(params_from_iter(values.iter().map(Field)))
        };
        put().map(drop).map_err(failed)
    }

    /// Adds the indices, checks every foreign key, and puts the file on disk.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let Self { path, database, .. } = self;
        for table in Table::ALL {
            database.execute_batch(&create_indices(table.schema())).map_err(failed)?;
        }
        database.execute_batch("COMMIT").map_err(failed)?;
        check_foreign_keys(&database)?;
        database.close().map_err(|(_, error)| failed(error))?;
        let synced = File::open(&path).and_then(|file| file.sync_all());
        synced.map_err(|error| Failure::Failed(format!("{FILE_NAME} can't be synced: {error}")))
    }
}

fn check_foreign_keys(database: &Connection) -> Result<(), Failure> {
    let first = || {
        let mut check = database.prepare("PRAGMA foreign_key_check")?;
        let mut rows = check.query([])?;
        match rows.next()? {
            Some(row) => Ok(Some((row.get::<_, String>(0)?, row.get::<_, String>(2)?))),
            None => Ok(None),
        }
    };
    match first().map_err(failed)? {
        None => Ok(()),
        Some((table, other)) => Err(Failure::Failed(format!(
            "the engine's tables contradict each other: a row of {table} names one of {other} that isn't there"
        ))),
    }
}

/// A value as SQLite takes it.
struct Field<'v>(&'v Value<'v>);

impl ToSql for Field<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::Owned(SqlValue::Null),
            Value::Integer(number) => ToSqlOutput::Owned(SqlValue::Integer(*number)),
            Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

/// Writes names separated by commas. They are the program's own, so they need no escapes. They are quoted since
/// `number` is a keyword in some databases.
fn names(names: impl IntoIterator<Item = &'static str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("\"{name}\"")).collect();
    quoted.join(", ")
}

fn create_table(schema: &Schema) -> String {
    let Schema { name, what, columns, primary_key, foreign_keys, .. } = schema;
    let mut sql = format!("CREATE TABLE \"{name}\" (\n  -- {what}\n");

    for column in *columns {
        let kind = match column.kind {
            Kind::Integer => "INTEGER",
            Kind::Text => "TEXT",
        };
        let null = if column.nullable { "" } else { " NOT NULL" };
        let _ = writeln!(sql, "  \"{}\" {kind}{null}, -- {}", column.name, column.what);
    }

    let _ = write!(sql, "  PRIMARY KEY ({})", names(primary_key.iter().copied()));
    for key in *foreign_keys {
        let other = key.table.schema();
        let _ = write!(
            sql,
            ",\n  FOREIGN KEY ({}) REFERENCES \"{}\" ({})",
            names(key.columns.iter().copied()),
            other.name,
            names(other.primary_key.iter().copied()),
        );
    }

    sql.push_str("\n);");
    sql
}

fn create_indices(schema: &Schema) -> String {
    let create = |columns: &&[&'static str]| {
        let (table, name) = (schema.name, columns.join("_"));
        format!("CREATE INDEX \"{table}_by_{name}\" ON \"{table}\" ({});", names(columns.iter().copied()))
    };
    schema.indices.iter().map(create).collect()
}

fn insert(schema: &Schema) -> String {
    let places = vec!["?"; schema.columns.len()].join(", ");
    format!("INSERT INTO \"{}\" VALUES ({places})", schema.name)
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` hands it")]
fn failed(error: rusqlite::Error) -> Failure {
    Failure::Failed(format!("{FILE_NAME} can't be written: {error}"))
}
