//! A CSV file with a line of column names, whose cells know where they stand.

use std::fmt;
use std::sync::Arc;

use super::wrong::Wrong;

/// The most lines of a file.
const LINES_MAX: usize = 2_000_000;

/// A CSV file: its name for errors, and its text.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) text: String,
}

/// Where a cell stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    file: Arc<str>,
    line: u64,
    /// The column's name as the file has it.
    column: Option<Arc<str>>,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        self.column.as_ref().map_or(Ok(()), |column| write!(f, ": {column}"))
    }
}

/// What a file was read to.
pub(super) struct Table {
    file: Arc<str>,
    /// The line of the columns' names.
    first: u64,
    columns: Vec<Column>,
    lines: Vec<(u64, csv::StringRecord)>,
}

/// How a file is written: spreadsheets have semicolons where the comma is the decimal mark, and databases' own tools have tabs.
#[derive(Debug, PartialEq, Eq)]
struct Dialect {
    delimiter: u8,
    /// The length of the line that says so (`sep=;`), with its end.
    skipped: usize,
}

impl Dialect {
    /// Finds how a file is written: as it says itself, else by the mark that stands most often in the line of names.
    fn of(text: &str) -> Self {
        let line = text.split_inclusive('\n').next().unwrap_or_default();
        let said = line.trim_end().as_bytes();
        if let [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter @ (b',' | b';' | b'\t')] = said {
            return Self { delimiter: *delimiter, skipped: line.len() };
        }
        // As `trim_end` takes a tab away.
        if line.trim_end_matches(['\r', '\n']).eq_ignore_ascii_case("sep=\t") {
            return Self { delimiter: b'\t', skipped: line.len() };
        }

        let count = |mark: char| line.matches(mark).count();
        let most = [(b';', count(';')), (b'\t', count('\t'))].into_iter().max_by_key(|(_, count)| *count);
        let delimiter = most.filter(|(_, most)| *most > count(',')).map_or(b',', |(mark, _)| mark);
        Self { delimiter, skipped: 0 }
    }
}

struct Column {
    name: Arc<str>,
    /// Its name in small letters, without what joins words: `seat_number` and `seatNumber` are one.
    key: String,
    read: bool,
}

/// A column that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(usize);

impl Table {
    /// Reads a file. What isn't CSV, and lines of another length than the first, are wrong.
    pub(super) fn read(file: &File, wrong: &mut Wrong<Cell>) -> Self {
        let name: Arc<str> = file.name.as_str().into();
        let at = |line| Cell { file: name.clone(), line, column: None };
        let Dialect { delimiter, skipped } = Dialect::of(&file.text);
        let rest = &file.text.as_bytes()[skipped..];
        let mut reader = csv::ReaderBuilder::new().flexible(true).delimiter(delimiter).from_reader(rest);
        let first = if skipped == 0 { 1 } else { 2 };
        let columns: Vec<Column> = match reader.headers() {
            Ok(names) => names.iter().map(Column::new).collect(),
            Err(error) => {
                wrong.note(at(first), error.to_string());
                Vec::new()
            }
        };
        for (index, column) in columns.iter().enumerate() {
            // Nobody could tell which of the two is meant.
            let same = columns[..index].iter().position(|other| other.key == column.key);
            if let Some(same) = same.filter(|_| !column.key.is_empty()) {
                let place = Cell { file: name.clone(), line: first, column: Some(column.name.clone()) };
                wrong.note(place, format!("column {} has the same name as column {}", index + 1, same + 1));
            }
        }

        let mut lines = Vec::new();
        let mut counter = LineCounter::new(&file.text, skipped);
        for record in reader.records() {
            match record {
                Ok(record) => {
                    let line = record.position().map_or(0, |start| counter.line(start));
                    if record.len() != columns.len() {
                        let (has, named) = (record.len(), columns.len());
                        let is_long = record.iter().any(|field| field.contains('\n'));
                        let quote = if is_long { "; a quotation mark may lack its other" } else { "" };
                        wrong.note(
                            at(line),
                            format!("has {has} fields, but the first line names {named}{quote}"),
                        );
                    } else if lines.len() < LINES_MAX {
                        lines.push((line, record));
                    } else {
                        wrong.note(at(line), format!("is one line too many: at most {LINES_MAX} are read"));
                        break;
                    }
                }
                Err(error) => {
                    let line = error.position().map_or(0, |start| counter.line(start));
                    wrong.note(at(line), error.to_string());
                    break;
                }
            }
        }
        Self { file: name, first, columns, lines }
    }

