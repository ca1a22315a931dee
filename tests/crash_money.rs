//! `kill -9` while people buy and give back, by balance and through a gateway that fails, several times on one data
//! directory (S3, M1–M3): what was acknowledged is there, and with the gateway's own ledger the money adds up.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

#[path = "support/server.rs"]
mod server;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use onsale::mock_gateway::{DEMO_SECRET, MockConfig, MockGateway};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use server::{Server, token};

const LIVES: u64 = 8;
const USERS: u64 = 8;
/// More than are ever bought, so that a life always ends.
const SEATS: u32 = 400;
/// How many completed payments end a life.
const PAID_A_LIFE: u64 = 25;
const FAULTS: &[&str] = &[
    "drop-after@15",
    "fail-before@15",
    "decline@10",
    "duplicate@15",
    "delay-after:30@30",
    "find/fail-before@30",
    "cancel/fail-after@30",
    "cancel/drop-before@30",
    "webhook-copies:2@30",
];

/// Numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

fn start(data: &Path, gateway: &str) -> Server {
    let environment = [
        ("ONSALE_LOG_FILTER", "off"),
        ("ONSALE_SELF_CHARGE", "on"),
        ("ONSALE_TOSS_URL", gateway),
        ("ONSALE_TOSS_SECRET", DEMO_SECRET),
        ("ONSALE_TOSS_TIMEOUT_SECONDS", "1"),
    ];
    Server::start_with(data, &environment)
}

/// What a user was told: the transactions of charges, and the payments that were completed.
#[derive(Default)]
struct Told {
    charges: Vec<String>,
    paid: Vec<String>,
}

/// Someone who buys and gives back until the server dies.
struct Customer {
    name: String,
    bearer: String,
    url: String,
    gateway: String,
    client: Client,
    dice: Dice,
    told: Told,
}

impl Customer {
    /// Sends a request; nothing where no answer came.
    async fn call(&self, method: Method, path: &str, body: Value, key: &str) -> Option<(u16, Value)> {
        let request = self.client.request(method, format!("{}/api/v1{path}", self.url)).json(&body);
        let answer = request.bearer_auth(&self.bearer).header("idempotency-key", key).send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.json().await.ok()?))
    }

    /// Goes one way of many; nothing once the server is gone.
    async fn go(&mut self, turn: u64, paid: &AtomicU64) -> Option<()> {
        let (seat, by_card) = (self.dice.below(SEATS.into()) + 1, self.dice.below(2) == 0);
        let key = format!("{}-{turn}", self.dice.below(u64::from(u32::MAX)));
        if !by_card {
            let path = format!("/users/{}/balance", self.name);
            let (status, charged) = self.call(Method::POST, &path, json!({"amount": 50_000}), &key).await?;
            if status == 201 {
                self.told.charges.push(charged["transactionId"].as_str().unwrap().to_owned());
            }
        }
        let wish = json!({"scheduleId": "s", "seats": [format!("1-A-1-{seat}")]});
        let (status, held) = self.call(Method::POST, "/reservations", wish, &key).await?;
        if status != 201 {
            return Some(());
        }
        let method = if by_card { "card" } else { "balance" };
        let body = json!({"reservationId": held["reservationId"], "method": method});
        let (mut status, mut payment) = self.call(Method::POST, "/payments", body, &key).await?;
        if status == 201 && by_card {
            let body = json!({"orderId": payment["orderId"], "amount": payment["amount"]});
            let agreed =
                self.client.post(format!("{}/checkout", self.gateway)).json(&body).send().await.unwrap();
            let agreed: Value = agreed.json().await.unwrap();
            let path = format!("/payments/{}/confirm", payment["paymentId"].as_str().unwrap());
            let body = json!({"paymentKey": agreed["paymentKey"]});
            (status, payment) = self.call(Method::POST, &path, body, &key).await?;
        }
        if matches!(status, 200 | 201) {
            assert_eq!(payment["status"], "completed");
            self.told.paid.push(payment["paymentId"].as_str().unwrap().to_owned());
            paid.fetch_add(1, Ordering::Relaxed);
            if self.dice.below(2) == 0 {
                let path = format!("/reservations/{}", held["reservationId"].as_str().unwrap());
                self.call(Method::DELETE, &path, json!({}), &format!("{key}-back")).await?;
            }
        }
        Some(())
    }
}

