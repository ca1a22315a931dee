//! An export in memory, and what must hold in each.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::as_conversions, reason = "shared by tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use onsale::archive::ArchiveError;
use onsale::engine::Engine;
use onsale::export::{Sources, Table, Taken, Value, count, walk};

pub type Row = BTreeMap<&'static str, Value<'static>>;

/// The rows of each table, in the order in which they came.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tables(BTreeMap<Table, Vec<Row>>);

fn owned(value: &Value<'_>) -> Value<'static> {
    match value {
        Value::Null => Value::Null,
        Value::Integer(number) => Value::Integer(*number),
        Value::Text(text) => text.clone().into_owned().into(),
    }
}

pub fn text<'r>(row: &'r Row, name: &str) -> Option<&'r str> {
    match &row[name] {
        Value::Text(text) => Some(text),
        Value::Null => None,
        Value::Integer(_) => panic!("{name} is a number"),
    }
}

pub fn number(row: &Row, name: &str) -> u64 {
    u64::try_from(signed(row, name)).unwrap()
}

/// A number that may be below zero.
pub fn signed(row: &Row, name: &str) -> i64 {
    match &row[name] {
        Value::Integer(number) => *number,
        Value::Null | Value::Text(_) => panic!("{name} is no number: {row:?}"),
    }
}

fn key(row: &Row, columns: &[&str]) -> String {
    let values: Vec<_> = columns.iter().map(|name| &row[name]).collect();
    format!("{values:?}")
}

impl Tables {
    /// Collects what sources show, and checks that every row fits its table, is there once, and names only rows before it.
    pub fn of<E: Debug>(sources: &Sources<'_, E>) -> Self {
        let mut tables = Self::default();
        let mut keys: BTreeMap<Table, BTreeSet<String>> = BTreeMap::new();
        let walked = walk(sources, &mut |table, values| {
            let schema = table.schema();
            assert_eq!(values.len(), schema.columns.len(), "{}", schema.name);
            let row: Row = schema.column_names().zip(values.iter().map(owned)).collect();
            for column in schema.columns {
                assert!(
                    column.nullable || row[column.name] != Value::Null,
                    "{}.{}",
                    schema.name,
                    column.name
                );
            }
            let new = keys.entry(table).or_default().insert(key(&row, schema.primary_key));
            assert!(new, "{}: twice: {row:?}", schema.name);
            for foreign in schema.foreign_keys {
                let named = key(&row, foreign.columns);
                let nothing = foreign.columns.iter().any(|name| row[name] == Value::Null);
                let known = keys.get(&foreign.table).is_some_and(|keys| keys.contains(&named));
                assert!(nothing || known, "{}: no row of {:?} before {row:?}", schema.name, foreign.table);
            }
            tables.0.entry(table).or_default().push(row);
            Ok(())
        });
        walked.unwrap();
        let counts = count(sources).unwrap();
        for (table, count) in Table::ALL.iter().zip(counts) {
            assert_eq!(tables.rows(*table).len() as u64, count, "{}", table.name());
        }
        tables
    }

    /// Takes an export of an engine as it is now.
    pub fn of_engine(engine: &Engine) -> Self {
        let cut = engine.point_in_time(&|| true).unwrap();
        let taken = Taken { position: cut.position, at: cut.at, log_id: engine.journal().log_id() };
        let mut sources = Sources::<ArchiveError>::of(&cut.world, taken);
        sources.add_archive(engine.archive(), &cut.world);
        Self::of(&sources)
    }

