//! `onsale export`: everything at one position, as CSV files and one SQLite file.
//!
//! ```text
//! running engine ─┐
//!                 ├─ lines of JSON ─▶ Reader ─▶ one CSV file a table, and onsale.sqlite ─▶ all named at once
//! data directory ─┘
//! ```
//!
//! Absent on purpose: the tables' definitions ([`onsale::export`] has them), and flags that choose tables or formats: a
//! file that isn't wanted is easily removed.

mod csv;
mod dir;
mod sqlite;

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use indicatif::{ProgressBar, ProgressStyle};
use onsale::export::{Announced, Line, Reader, StreamError, Table};

use self::csv::{Audience, CsvFiles};
use self::dir::ExportDir;
use self::sqlite::SqliteFile;
use super::engine_at;
use super::output::{Failure, count, plain, print};

/// How often the bar moves.
const BAR_STEP: u64 = 4_096;

pub(super) fn command() -> Command {
    let to = Arg::new("to").long("to").value_name("DIR").required(true).value_parser(value_parser!(PathBuf));
    let overwrite = Arg::new("overwrite")
        .long("overwrite")
        .action(ArgAction::SetTrue)
        .help("Replace an export that the directory holds. Other files in it stay");
    let raw = Arg::new("raw-csv").long("raw-csv").action(ArgAction::SetTrue).help(
        "Write the CSV files for a program: texts exactly as they are, without a byte order mark. Don't open them in a spreadsheet: it would run names that are formulas",
    );

    Command::new("export")
        .about("Export everything as CSV files and one SQLite file, from a running engine or a stopped one's data directory")
        .arg(to.help("The directory of the files. It is made if it doesn't exist"))
        .arg(overwrite)
        .arg(raw)
        .args(engine_at::flags())
        .after_help(
            "EXAMPLES\n  onsale export --to books --url http://127.0.0.1:8080 \\\n    \
             --admin-token \"$ONSALE_ADMIN_TOKEN\"\n  \
             onsale export --to books --data-dir ./data\n  \
             sqlite3 books/onsale.sqlite \\\n    \
             'SELECT status, count(*), sum(amount) FROM payments GROUP BY status'\n\n\
             PRINTS\n  the position and the instant of the export, and how many rows it has; a progress bar on standard \
             error, if that is a terminal\n\n\
             FILES\n  onsale.sqlite, and a CSV file for each of its tables. All show the same position of the journal, and hold no \
             secrets. They appear only when all of them are whole and on disk; meta.csv appears last\n\n\
             EXIT CODES\n  0  exported\n  1  not exported: the reason is on standard error, and no file is left behind\n  2  wrong usage or \
             settings, or the directory holds an export already",
        )
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let dir = matches
        .get_one::<PathBuf>("to")
        .ok_or_else(|| Failure::Usage("a directory is needed: --to DIR".to_owned()))?;
    let export_dir = ExportDir::prepare(dir, matches.get_flag("overwrite"))?;
    let audience = if matches.get_flag("raw-csv") { Audience::Program } else { Audience::Spreadsheet };
    let mut export = Export::begin(&export_dir, audience)?;
    engine_at::download(matches, "/api/v1/admin/export", &mut |bytes| export.take(bytes))?;
    let Announced { position, taken_at, rows } = export.finish()?;
    export_dir.finish()?;
    print(&format!(
        "exported {} of {} at position {position}, {}, to {}\n",
        count(rows.iter().sum(), "row"),
        count(u64::try_from(rows.len()).unwrap_or(u64::MAX), "table"),
        plain(&taken_at),
        plain(&dir.display().to_string()),
    ))
}

/// An export that is being written.
struct Export {
    reader: Reader,
    files: Files,
}

/// Where its rows go.
struct Files {
    csv: CsvFiles,
    sqlite: SqliteFile,
    bar: Option<ProgressBar>,
    rows: u64,
    announced: Option<Announced>,
}

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl Export {
    fn begin(dir: &ExportDir, audience: Audience) -> Result<Self, Failure> {
        let (csv, sqlite) = (CsvFiles::create(dir.partial(), audience)?, SqliteFile::create(dir.partial())?);
        let files = Files { csv, sqlite, bar: None, rows: 0, announced: None };
        Ok(Self { reader: Reader::default(), files })
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let Self { reader, files } = self;
        reader.push(bytes, &mut |line| files.line(line))
    }

    /// Makes sure that all of it came and is on disk.
    fn finish(self) -> Result<Announced, Failure> {
        self.reader.finish()?;
        let Files { csv, sqlite, bar, announced, .. } = self.files;
        csv.finish()?;
        sqlite.finish()?;
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        announced.ok_or_else(|| StreamError::Cut.into())
    }
}

impl Files {
    fn line(&mut self, line: Line<'_>) -> Result<(), Failure> {
        match line {
            Line::Announced(announced) => {
                self.bar = bar(announced.rows.iter().sum());
                self.announced = Some(announced.clone());
            }
            Line::Row(table, values) => {
                self.csv.row(table, &values)?;
                self.sqlite.row(table, &values)?;
                self.rows += 1;
                if let Some(bar) = &self.bar
                    && self.rows.is_multiple_of(BAR_STEP)
                {
                    bar.set_position(self.rows);
                }
            }
        }
        Ok(())
    }
}

/// Makes a bar, where there is someone to see it.
fn bar(rows: u64) -> Option<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return None;
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} rows, {per_sec}, {eta} left").ok()?;
    Some(ProgressBar::new(rows).with_style(style))
}

/// Returns the name of a table's CSV file.
fn csv_name(table: Table) -> String {
    format!("{}.csv", table.name())
}
