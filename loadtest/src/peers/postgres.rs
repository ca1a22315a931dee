//! Seats in Postgres: a row a seat, one prepared statement an operation, each a transaction of its own.
//!
//! Statements are pipelined over all connections in turn. A backend commits one after another, and Postgres syncs once for all
//! backends that commit at the time; so there are many connections.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context, Result};
use tokio_postgres::{Client, Config, NoTls, Statement, error::SqlState};

use super::{
    hall::SeatId,
    store::{Hold, Paid, Payment, Store},
};

/// The superuser of the cluster, which is this run's alone.
pub(crate) const USER: &str = "onsale";
/// `pay` raises them.
const NOT_HELD: &str = "ON001";
const INSUFFICIENT_BALANCE: &str = "ON002";

struct Session {
    client: Client,
    hold: Statement,
    release: Statement,
    pay: Statement,
}

pub(super) struct Postgres {
    sessions: Vec<Session>,
    next: AtomicUsize,
}

impl Postgres {
    /// Connects and makes the tables.
    pub(super) async fn connect(address: SocketAddr, connections: usize) -> Result<Self> {
        connect(address)
            .await?
            .batch_execute(include_str!("schema.sql"))
            .await
            .context("making the tables")?;
        let mut sessions = Vec::with_capacity(connections);
        for _ in 0..connections {
            sessions.push(Session::open(address).await?);
        }
        Ok(Self { sessions, next: AtomicUsize::new(0) })
    }

    fn session(&self) -> &Session {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.sessions.len();
        &self.sessions[turn]
    }
}

async fn connect(address: SocketAddr) -> Result<Client> {
    let mut config = Config::new();
    config.host(address.ip().to_string()).port(address.port()).user(USER).dbname("postgres");
    let (client, connection) = config.connect(NoTls).await.context("connecting to Postgres")?;
    // Its error is seen by whoever asks.
    tokio::spawn(connection);
    Ok(client)
}

impl Session {
    async fn open(address: SocketAddr) -> Result<Self> {
        let client = connect(address).await?;
        let hold = client
            .prepare(
                "UPDATE seats SET status = 'h', nonce = $3, user_id = $4, expires_at = $5
                 WHERE schedule = $1 AND seat = $2 AND (status = 'a' OR (status = 'h' AND expires_at <= $6))",
            )
            .await?;
        let release = client
            .prepare(
                "UPDATE seats SET status = 'a'
                 WHERE schedule = $1 AND seat = $2 AND status = 'h' AND nonce = $3 AND user_id = $4
                 RETURNING expires_at",
            )
            .await?;
        let pay = client.prepare("SELECT * FROM pay($1, $2, $3, $4, $5, $6, $7, $8)").await?;
        Ok(Self { client, hold, release, pay })
    }
}

/// Returns an id's numbers as Postgres has them.
fn columns(id: SeatId) -> Result<(i32, i32, i64)> {
    Ok((id.schedule.into(), i32::try_from(id.seat)?, id.nonce.cast_signed()))
}

impl Store for Postgres {
    async fn open(&self, schedule: u16, seats: u32) -> Result<()> {
        let client = &self.session().client;
        let seats = i32::try_from(seats)?;
        let insert = "INSERT INTO seats (schedule, seat) SELECT $1::int, generate_series(0, $2::int - 1)";
        client.execute(insert, &[&i32::from(schedule), &seats]).await?;
        Ok(())
    }

    async fn charge(&self, user: &str, amount: i64) -> Result<i64> {
        let charge = "INSERT INTO balances AS b VALUES ($1, $2)
            ON CONFLICT (user_id) DO UPDATE SET balance = b.balance + excluded.balance RETURNING balance";
        Ok(self.session().client.query_one(charge, &[&user, &amount]).await?.get(0))
    }

    async fn hold(&self, hold: &Hold<'_>) -> Result<bool> {
        let (schedule, seat, nonce) = columns(hold.id)?;
        let session = self.session();
        let changed = session
            .client
            .execute(&session.hold, &[&schedule, &seat, &nonce, &hold.user, &hold.expires_at, &hold.now])
            .await?;
        Ok(changed == 1)
    }

    async fn release(&self, id: SeatId, user: &str) -> Result<Option<i64>> {
        let (schedule, seat, nonce) = columns(id)?;
        let session = self.session();
        let row = session.client.query_opt(&session.release, &[&schedule, &seat, &nonce, &user]).await?;
        Ok(row.map(|row| row.get(0)))
    }

    async fn pay(&self, payment: &Payment<'_>) -> Result<Paid> {
        let Payment { user, key, amount, now, .. } = payment;
        let (schedule, seat, hold) = columns(payment.hold)?;
        let nonce = payment.id.nonce.cast_signed();
        let session = self.session();
        let row = session
            .client
            .query_one(&session.pay, &[&schedule, &seat, &hold, user, key, &nonce, amount, now])
            .await;
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                return match error.code().map(SqlState::code) {
                    Some(NOT_HELD) => Ok(Paid::NotHeld),
                    Some(INSUFFICIENT_BALANCE) => Ok(Paid::InsufficientBalance),
                    _ => Err(error.into()),
                };
            }
        };

        let hold = SeatId {
            schedule: u16::try_from(row.get::<_, i32>(0))?,
            seat: u32::try_from(row.get::<_, i32>(1))?,
            nonce: row.get::<_, i64>(2).cast_unsigned(),
        };
        let id = SeatId { nonce: row.get::<_, i64>(3).cast_unsigned(), ..hold };
        Ok(Paid::Done { hold, id, at: row.get(4) })
    }
}
