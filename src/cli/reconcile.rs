//! `onsale reconcile`: compares the gateway's list of orders with the journal's payments.
//!
//! After a restore from a backup, the gateway may have money of payments that the journal doesn't know, or of which it has
//! an older state. The engine can't find those: it only asks about payments that it has. So this command lists the
//! gateway's orders and prints those that don't fit, and a person gives the money back at the gateway.
//!
//! It asks the gateway first and reads the journal second: the journal records a capture before it is sent, so that an
//! order captured meanwhile isn't taken for an unknown one. The list only says where to look: the gateway is asked again
//! about each order that doesn't fit.
//!
//! Absent on purpose: refunds. It changes nothing, here or at the gateway.

use std::collections::BTreeMap;

use clap::{Arg, ArgMatches, Command};
use onsale::clock::{Clock, SystemClock};
use onsale::domain::ids::PaymentId;
use onsale::domain::money::Money;
use onsale::domain::payments::Method;
use onsale::domain::time::{Seconds, Timestamp};
use onsale::export::{Line, Reader, Table, Value};
use onsale::gateway::toss::{OrderMovements, Toss};
use onsale::gateway::{Find, Found, Gateway, OrderId, PaymentKey};

use super::engine_at;
use super::output::{Failure, count, plain, print};

/// How far back it looks by default.
const SINCE: Seconds = Seconds::new(7 * Seconds::DAY.get());
/// How far the gateway's clock may differ from this one.
const CLOCKS_DIFFER: Seconds = Seconds::new(300);

pub(super) fn command() -> Command {
    let since = Arg::new("since")
        .long("since")
        .value_name("INSTANT")
        .value_parser(|text: &str| Timestamp::parse(text))
        .help("Compare movements of money from this instant on, such as 2026-11-20T12:00:00Z [default: a week ago]");
    Command::new("reconcile")
        .about("Compare the payment gateway's orders with the journal's payments, and say what to give back")
        .arg(since)
        .args(engine_at::flags_and(&["toss.url", "toss.secret", "toss.timeout_seconds"]))
        .after_help(
            "EXAMPLES\n  onsale reconcile --url http://127.0.0.1:8080 \\\n    \
             --admin-token \"$ONSALE_ADMIN_TOKEN\"\n  \
             onsale reconcile --data-dir ./data --since 2026-11-20T12:00:00Z\n\n\
             PRINTS\n  a line for each order on which the gateway and the journal disagree: `give back`, with the amount that the \
             gateway has too much, or `no money`, for a payment that is completed here and has no money there; then the sums. The \
             gateway is toss.url and toss.secret. Nothing is changed\n\n\
             EXIT CODES\n  0  they agree\n  1  they disagree, or can't be compared: the reason is on standard error\n  2  wrong usage or \
             settings",
        )
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let config = super::load(matches)?;
    let toss = Toss::from_settings(&config.payments).map_err(Failure::settings)?;
    let toss =
        toss.ok_or_else(|| Failure::Usage("no gateway is set up: set toss.url and toss.secret".to_owned()))?;
    let now = SystemClock::new().now();
    let since = matches.get_one::<Timestamp>("since").copied().unwrap_or_else(|| now.minus(SINCE));

    let runtime = tokio::runtime::Runtime::new().map_err(Failure::failed)?;
    let listed = runtime.block_on(toss.orders(since, now)).map_err(Failure::failed)?;
    let journal = payments(matches)?;
    let suspects = suspects(&listed.ours, &journal, since, now);
    let mut found = Vec::new();

    for suspect in suspects {
        found.extend(runtime.block_on(look(&toss, suspect))?);
    }

    let ours = u64::try_from(listed.ours.len()).unwrap_or(u64::MAX);
    print(&report(since, ours, &found))?;
    if found.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed("the gateway and the journal don't agree".to_owned()))
}

/// A payment as the journal has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct JournalPayment {
    status: String,
    /// What of its money stays at the gateway: all where it is completed; where it was refunded, what isn't refundable.
    stays: u64,
    completed_at: Option<Timestamp>,
}