    /// Returns the rows of every table but `meta`, whatever their order.
    pub fn sorted(&self) -> BTreeMap<&'static str, Vec<String>> {
        let tables = Table::ALL.into_iter().filter(|table| *table != Table::Meta);
        let rows = |table| {
            let mut rows: Vec<String> = self.rows(table).iter().map(|row| format!("{row:?}")).collect();
            rows.sort_unstable();
            rows
        };
        tables.map(|table| (table.name(), rows(table))).collect()
    }

    pub fn forget(&mut self, table: Table) {
        self.0.remove(&table);
    }

    pub fn rows(&self, table: Table) -> &[Row] {
        self.0.get(&table).map_or(&[], Vec::as_slice)
    }

    pub fn find(&self, table: Table, column: &str, value: &str) -> Vec<&Row> {
        self.rows(table).iter().filter(|row| text(row, column) == Some(value)).collect()
    }

    /// Checks what holds at any position: M1, M2 as far as payments have come, S1 and S2.
    pub fn check(&self) {
        self.check_accounts();
        self.check_payments();
        self.check_seats();
    }

    /// M1: a balance is the sum of its movements, in their order.
    fn check_accounts(&self) {
        let mut total = 0;
        for account in self.rows(Table::Accounts) {
            let user = text(account, "user_id").unwrap();
            let (mut balance, mut last) = (0, 0);
            for moved in self.find(Table::Transactions, "user_id", user) {
                let (amount, ordinal) = (number(moved, "amount"), number(moved, "ordinal"));
                balance = match text(moved, "type").unwrap() {
                    "charge" | "refund" => balance + amount,
                    "payment" => balance - amount,
                    other => panic!("{other}"),
                };
                assert_eq!(balance, number(moved, "balance_after"), "M1: {moved:?}");
                assert!(ordinal > last, "in order");
                last = ordinal;
            }
            assert_eq!(balance, number(account, "balance"), "M1: {account:?}");
            total += balance;
        }
        let sum = |kind: &str| -> u64 {
            self.find(Table::Transactions, "type", kind).iter().map(|row| number(row, "amount")).sum()
        };
        assert_eq!(sum("charge") + sum("refund") - sum("payment"), total, "M1, all together");
    }

    /// M2: who has a confirmed reservation has paid for it, once; and what was taken is on record.
    fn check_payments(&self) {
        for reservation in self.find(Table::Reservations, "status", "confirmed") {
            let id = text(reservation, "reservation_id").unwrap();
            let standing: Vec<_> = self
                .find(Table::Payments, "reservation_id", id)
                .into_iter()
                .filter(|payment| matches!(text(payment, "status"), Some("completed" | "pending")))
                .collect();
            let [payment] = standing[..] else { panic!("M2: {reservation:?}: {standing:?}") };
            assert_eq!(text(reservation, "payment_id"), text(payment, "payment_id"));
            assert_eq!(number(reservation, "amount"), number(payment, "amount"), "M2");
            if self.is_order(id) {
                continue;
            }
            let taken = self.moved(payment, "payment");
            assert_eq!(taken, [number(payment, "amount")], "M2: the money was taken before: {payment:?}");
            assert!(self.moved(payment, "refund").is_empty(), "M2: and not given back: {payment:?}");
        }
        for payment in self.rows(Table::Payments) {
            let (taken, back) = (self.moved(payment, "payment"), self.moved(payment, "refund"));
            let amount = number(payment, "amount");
            if self.is_order(text(payment, "reservation_id").unwrap()) {
                self.check_order(payment);
                assert_eq!((taken, back), (vec![], vec![]), "no balance pays for an order: {payment:?}");
                continue;
            }
            // What a gateway has, no account has.
            if text(payment, "order_id").is_some() {
                assert_eq!((taken, back), (vec![], vec![]), "{payment:?}");
                continue;
            }
            match text(payment, "status").unwrap() {
                "ready" | "failed" => assert_eq!((taken, back), (vec![], vec![]), "{payment:?}"),
                "completed" => assert_eq!((taken, back), (vec![amount], vec![]), "{payment:?}"),
                // Nothing moves for nothing.
                "refunded" => {
                    let due = number(payment, "refund_amount");
                    let due = if due == 0 { vec![] } else { vec![due] };
                    assert_eq!((taken, back), (vec![amount], due), "M3: {payment:?}");
                }
                // On its way: the movement comes before the payment says so.
                "pending" | "refunding" => assert!(taken.len() <= 1 && back.len() <= 1, "{payment:?}"),
                other => panic!("{other}"),
            }
            if text(payment, "status") == Some("completed") {
                let reservation = text(payment, "reservation_id").unwrap();
                let reservations = self.find(Table::Reservations, "reservation_id", reservation);
                let [reservation] = reservations[..] else { panic!("kept: {payment:?}") };
                // A cancelled one's refund begins a moment later.
                let status = text(reservation, "status").unwrap();
                assert!(matches!(status, "confirmed" | "cancelled"), "M2: {payment:?}: {status}");
            }
        }
    }

    pub fn is_order(&self, reservation: &str) -> bool {
        !self.find(Table::Orders, "reservation_id", reservation).is_empty()
    }

    /// An order is its payment: of its amount, completed with it, and given back by hand.
    fn check_order(&self, payment: &Row) {
        let reservation = text(payment, "reservation_id").unwrap();
        let [order] = self.find(Table::Orders, "reservation_id", reservation)[..] else {
            panic!("one order: {payment:?}")
        };
        let [kept] = self.find(Table::Reservations, "reservation_id", reservation)[..] else {
            panic!("an order is kept: {payment:?}")
        };
        assert_eq!(text(order, "payment_id"), text(payment, "payment_id"));
        assert_eq!(text(order, "method"), text(payment, "method"));
        assert_eq!((&kept["amount"], &kept["user_id"]), (&payment["amount"], &payment["user_id"]));
        assert_eq!(kept["confirmed_at"], payment["completed_at"]);
        let status = text(payment, "status").unwrap();
        match text(kept, "status").unwrap() {
            "confirmed" => assert_eq!((status, &payment["refund_amount"]), ("completed", &Value::Null)),
            "cancelled" => {
                assert_eq!(payment["refund_amount"], kept["refund_amount"], "{payment:?}");
                let is_owed = number(payment, "refund_amount") > 0;
                assert_eq!(status, if is_owed { "refunding" } else { "refunded" });
            }
            other => panic!("an order is confirmed or cancelled, not {other}"),
        }
    }

    /// A reservation's lines add up to its amount and to what goes back, and those of its places to their prices.
    fn check_lines(&self, reservation: &Row, seats: &[&Row], areas: &[&Row]) {
        let id = text(reservation, "reservation_id").unwrap();
        let lines = self.find(Table::ReservationLines, "reservation_id", id);
        let sum = |is_in: &dyn Fn(&Row) -> bool| -> i64 {
            lines.iter().filter(|line| is_in(line)).map(|line| signed(line, "amount")).sum()
        };
        for line in &lines {
            assert_eq!(
                signed(line, "amount"),
                signed(line, "unit_amount") * signed(line, "count"),
                "{line:?}"
            );
        }
        assert_eq!(sum(&|_| true), signed(reservation, "amount"), "{reservation:?}: {lines:?}");

        let back = sum(&|line| number(line, "refundable") == 1).clamp(0, signed(reservation, "amount"));
        assert_eq!(back, signed(reservation, "refund_amount"), "{reservation:?}: {lines:?}");
        let places: i64 = seats.iter().map(|seat| signed(seat, "price")).sum::<i64>()
            + areas.iter().map(|area| signed(area, "price") * signed(area, "count")).sum::<i64>();
        let is_place = |line: &Row| matches!(text(line, "kind"), Some("seat" | "area"));
        assert_eq!(sum(&is_place), places, "{reservation:?}: {lines:?}");

        // What its cancellation gives back is what goes back.
        let cancelled = text(reservation, "status") == Some("cancelled");
        for payment in self.find(Table::Payments, "reservation_id", id) {
            let refunds = text(payment, "failure_code") == Some("reservation_cancelled");
            if cancelled && refunds && reservation["payment_id"] == payment["payment_id"] {
                let (back, owed) = (number(payment, "refund_amount"), number(reservation, "refund_amount"));
                // Whoever has the money may have given more of it back.
                let is_more = text(payment, "order_id").is_some() && number(payment, "amount") >= back;
                assert!(back == owed || (is_more && back > owed), "{payment:?}: {owed}");
            }
        }
    }

    /// What moved for a payment.
    fn moved(&self, payment: &Row, kind: &str) -> Vec<u64> {
        let id = text(payment, "payment_id").unwrap();
        let moved = self.find(Table::Transactions, "payment_id", id);
        let moved = moved.into_iter().filter(|row| text(row, "type") == Some(kind));
        moved.map(|row| number(row, "amount")).collect()
    }

    /// S1, S2 and A1: each seat has the status that its one live reservation gives it, an area as many places of a status as its live
    /// reservations have, and the counts add up.
    fn check_seats(&self) {
        let mut owners: BTreeMap<(String, String), &str> = BTreeMap::new();
        let mut placed: BTreeMap<(String, String, &str), u64> = BTreeMap::new();
        for reservation in self.rows(Table::Reservations) {
            let id = text(reservation, "reservation_id").unwrap();
            let seats = self.find(Table::ReservationSeats, "reservation_id", id);
            let areas = self.find(Table::ReservationAreas, "reservation_id", id);
            let in_areas: u64 = areas.iter().map(|area| number(area, "count")).sum();
            assert_eq!(seats.len() as u64 + in_areas, number(reservation, "seats"));
            self.check_lines(reservation, &seats, &areas);
            let status = match text(reservation, "status").unwrap() {
                "held" | "paying" => "held",
                "confirmed" => "reserved",
                _ => continue,
            };
            for area in areas {
                let (schedule, id) = (text(area, "schedule_id").unwrap(), text(area, "area_id").unwrap());
                *placed.entry((schedule.into(), id.into(), status)).or_default() += number(area, "count");
            }
            for seat in seats {
                let place =
                    (text(seat, "schedule_id").unwrap().into(), text(seat, "seat_id").unwrap().into());
                assert_eq!(owners.insert(place, status), None, "S1: {seat:?}");
            }
        }
        let mut counts: BTreeMap<(String, &str), u64> = BTreeMap::new();
        for seat in self.rows(Table::Seats) {
            let schedule = text(seat, "schedule_id").unwrap();
            let place = (schedule.to_owned(), text(seat, "seat_id").unwrap().to_owned());
            let status = text(seat, "status").unwrap();
            match owners.get(&place) {
                Some(owner) => assert_eq!(status, *owner, "S1: {seat:?}"),
                None => assert!(matches!(status, "available" | "blocked"), "S1: {seat:?}"),
            }
            *counts.entry((schedule.to_owned(), status)).or_default() += 1;
        }
        for area in self.rows(Table::Areas) {
            let (schedule, id) = (text(area, "schedule_id").unwrap(), text(area, "area_id").unwrap());
            let mut total = 0;
            for status in ["available", "held", "reserved", "blocked"] {
                let count = number(area, status);
                if matches!(status, "held" | "reserved") {
                    let own = placed.get(&(schedule.into(), id.into(), status)).copied();
                    assert_eq!(count, own.unwrap_or_default(), "A1: {area:?}");
                }
                *counts.entry((schedule.to_owned(), status)).or_default() += count;
                total += count;
            }
            assert_eq!(total, number(area, "capacity"), "A1: {area:?}");
        }
        for schedule in self.rows(Table::Schedules) {
            let id = text(schedule, "schedule_id").unwrap();
            let count = |status| counts.get(&(id.to_owned(), status)).copied().unwrap_or_default();
            let mut total = 0;
            for status in ["available", "held", "reserved", "blocked"] {
                assert_eq!(number(schedule, &format!("seats_{status}")), count(status), "S2: {schedule:?}");
                total += count(status);
            }
            assert_eq!(number(schedule, "seats"), total, "S2");
        }
    }
}