    /// Finds the first of these columns that there is.
    pub(super) fn column(&mut self, keys: &[&str]) -> Option<Place> {
        let index = keys.iter().find_map(|key| self.columns.iter().position(|column| column.key == *key))?;
        self.columns[index].read = true;
        Some(Place(index))
    }

    /// Finds a column that must be there: one of these.
    pub(super) fn needed(&mut self, keys: &[&str], wrong: &mut Wrong<Cell>) -> Option<Place> {
        let found = self.column(keys);
        if found.is_none() {
            let place = Cell { file: self.file.clone(), line: self.first, column: None };
            wrong.note(place, format!("needs a column {}", keys.join(" or ")));
        }
        found
    }

    /// Returns the lines.
    pub(super) fn lines(&self) -> impl ExactSizeIterator<Item = Line<'_>> {
        self.lines.iter().map(|(line, record)| Line { table: self, line: *line, record })
    }

    /// Returns the names of the columns that nobody asked for.
    pub(super) fn unread(&self) -> Vec<&str> {
        self.columns.iter().filter(|column| !column.read).map(|column| &*column.name).collect()
    }
}

/// Counts the lines of a text up to places that come in order. The reader's own count leaves out what stands between two records.
struct LineCounter<'t> {
    text: &'t str,
    /// How much of it the reader hasn't got.
    skipped: usize,
    at: usize,
    line: u64,
}

impl<'t> LineCounter<'t> {
    const fn new(text: &'t str, skipped: usize) -> Self {
        Self { text, skipped, at: 0, line: 1 }
    }

    /// Returns the line on which the record begins whose position this is. The ends of lines before it are part of the position.
    fn line(&mut self, start: &csv::Position) -> u64 {
        let start = usize::try_from(start.byte()).unwrap_or(usize::MAX).saturating_add(self.skipped);
        let start = start.min(self.text.len());
        let rest = self.text.as_bytes().get(start..).unwrap_or_default();
        let skipped = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = self.text.as_bytes().get(self.at..start + skipped).unwrap_or_default();
        let ends = memchr::memchr_iter(b'\n', passed).count();
        self.line += u64::try_from(ends).unwrap_or_default();
        self.at = start + skipped;
        self.line
    }
}

impl Column {
    fn new(name: &str) -> Self {
        let letters = name.trim().chars().filter(|c| !matches!(c, '_' | '-' | ' ' | '.'));
        Self { name: name.trim().into(), key: letters.flat_map(char::to_lowercase).collect(), read: false }
    }
}

/// A line of a table.
#[derive(Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "its number is what people call the line")]
pub(super) struct Line<'t> {
    table: &'t Table,
    line: u64,
    record: &'t csv::StringRecord,
}

