//! What a user would write instead of `onsale`: a thin service over Redis or over Postgres, with the same API for a seat's hold,
//! release and payment from the balance. `compare` starts them and drives them in turns with `onsale`.
//!
//! `front` is the service: routes, the check of tokens (`tokens`), the venue and the ids (`hall`), the answers (`answers`). A `store` is where a
//! seat's state stands: `redis` (one script an operation, over `resp`) or `postgres` (one statement an operation).
//!
//! Each is as fast as we know how to make it, since a slow peer would prove nothing. Where the API asks more of `onsale` than a thin
//! service would do, the peers do less: no limit of seats a user, no room to wait in, no streams, no record of what is over, one seat a
//! reservation.

mod answers;
mod front;
mod hall;
mod postgres;
mod redis;
mod resp;
mod store;
mod tokens;

pub(crate) use postgres::USER as POSTGRES_USER;

use std::net::SocketAddr;

use anyhow::Result;

/// A peer, for `compare` to start: it listens on a free port, says where, and serves until its input closes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Peer {
    /// Where its state stands.
    #[arg(long)]
    pub(crate) store: Kind,
    /// Where the store listens.
    #[arg(long)]
    pub(crate) address: SocketAddr,
    /// How many connections to the store.
    #[arg(long)]
    pub(crate) connections: usize,
}

/// The stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Redis,
    Postgres,
}

/// Serves. `ONSALE_JWT_SECRET` and `ONSALE_ADMIN_TOKEN` are in the environment, as `onsale` has them.
pub(crate) async fn serve(peer: Peer) -> Result<()> {
    match peer.store {
        Kind::Redis => front::serve(redis::Redis::connect(peer.address, peer.connections).await?).await,
        Kind::Postgres => {
            front::serve(postgres::Postgres::connect(peer.address, peer.connections).await?).await
        }
    }
}