/// Has everyone buy on a server until enough was paid, and kills it in the middle.
async fn live(server: Server, gateway: &str, life: u64) -> Vec<(String, Told)> {
    let paid = Arc::new(AtomicU64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..USERS {
        let name = format!("user-{number}");
        let mut customer = Customer {
            bearer: token(&name),
            name,
            url: server.url.clone(),
            gateway: gateway.to_owned(),
            client: Client::new(),
            dice: Dice(life * 1_000 + number),
            told: Told::default(),
        };
        let paid = Arc::clone(&paid);
        tasks.spawn(async move {
            for turn in 0.. {
                if customer.go(turn, &paid).await.is_none() {
                    break;
                }
            }
            (customer.name, customer.told)
        });
    }
    while paid.load(Ordering::Relaxed) < PAID_A_LIFE {
        tokio::task::yield_now().await;
    }
    server.kill();
    tasks.join_all().await
}

async fn all(server: &Server, user: &str, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) =
            server.user(user, Method::GET, &format!("/api/v1{path}?limit=1000{cursor}"), None).await;
        assert_eq!(status, 200, "{page}");
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

fn sum(items: &[Value], wanted: impl Fn(&Value) -> bool) -> u64 {
    items.iter().filter(|item| wanted(item)).map(|item| item["amount"].as_u64().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_survives_being_killed_again_and_again_beside_a_gateway_that_fails() {
    let faults = FAULTS.iter().map(|fault| fault.parse().unwrap()).collect();
    let gateway = MockGateway::start(MockConfig { faults, ..MockConfig::default() }).await.unwrap();
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), gateway.url());
    let policy = json!({"maxSeatsPerUser": SEATS, "cancelUntilSecondsBeforeStart": 0, "holdSeconds": 30});
    server.prepare(SEATS, policy).await;
    let mut told: Vec<(String, Told)> = live(server, gateway.url(), 0).await;
    for life in 1..LIVES {
        told.extend(live(start(data.path(), gateway.url()), gateway.url(), life).await);
    }

    let server = start(data.path(), gateway.url());
    let client = Client::new();
    client.delete(format!("{}/mock/faults", gateway.url())).send().await.unwrap();
    loop {
        let overview = server.admin(Method::GET, "/api/v1/admin/overview", None).await.1;
        if overview["payments"] == json!({"pending": 0, "refunding": 0}) {
            break;
        }
        tokio::task::yield_now().await;
    }
    let ledger = client.get(format!("{}/mock/ledger", gateway.url())).send().await.unwrap();
    let totals = ledger.json::<Value>().await.unwrap()["totals"].clone();
    assert!(totals["capturesOfOneOrderMax"].as_u64().unwrap() <= 1, "{totals}");
    let mut put_in = totals["captured"].as_u64().unwrap() - totals["cancelled"].as_u64().unwrap();
    let mut stands_for = 0;
    for number in 0..USERS {
        let user = format!("user-{number}");
        let movements = all(&server, &user, &format!("/users/{user}/balance/transactions")).await;
        let payments = all(&server, &user, "/payments").await;
        let reservations = all(&server, &user, "/reservations").await;
        put_in += sum(&movements, |moved| moved["type"] == "charge");
        let balance = server.user(&user, Method::GET, &format!("/api/v1/users/{user}/balance"), None).await.1;
        stands_for += balance["balance"].as_u64().unwrap();
        stands_for += sum(&reservations, |reservation| reservation["status"] == "confirmed");
        for reservation in &reservations {
            let stand = |payment: &&Value| {
                payment["reservationId"] == reservation["reservationId"] && payment["status"] == "completed"
            };
            let standing = payments.iter().filter(stand).count();
            let confirmed = usize::from(reservation["status"] == "confirmed");
            assert_eq!(standing, confirmed, "M2, M3: {reservation}");
        }
        for (_, told) in told.iter().filter(|(name, _)| *name == user) {
            for charge in &told.charges {
                assert!(movements.iter().any(|moved| moved["transactionId"] == **charge), "S3: a charge");
            }
            for paid in &told.paid {
                let payment = payments.iter().find(|payment| payment["paymentId"] == **paid);
                let status = payment.unwrap_or_else(|| panic!("S3: {paid} was completed"))["status"].clone();
                assert!(["completed", "refunded"].contains(&status.as_str().unwrap()), "{paid} is {status}");
            }
        }
    }
    assert_eq!(put_in, stands_for, "what was put in or captured is there, or stands for seats");
    let completed: usize = told.iter().map(|(_, told)| told.paid.len()).sum();
    assert!(completed >= usize::try_from(LIVES * PAID_A_LIFE).unwrap());
}