/// Reads the engine's payments that have an order at the gateway.
fn payments(matches: &ArgMatches) -> Result<BTreeMap<OrderId, JournalPayment>, Failure> {
    let schema = Table::Payments.schema();
    let at =
        |name: &str| schema.column_names().position(|column| column == name).expect("a column of payments");
    let (order_id, method, status) = (at("order_id"), at("method"), at("status"));
    let (amount, refund, completed_at) = (at("amount"), at("refund_amount"), at("completed_at"));

    let mut payments = BTreeMap::new();
    let mut reader = Reader::default();
    let number = |value: &Value<'_>| match value {
        Value::Integer(number) => u64::try_from(*number).ok(),
        Value::Text(_) | Value::Null => None,
    };
    let text = |value: &Value<'_>| match value {
        Value::Text(text) => Some(text.clone().into_owned()),
        Value::Integer(_) | Value::Null => None,
    };
    engine_at::download(matches, "/api/v1/admin/export", &mut |bytes| {
        reader.push(bytes, &mut |line| {
            let Line::Row(Table::Payments, values) = line else { return Ok::<(), Failure>(()) };
            let order = text(&values[order_id]).and_then(|order| OrderId::parse(&order).ok());
            let (Some(order), Some(amount)) = (order, number(&values[amount])) else { return Ok(()) };
            // The money of the platform's own payment service isn't at this gateway.
            if text(&values[method]).as_deref() == Some(Method::External.as_str()) {
                return Ok(());
            }
            let completed_at = text(&values[completed_at]).and_then(|at| Timestamp::parse(&at).ok());
            let status = text(&values[status]).unwrap_or_default();
            let stays = match (status.as_str(), number(&values[refund])) {
                ("completed", _) => amount,
                ("refunded", Some(refund)) => amount.saturating_sub(refund),
                _ => 0,
            };
            payments.insert(order, JournalPayment { status, stays, completed_at });
            Ok(())
        })
    })?;

    // Without its last line the export was cut off, and payments would be missing.
    reader.finish()?;
    Ok(payments)
}

/// An order about which the gateway is asked again.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Suspect {
    order: OrderId,
    /// Every checkout of the order that moved money; empty if the gateway's list has none.
    payment_keys: Vec<PaymentKey>,
    payment: Option<JournalPayment>,
}

/// Chooses the orders that may not fit.
fn suspects(
    listed: &BTreeMap<OrderId, OrderMovements>,
    journal: &BTreeMap<OrderId, JournalPayment>,
    since: Timestamp,
    now: Timestamp,
) -> Vec<Suspect> {
    let mut suspects = Vec::new();
    for (order, moved) in listed {
        let payment = journal.get(order);
        let status = payment.map(|payment| payment.status.as_str());
        let fits = match status {
            // The engine pursues these by itself.
            Some("pending" | "refunding") => true,
            Some("completed") => !moved.went_back && moved.payment_keys.len() == 1,
            // Its id isn't of the engine's form: an order of another program.
            None => PaymentId::parse(order.as_str()).is_err(),
            Some(_) => false,
        };
        if !fits {
            let payment_keys = moved.payment_keys.clone();
            suspects.push(Suspect { order: order.clone(), payment_keys, payment: payment.cloned() });
        }
    }

    // Payments that were surely completed in the listed time, of which the gateway lists no movement.
    let surely = since.plus(CLOCKS_DIFFER)..=now.minus(CLOCKS_DIFFER);
    for (order, payment) in journal {
        let within = payment.completed_at.is_some_and(|at| surely.contains(&at));
        if within && payment.status == "completed" && !listed.contains_key(order) {
            let payment = Some(payment.clone());
            suspects.push(Suspect { order: order.clone(), payment_keys: Vec::new(), payment });
        }
    }

    suspects
}

/// A disagreement between the gateway and the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Misfit {
    /// The gateway has money that no payment here says stays there.
    GiveBack { order: OrderId, amount: u64, why: String },
    /// A payment here has more money than the gateway.
    NoMoney { order: OrderId, amount: u64, status: String },
}

/// Asks the gateway what it has of an order.
async fn look(toss: &Toss, suspect: Suspect) -> Result<Option<Misfit>, Failure> {
    let Suspect { order, payment_keys, payment } = suspect;
    let mut has = 0;

    // One order may have been paid at several checkouts, each under a key of its own.
    let keys: Vec<Option<PaymentKey>> =
        if payment_keys.is_empty() { vec![None] } else { payment_keys.into_iter().map(Some).collect() };
    for payment_key in keys {
        match toss.find(Find { order_id: order.clone(), payment_key }).await {
            Found::Captured { amount, cancelled_amount, .. } => {
                has += amount.minus(cancelled_amount).unwrap_or(Money::ZERO).minor();
            }
            Found::NotCaptured(_) | Found::NoSuchOrder => {}
            Found::Unknown { why } => {
                return Err(Failure::Failed(format!(
                    "the gateway doesn't answer about {order}: {}",
                    why.as_str()
                )));
            }
        }
    }

    Ok(judge(order, has, payment.as_ref()))
}

