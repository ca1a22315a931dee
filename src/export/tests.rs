//! The tables fit together, and a stream is read as it was written or not at all.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn taken() -> Taken {
    Taken { position: Position::new(7), at: Timestamp::from_millis(1_800_000_000_000), log_id: 0xab }
}

#[test]
fn every_key_names_columns_and_a_foreign_key_the_primary_key_of_a_table_before_it() {
    for table in Table::ALL {
        let schema = table.schema();
        let columns: BTreeSet<&str> = schema.column_names().collect();
        assert_eq!(columns.len(), schema.columns.len(), "{}: no name twice", schema.name);
        assert_eq!(Table::named(schema.name), Some(table));
        let keys = schema.foreign_keys.iter().map(|key| key.columns);
        for key in keys.chain(schema.indices.iter().copied()).chain([schema.primary_key]) {
            assert!(key.iter().all(|name| columns.contains(name)), "{}: {key:?}", schema.name);
        }
        for key in schema.foreign_keys {
            let other = key.table.schema();
            assert!(key.table.index() < table.index(), "{} before {}", other.name, schema.name);
            let kind = |schema: &Schema, name: &str| {
                schema.columns.iter().find(|column| column.name == name).map(|column| column.kind)
            };
            let here = key.columns.iter().map(|name| kind(schema, name));
            assert!(here.eq(other.primary_key.iter().map(|name| kind(other, name))), "{}", schema.name);
        }
        for column in schema.columns.iter().filter(|column| schema.primary_key.contains(&column.name)) {
            assert!(!column.nullable, "{}.{}: a key is never null", schema.name, column.name);
        }
        let money = ["price", "amount", "balance", "balance_after"];
        let has_money = columns.iter().any(|name| money.contains(name));
        assert_eq!(has_money, columns.contains("currency") && has_money, "{}: its currency", schema.name);
    }
}

/// Rows of users: any text in them must survive.
fn user(id: &str, name: Option<&str>) -> Vec<Value<'static>> {
    let name = name.map(str::to_owned);
    vec![id.to_owned().into(), "active".into(), Value::Null, name.into(), Value::Null]
}

/// An export of these users, as bytes.
fn written(users: &[Vec<Value<'static>>]) -> Vec<u8> {
    let mut rows = [0; Table::ALL.len()];
    rows[Table::Users.index()] = u64::try_from(users.len()).unwrap();
    let mut writer = Writer::new(&taken(), &rows);
    for user in users {
        writer.row(Table::Users, user);
    }
    writer.complete();
    writer.take()
}

/// What a reader makes of bytes that come in pieces of `length`.
fn read(bytes: &[u8], length: usize) -> Result<Vec<(Table, String)>, StreamError> {
    let (mut reader, mut rows) = (Reader::default(), Vec::new());
    for piece in bytes.chunks(length) {
        reader.push(piece, &mut |line| {
            if let Line::Row(table, values) = line {
                rows.push((table, format!("{values:?}")));
            }
            Ok::<(), StreamError>(())
        })?;
    }
    reader.finish()?;
    Ok(rows)
}

proptest! {
    #[test]
    fn a_stream_is_read_as_it_was_written_however_it_is_cut_into_pieces(
        names in prop::collection::vec(prop::option::of(any::<String>()), 0..8),
        length in 1_usize..200,
    ) {
        let users: Vec<_> =
            names.iter().enumerate().map(|(id, name)| user(&id.to_string(), name.as_deref())).collect();
        let expected: Vec<_> = users.iter().map(|row| (Table::Users, format!("{row:?}"))).collect();
        prop_assert_eq!(read(&written(&users), length), Ok(expected));
    }

    #[test]
    fn a_stream_that_was_cut_anywhere_is_no_export(at in 0_usize..10_000) {
        let bytes = written(&[user("kim", Some("Kim")), user("lee", None)]);
        prop_assert_eq!(read(&bytes[..at % bytes.len()], 4_096), Err(StreamError::Cut));
    }
}

#[test]
fn what_is_no_line_of_an_export_is_refused_with_its_number() {
    let whole = String::from_utf8(written(&[user("kim", None)])).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let [header, row, trailer] = lines[..] else { panic!("three lines: {whole}") };
    let check = |text: String, line: u64, what: &'static str| {
        assert_eq!(read(text.as_bytes(), 64), Err(StreamError::Line { line, what }), "{text}");
    };
    check(format!("{row}\n"), 1, "a row comes before the first line");
    check("{}\n".to_owned(), 1, "it doesn't say what the export is of");
    check(format!("{header}\n[\"users\",\"kim\"]\n"), 2, "its values don't fit its table's columns");
    check(
        format!("{header}\n[\"users\",null,\"active\",null,null,null]\n"),
        2,
        "its values don't fit its table's columns",
    );
    check(
        format!("{header}\n[\"users\",1,\"active\",null,null,null]\n"),
        2,
        "its values don't fit its table's columns",
    );
    check(
        format!("{header}\n[\"accounts\",\"kim\",\"1\",\"KRW\",null]\n"),
        2,
        "its values don't fit its table's columns",
    );
    check(format!("{header}\n[\"secrets\",1]\n"), 2, "it names no table");
    check(format!("{header}\n[\"users\",1.5]\n"), 2, "it isn't a row");
    check(format!("{header}\n\n{header}\n"), 3, "it is neither a row nor the last line");
    check(format!("{header}\n{trailer}\n"), 2, "it counts other rows than came");
    check(format!("{header}\n{row}\n{trailer}\n{row}\n"), 4, "something follows the last line");
}

#[test]
fn rows_that_were_announced_and_did_not_come_are_missed() {
    let mut rows = [0; Table::ALL.len()];
    rows[Table::Users.index()] = 2;
    let mut writer = Writer::new(&taken(), &rows);
    writer.row(Table::Users, &user("kim", None));
    writer.complete();
    let missed = StreamError::Miscounted { table: "users", announced: 2, found: 1 };
    assert_eq!(read(&writer.take(), 64), Err(missed));
}

#[test]
fn an_engine_of_other_tables_and_one_that_cannot_go_on_are_told() {
    let whole = String::from_utf8(written(&[])).unwrap();
    let other = whole.replace("\"balance_after\"", "\"balance\"");
    assert!(matches!(read(other.as_bytes(), 64), Err(StreamError::OtherVersion { .. })));
    let version = |version: u32| format!("\"schemaVersion\":{version}");
    let other = whole.replace(&version(SCHEMA_VERSION), &version(SCHEMA_VERSION + 1));
    assert!(matches!(read(other.as_bytes(), 64), Err(StreamError::OtherVersion { .. })));
    let header = whole.lines().next().unwrap();
    let mut failed = format!("{header}\n").into_bytes();
    failed.extend(Writer::failure("the disk is gone"));
    assert_eq!(read(&failed, 64), Err(StreamError::Failed("the disk is gone".into())));
    assert_eq!(
        read(&Writer::failure("before it began"), 64),
        Err(StreamError::Failed("before it began".into()))
    );
}
