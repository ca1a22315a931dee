//! Seats in Redis: a hash a schedule, one script an operation. How durable a reply is, Redis' own settings say (`appendfsync`).

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context, Result, bail};

use super::{
    hall::SeatId,
    resp::{Connection, Reply, command},
    store::{Hold, Paid, Payment, Store},
};

const BALANCES: &[u8] = b"balances";
const PAYMENTS: &[u8] = b"payments";
/// How many seats are made at once.
const SEATS_AT_ONCE: u32 = 5000;
/// The digits of an instant and of a nonce.
const AT_LEN: usize = 13;
const NONCE_LEN: usize = 16;

pub(super) struct Redis {
    connections: Vec<Connection>,
    next: AtomicUsize,
    hold: Vec<u8>,
    release: Vec<u8>,
    pay: Vec<u8>,
}

impl Redis {
    pub(super) async fn connect(address: SocketAddr, connections: usize) -> Result<Self> {
        let mut open = Vec::with_capacity(connections);
        for _ in 0..connections {
            open.push(Connection::open(address).await?);
        }
        let first = open.first().context("no connection to Redis")?;
        Ok(Self {
            hold: load(first, include_str!("hold.lua")).await?,
            release: load(first, include_str!("release.lua")).await?,
            pay: load(first, include_str!("pay.lua")).await?,
            connections: open,
            next: AtomicUsize::new(0),
        })
    }

    async fn ask(&self, parts: &[&[u8]]) -> Result<Reply> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.connections.len();
        self.connections[turn].ask(command(parts)).await
    }
}

/// Loads a script and returns its name.
async fn load(connection: &Connection, script: &str) -> Result<Vec<u8>> {
    let reply = connection.ask(command(&[b"SCRIPT", b"LOAD", script.as_bytes()])).await?;
    let Reply::Text(name) = reply else { bail!("a loaded script is {reply:?}") };
    Ok(name)
}

fn key(schedule: u16) -> Vec<u8> {
    format!("seats:{schedule}").into_bytes()
}

/// What a hold's value ends with.
fn holder(id: SeatId, user: &str) -> String {
    format!("{:016x}{user}", id.nonce)
}

/// Reads the instant that a part of a value says.
fn at(digits: Option<&[u8]>) -> Result<i64> {
    let text = str::from_utf8(digits.context("a value that is too short")?)?;
    text.parse().context("an instant in a value")
}

/// What is noted of a payment: when, its nonce, and the hold.
fn note(payment: &Payment<'_>) -> String {
    format!("{:013}{:016x}{}", payment.now, payment.id.nonce, payment.hold)
}

fn read_note(note: &[u8]) -> Result<Paid> {
    let text = str::from_utf8(note)?;
    let (nonce, hold) = text.split_at_checked(AT_LEN + NONCE_LEN).context("a note that is too short")?;
    let hold: SeatId = hold.parse().ok().context("a note without its hold")?;
    let nonce = u64::from_str_radix(&nonce[AT_LEN..], 16)?;
    Ok(Paid::Done { hold, id: SeatId { nonce, ..hold }, at: at(note.get(..AT_LEN))? })
}

impl Store for Redis {
    async fn open(&self, schedule: u16, seats: u32) -> Result<()> {
        let key = key(schedule);
        let numbers: Vec<String> = (0..seats).map(|seat| seat.to_string()).collect();
        for numbers in numbers.chunks(usize::try_from(SEATS_AT_ONCE)?) {
            let mut parts: Vec<&[u8]> = vec![b"HSET", &key];
            parts.extend(numbers.iter().flat_map(|number| [number.as_bytes(), b""]));
            self.ask(&parts).await?;
        }
        Ok(())
    }

    async fn charge(&self, user: &str, amount: i64) -> Result<i64> {
        let amount = amount.to_string();
        let reply = self.ask(&[b"HINCRBY", BALANCES, user.as_bytes(), amount.as_bytes()]).await?;
        let Reply::Number(balance) = reply else { bail!("a balance is {reply:?}") };
        Ok(balance)
    }

    async fn hold(&self, hold: &Hold<'_>) -> Result<bool> {
        let (key, seat) = (key(hold.id.schedule), hold.id.seat.to_string());
        let value = format!("h{:013}{}", hold.expires_at, holder(hold.id, hold.user));
        let now = format!("{:013}", hold.now);
        let reply = self
            .ask(&[b"EVALSHA", &self.hold, b"1", &key, seat.as_bytes(), now.as_bytes(), value.as_bytes()])
            .await?;
        let Reply::Number(changed) = reply else { bail!("a hold is {reply:?}") };
        Ok(changed == 1)
    }

    async fn release(&self, id: SeatId, user: &str) -> Result<Option<i64>> {
        let (key, seat, holder) = (key(id.schedule), id.seat.to_string(), holder(id, user));
        let reply =
            self.ask(&[b"EVALSHA", &self.release, b"1", &key, seat.as_bytes(), holder.as_bytes()]).await?;
        match reply {
            Reply::Nothing => Ok(None),
            Reply::Text(value) => at(value.get(1..=AT_LEN)).map(Some),
            reply @ (Reply::Number(_) | Reply::Refused(_)) => bail!("a release is {reply:?}"),
        }
    }

    async fn pay(&self, payment: &Payment<'_>) -> Result<Paid> {
        let (key, seat) = (key(payment.hold.schedule), payment.hold.seat.to_string());
        let holder = holder(payment.hold, payment.user);
        let (now, amount) = (format!("{:013}", payment.now), payment.amount.to_string());
        // No user's id has a line's end in it, since no header has.
        let paid_by = format!("{}\n{}", payment.user, payment.key);
        let note = note(payment);
        let parts: [&[u8]; 13] = [
            b"EVALSHA",
            &self.pay,
            b"3",
            &key,
            BALANCES,
            PAYMENTS,
            seat.as_bytes(),
            holder.as_bytes(),
            now.as_bytes(),
            payment.user.as_bytes(),
            amount.as_bytes(),
            paid_by.as_bytes(),
            note.as_bytes(),
        ];
        match self.ask(&parts).await? {
            Reply::Text(note) => read_note(&note),
            Reply::Number(-1) => Ok(Paid::NotHeld),
            Reply::Number(-2) => Ok(Paid::InsufficientBalance),
            reply @ (Reply::Number(_) | Reply::Nothing | Reply::Refused(_)) => {
                bail!("a payment is {reply:?}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payments_note_is_read_as_it_was_written() {
        let hold = SeatId { schedule: 3, seat: 17, nonce: 5 };
        let id = SeatId { nonce: u64::MAX, ..hold };
        let now = 1_795_231_698_345;
        let payment = Payment { hold, id, user: "u", key: "k", amount: 1, now };
        let note = note(&payment);
        assert_eq!(read_note(note.as_bytes()).unwrap(), Paid::Done { hold, id, at: now });
        for cut in 0..note.len() {
            assert!(read_note(&note.as_bytes()[..cut]).is_err(), "{cut}");
        }
    }
}