/// Compares the money that the gateway has of an order with the amount that stays there.
fn judge(order: OrderId, has: u64, payment: Option<&JournalPayment>) -> Option<Misfit> {
    let amount = payment.map_or(0, |payment| payment.stays);
    if has > amount {
        let why = match payment {
            None => "the journal doesn't know it".to_owned(),
            Some(payment) if payment.status == "ready" => {
                "ready here: only if its client doesn't confirm it".to_owned()
            }
            Some(payment) => format!("{} here", plain(&payment.status)),
        };
        return Some(Misfit::GiveBack { order, amount: has - amount, why });
    }
    let status = payment.map_or("", |payment| payment.status.as_str()).to_owned();
    (has < amount).then(|| Misfit::NoMoney { order, amount: amount - has, status })
}

fn report(since: Timestamp, ours: u64, found: &[Misfit]) -> String {
    let mut text = format!("since {since} the gateway moved money of {}\n", count(ours, "order"));
    let (mut back, mut back_sum, mut missing, mut missing_sum) = (0, 0, 0, 0);

    for misfit in found {
        let line = match misfit {
            Misfit::GiveBack { order, amount, why } => {
                (back, back_sum) = (back + 1, back_sum + amount);
                format!("give back  {order}  {amount} KRW  {why}\n")
            }
            Misfit::NoMoney { order, amount, status } => {
                (missing, missing_sum) = (missing + 1, missing_sum + amount);
                format!("no money   {order}  {amount} KRW  {} here\n", plain(status))
            }
        };
        text.push_str(&line);
    }

    let sums = if found.is_empty() {
        "the journal agrees\n".to_owned()
    } else {
        format!(
            "to give back: {}, {back_sum} KRW; completed without money: {}, {missing_sum} KRW\n",
            count(back, "order"),
            count(missing, "order")
        )
    };

    text + &sums
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn order(number: u32) -> OrderId {
        let id = PaymentId::from_bits(u128::from(number) << 64 | 7);
        OrderId::parse(&id.to_string()).unwrap()
    }

    fn payment(status: &str) -> JournalPayment {
        let completed_at = (status == "completed").then(|| NOW.minus(Seconds::DAY));
        let stays = match status {
            "completed" => 100,
            "part" => 8,
            _ => 0,
        };
        let status = if status == "part" { "refunded" } else { status };
        JournalPayment { status: status.to_owned(), stays, completed_at }
    }

    fn moved(went_back: bool) -> OrderMovements {
        OrderMovements { payment_keys: vec![PaymentKey::parse("k").unwrap()], went_back }
    }

    #[test]
    fn the_gateway_is_asked_about_what_may_not_fit_and_nothing_else() {
        let words = ["completed", "pending", "refunding", "ready", "failed", "refunded", "completed"];
        let journal: BTreeMap<_, _> = (1..).map(order).zip(words.map(payment)).collect();
        let mut gateway: BTreeMap<_, _> = (1..=6).map(|number| (order(number), moved(false))).collect();
        // Number 7 is completed, and the gateway has nothing of it; 8 is the gateway's alone; the last is another program's.
        gateway.insert(order(8), moved(false));
        gateway.insert(OrderId::parse("invoice-2026-17").unwrap(), moved(false));
        let asked = suspects(&gateway, &journal, NOW.minus(SINCE), NOW);
        let asked: Vec<_> = asked.into_iter().map(|suspect| suspect.order).collect();
        let mut expected: Vec<_> = [4, 5, 6, 8].map(order).into();
        expected.sort();
        expected.push(order(7));
        assert_eq!(asked, expected);
        let gone = BTreeMap::from([(order(1), moved(true))]);
        assert_eq!(suspects(&gone, &journal, NOW, NOW).len(), 1, "what went back is looked at");
    }

    #[test]
    fn what_the_gateway_has_beyond_what_stands_is_to_be_given_back() {
        let judged = |has, status: Option<&str>| match judge(order(1), has, status.map(payment).as_ref()) {
            Some(Misfit::GiveBack { amount, .. }) => Some((true, amount)),
            Some(Misfit::NoMoney { amount, .. }) => Some((false, amount)),
            None => None,
        };
        assert_eq!(judged(100, None), Some((true, 100)));
        assert_eq!(judged(100, Some("ready")), Some((true, 100)));
        assert_eq!(judged(100, Some("failed")), Some((true, 100)));
        assert_eq!(judged(100, Some("completed")), None);
        assert_eq!(judged(200, Some("completed")), Some((true, 100)));
        assert_eq!(judged(0, Some("completed")), Some((false, 100)));
        assert_eq!(judged(0, Some("refunded")), None);
        // Of a refund of a part the rest stays there.
        assert_eq!(judged(8, Some("part")), None);
        assert_eq!(judged(100, Some("part")), Some((true, 92)));
        assert_eq!(judged(0, Some("part")), Some((false, 8)));
    }
}