impl<'t> Line<'t> {
    /// Returns the text in a column, unless it is empty or null as databases write it.
    pub(super) fn text(&self, place: Option<Place>) -> Option<&'t str> {
        let text = self.record.get(place?.0)?.trim();
        (!matches!(text, "" | "NULL" | "null" | "\\N")).then_some(text)
    }

    /// Returns the text in a column, which must be there.
    pub(super) fn needed(&self, place: Option<Place>, wrong: &mut Wrong<Cell>) -> Option<&'t str> {
        let text = self.text(place);
        if text.is_none() && place.is_some() {
            wrong.note(self.cell(place), "is empty");
        }
        text
    }

    /// Says where a cell is; without a column the whole line.
    pub(super) fn cell(&self, place: Option<Place>) -> Cell {
        let column = place.map(|place| self.table.columns[place.0].name.clone());
        Cell { file: self.table.file.clone(), line: self.line, column }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Table, Wrong<Cell>) {
        let mut wrong = Wrong::default();
        let table = Table::read(&File { name: "t.csv".into(), text: text.into() }, &mut wrong);
        (table, wrong)
    }

    #[test]
    fn a_cell_knows_its_line_and_its_columns_name() {
        let (mut table, mut wrong) = read("seatNumber,Note\r\n1,\"two\nlines\"\r\n\r\n NULL ,\\N\r\n3,\r\n");
        let (number, note) = (table.column(&["number", "seatnumber"]), table.column(&["note"]));
        let lines: Vec<Line<'_>> = table.lines().collect();
        assert_eq!(lines[0].text(note), Some("two\nlines"));
        assert_eq!(
            (lines[1].text(number), lines[1].text(note), lines[2].text(number)),
            (None, None, Some("3"))
        );
        assert_eq!(lines[1].needed(number, &mut wrong), None);
        assert_eq!(wrong.tell(ToString::to_string), "t.csv:5: seatNumber: is empty");
        assert_eq!(lines[2].cell(None).to_string(), "t.csv:6");
    }

    #[test]
    fn a_file_may_have_semicolons_or_tabs_and_say_so() {
        for (text, line) in [
            ("id;name\n1;a,b\n", 2),
            ("id\tname\n1\ta,b\n", 2),
            ("id,name\n1,\"a,b\"\n", 2),
            ("sep=;\r\nid;name\r\n\r\n1;a,b\r\n", 4),
            ("SEP=\t\nid\tname\n1\ta,b\n", 3),
            ("sep=,\nid,name\n1,\"a,b\"\n", 3),
        ] {
            let (mut table, wrong) = read(text);
            let name = table.column(&["name"]);
            let lines: Vec<Line<'_>> = table.lines().collect();
            assert_eq!(wrong.tell(ToString::to_string), "", "{text:?}");
            assert_eq!(lines[0].text(name), Some("a,b"), "{text:?}");
            assert_eq!(lines[0].cell(name).to_string(), format!("t.csv:{line}: name"), "{text:?}");
        }
        let (mut table, mut wrong) = read("sep=;\nid;name\n1\n");
        assert_eq!(table.needed(&["price"], &mut wrong), None);
        let told = "t.csv:3: has 1 fields, but the first line names 2\nt.csv:2: needs a column price";
        assert_eq!(wrong.tell(ToString::to_string), told);
    }

    #[test]
    fn two_columns_of_one_name_and_a_quotation_mark_without_its_other_are_wrong() {
        let (_, wrong) = read("seat_id,price,,Price,seatId,\n1,2,3,4,5,6\n");
        assert_eq!(
            wrong.tell(ToString::to_string),
            "t.csv:1: Price: column 4 has the same name as column 2\n\
             t.csv:1: seatId: column 5 has the same name as column 1"
        );
        let (_, wrong) = read("id,name\n1,\"a\n2,b\n");
        assert_eq!(wrong.tell(ToString::to_string), "");
        let (_, wrong) = read("id,name,note\n1,\"a,b\n2,b,c\n");
        assert_eq!(
            wrong.tell(ToString::to_string),
            "t.csv:2: has 2 fields, but the first line names 3; a quotation mark may lack its other"
        );
    }

    #[test]
    fn a_line_of_another_length_and_a_missing_column_are_wrong() {
        let (mut table, mut wrong) = read("id,name\n1,a\n2\n3,b,c\n");
        assert_eq!(table.needed(&["price"], &mut wrong), None);
        assert_eq!(table.lines().len(), 1);
        assert!(table.column(&["id"]).is_some());
        assert_eq!(table.unread(), ["name"]);
        assert_eq!(
            wrong.tell(ToString::to_string),
            "t.csv:3: has 1 fields, but the first line names 2\n\
             t.csv:4: has 3 fields, but the first line names 2\n\
             t.csv:1: needs a column price"
        );
    }
}
