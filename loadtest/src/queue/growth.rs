//! A point of `growth`: so many people wait, and look where they stand.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};

use super::{crowd::Crowd, joins::join, polls::poll, room};
use crate::{
    bench::run_name,
    child::Server,
    clock::Clock,
    drive::{Asked, Until},
    round::Measured,
    script::Plan,
    setup::open_schedule,
    start::{Ready, ServerOptions, token_exp},
};

/// The connections that people join through.
const JOINING: usize = 256;
/// How many join at a time, so that a rush ends within the bounds of a drive.
const RUSH: u32 = 1_000_000;

/// Has people join, and then poll for so long; returns what the polls saw, and the server.
pub(crate) async fn polls(
    options: &ServerOptions,
    people: u32,
    connections: usize,
    measured: Duration,
) -> Result<(Measured, Option<u32>, Option<Server>)> {
    let ready = options.ready().await?;
    let signer = ready.signer();
    let plan = Plan::new(&run_name(), 10, 1, &signer, token_exp());
    let Ready { target, admin_token, server, .. } = ready;
    // One gets in, who isn't here: the others wait.
    open_schedule(target, &admin_token, &plan, &room::policy(1)).await?;
    let pid = server.as_ref().and_then(Server::pid);
    let asked = Asked { target, pid, store: None, clock: Clock::start() };
    let mut first = Arc::new(Crowd::new(&plan.schedule, "first", 1, &signer, token_exp()));
    let joined = join(&mut first, asked, 1, "active").await?;
    ensure!(joined.faults.count == 0, "{:?}", joined.faults.first);

    let (mut left, mut last) = (people, None);
    while left > 0 {
        let now = left.min(RUSH);
        left -= now;
        let name = format!("crowd{left}");
        let mut crowd = Arc::new(Crowd::new(&plan.schedule, &name, now, &signer, token_exp()));
        let joined = join(&mut crowd, asked, JOINING, "waiting").await?;
        ensure!(joined.faults.count == 0, "{:?}", joined.faults.first);
        last = Some(crowd);
    }
    let crowd = last.unwrap_or(first);
    let line: Vec<usize> = crowd.line().into_iter().map(|(person, _)| person).collect();
    let (seen, faults) = poll(&crowd, &line, asked, connections, Some(0), Until::Over(measured)).await?;
    ensure!(faults.count == 0, "{:?}", faults.first);
    Ok((seen, pid, server))
}
