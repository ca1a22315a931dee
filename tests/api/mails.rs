//! Sign-ups with a mail hook: nobody learns who has an account, and an address is whoever reads its mail.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::{Api, Call, GET, PATCH, POST, keys_of, text};

const PASSWORD: &str = "correct horse battery";
const OTHER_PASSWORD: &str = "incorrect horse battery";
const SECRET: &str = "a-secret-of-the-mail-hook-for-tests";

/// A platform that takes orders to send mails.
#[derive(Clone, Default)]
struct Platform {
    orders: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    /// Whether it answers with an error.
    broken: Arc<Mutex<bool>>,
}

impl Platform {
    /// Starts it on a free port of loopback; returns its URL, too.
    async fn start() -> (Self, String) {
        let platform = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mails", listener.local_addr().unwrap());
        let router = Router::new().route("/mails", post(take)).with_state(platform.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (platform, url)
    }

    /// The orders that came, checked for their signatures.
    fn orders(&self) -> Vec<Value> {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
        let orders = self.orders.lock().unwrap();
        let read = |(headers, body): &(HeaderMap, Bytes)| {
            let header = |name: &str| headers[name].to_str().unwrap();
            let signed =
                [header("webhook-id").as_bytes(), header("webhook-timestamp").as_bytes(), body].join(&b'.');
            let signature = header("webhook-signature").strip_prefix("v1,").unwrap();
            let signature = STANDARD.decode(signature).unwrap();
            aws_lc_rs::hmac::verify(&key, &signed, &signature).unwrap();
            serde_json::from_slice(body).unwrap()
        };
        orders.iter().map(read).collect()
    }

    fn last(&self) -> Value {
        self.orders().pop().unwrap()
    }
}

async fn take(State(platform): State<Platform>, headers: HeaderMap, body: Bytes) -> StatusCode {
    platform.orders.lock().unwrap().push((headers, body));
    if *platform.broken.lock().unwrap() { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::NO_CONTENT }
}

/// Starts a server that has mails sent by a platform.
async fn start() -> (Api, Platform) {
    let (platform, url) = Platform::start().await;
    let api = Api::start_with(&[
        ("ONSALE_LIMITS_SIGN_INS_PER_MINUTE", "1000000"),
        ("ONSALE_MAIL_HOOK_URL", &url),
        ("ONSALE_MAIL_HOOK_SECRET", SECRET),
    ]);
    (api, platform)
}

fn sign_up(api: &Api, email: &str, password: &str) -> Call {
    api.public(POST, "/users").json(&json!({"email": email, "name": "Ann", "password": password}))
}

fn verify(api: &Api, token: &Value, password: &str) -> Call {
    api.public(POST, "/verifications").json(&json!({"token": token, "password": password}))
}

fn sign_in(api: &Api, email: &str, password: &str) -> Call {
    api.public(POST, "/sessions").json(&json!({"email": email, "password": password}))
}

#[tokio::test]
async fn a_sign_up_is_completed_by_who_reads_the_mail_and_knows_the_password() {
    let (api, platform) = start().await;
    let pending = sign_up(&api, "Ann@example.org", PASSWORD).await.ok(202);
    assert_eq!(keys_of(&pending), ["email", "expiresAt"]);
    let order = platform.last();
    assert_eq!(keys_of(&order), ["email", "expiresAt", "purpose", "token"]);
    assert_eq!((&order["purpose"], &order["email"]), (&json!("sign_up"), &json!("Ann@example.org")));
    assert_eq!(order["expiresAt"], pending["expiresAt"]);
    // Nobody is anyone yet.
    sign_in(&api, "ann@example.org", PASSWORD).await.refused(401, "unauthenticated");

    let token = &order["token"];
    verify(&api, token, OTHER_PASSWORD).await.refused(401, "unauthenticated");
    let answer = verify(&api, token, PASSWORD).await;
    let location = answer.header("location").to_owned();
    let user = answer.ok(201);
    assert_eq!(location, format!("/api/v1/users/{}", text(&user["userId"])));
    assert_eq!((&user["email"], &user["name"]), (&json!("Ann@example.org"), &json!("Ann")));
    assert_eq!(verify(&api, token, PASSWORD).await.ok(200), user, "again");
    assert_eq!(sign_in(&api, "ann@example.org", PASSWORD).await.ok(201)["userId"], user["userId"]);

    let api = api.kill_and_restart();
    assert_eq!(verify(&api, token, PASSWORD).await.ok(200), user, "after a crash, too");
}

#[tokio::test]
async fn a_sign_up_is_answered_alike_whether_or_not_the_address_has_an_account() {
    let (api, platform) = start().await;
    sign_up(&api, "ann@example.org", PASSWORD).await.ok(202);
    verify(&api, &platform.last()["token"], PASSWORD).await.ok(201);
    let mut answers = Vec::new();
    for email in ["ann@example.org", "bob@example.org"] {
        let answer = sign_up(&api, email, OTHER_PASSWORD).await;
        let mut names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
        names.sort_unstable();
        let body = answer.ok(202);
        answers.push((names, body.as_object().unwrap().keys().cloned().collect::<Vec<_>>()));
    }
    assert_eq!(answers[0], answers[1]);
    let purposes: Vec<Value> = platform.orders().iter().map(|order| order["purpose"].clone()).collect();
    assert_eq!(purposes, ["sign_up", "has_account", "sign_up"], "only the mail says it");
    // Nothing of the account changed.
    sign_in(&api, "ann@example.org", PASSWORD).await.ok(201);
    sign_in(&api, "ann@example.org", OTHER_PASSWORD).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn whoever_reads_the_mail_gets_an_address_back_that_another_took() {
    // Taken while there was no hook.
    let api = Api::start_with(&[("ONSALE_LIMITS_SIGN_INS_PER_MINUTE", "1000000")]);
    let taken = sign_up(&api, "ann@example.org", "the password of a thief").await.ok(201);
    verify(&api, &json!("x"), PASSWORD).await.refused(404, "not_found");
    let (platform, url) = Platform::start().await;
    let hook = [
        ("ONSALE_LIMITS_SIGN_INS_PER_MINUTE", "1000000"),
        ("ONSALE_MAIL_HOOK_URL", url.as_str()),
        ("ONSALE_MAIL_HOOK_SECRET", SECRET),
    ];
    let api = api.kill_and_restart_with(&hook);

    sign_up(&api, "ann@example.org", PASSWORD).await.ok(202);
    let order = platform.last();
    assert_eq!(order["purpose"], "has_account");
    let user = verify(&api, &order["token"], PASSWORD).await.ok(200);
    assert_eq!(user["userId"], taken["userId"]);
    sign_in(&api, "ann@example.org", "the password of a thief").await.refused(401, "unauthenticated");
    sign_in(&api, "ann@example.org", PASSWORD).await.ok(201);

    // The new password is durable, and no hash of it is in the feed.
    let api = api.kill_and_restart();
    sign_in(&api, "ann@example.org", PASSWORD).await.ok(201);
    let events = crate::feed::read(&api, 0).await;
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["UserSignedUp", "UserPasswordReplaced"]);
    assert!(events.iter().all(|event| !event.data.to_string().contains("argon2")));
    api.admin(GET, "/users/none").await.refused(404, "not_found");

    // Who is suspended doesn't come back this way.
    let path = format!("/users/{}", text(&user["userId"]));
    api.admin(PATCH, &path).json(&json!({"status": "suspended"})).await.ok(200);
    sign_up(&api, "ann@example.org", OTHER_PASSWORD).await.ok(202);
    verify(&api, &platform.last()["token"], OTHER_PASSWORD).await.refused(403, "user_suspended");
}

#[tokio::test]
async fn a_token_that_no_mail_carried_completes_nothing() {
    let (api, platform) = start().await;
    sign_up(&api, "ann@example.org", PASSWORD).await.ok(202);
    let token = text(&platform.last()["token"]);
    let forged = format!("{}{}", if token.starts_with('A') { 'B' } else { 'A' }, &token[1..]);
    for wrong in ["", "x", &forged, &token[..token.len() - 1], &format!("{token}A")] {
        verify(&api, &json!(wrong), PASSWORD).await.names("token");
    }
    verify(&api, &json!(7), PASSWORD).await.names("token");
}

#[tokio::test]
async fn a_mailbox_gets_five_mails_an_hour_and_one_that_was_not_sent_does_not_count() {
    let (api, platform) = start().await;
    *platform.broken.lock().unwrap() = true;
    for _ in 0..6 {
        sign_up(&api, "ann@example.org", PASSWORD).await.refused(503, "overloaded");
    }
    *platform.broken.lock().unwrap() = false;
    for email in
        ["ann@example.org", "Ann@example.org", "ANN@example.org", "aNN@example.org", "anN@example.org"]
    {
        sign_up(&api, email, PASSWORD).await.ok(202);
    }
    sign_up(&api, "AnN@example.org", PASSWORD).await.refused(429, "rate_limited");
    assert_eq!(platform.orders().len(), 11);
    sign_up(&api, "bob@example.org", PASSWORD).await.ok(202);
}

/// The texts of one mailbox: somebody else's at a provider that tells them apart.
const LOOK_ALIKES: [(&str, &str); 6] = [
    ("strasse@example.org", "straße@example.org"),
    ("iris@example.org", "ırıs@example.org"),
    ("kim@example.org", "kı\u{200b}m@example.org"),
    ("ann@example.org", "ａｎｎ@example.org"),
    ("fi@example.org", "ﬁ@example.org"),
    ("Ann.Lee@example.org", "ann.lee@example.org"),
];

#[tokio::test]
async fn the_mail_of_an_account_goes_to_its_own_address_however_it_was_asked_for() {
    for (own, alike) in LOOK_ALIKES {
        let (api, platform) = start().await;
        sign_up(&api, own, PASSWORD).await.ok(202);
        verify(&api, &platform.last()["token"], PASSWORD).await.ok(201);

        let pending = sign_up(&api, alike, OTHER_PASSWORD).await.ok(202);
        assert_eq!(pending["email"], alike, "the asker learns nothing");
        let order = platform.last();
        let expected = if order["purpose"] == "has_account" { own } else { alike };
        assert_eq!(order["email"], expected);
        sign_in(&api, own, PASSWORD).await.ok(201);
    }
}

#[tokio::test]
async fn a_sign_up_from_before_the_account_never_touches_it() {
    for (own, alike) in LOOK_ALIKES {
        let (api, platform) = start().await;
        // Both ask before either has an account, so that each has a mail at the address that they wrote.
        sign_up(&api, alike, OTHER_PASSWORD).await.ok(202);
        let thiefs = platform.last();
        assert_eq!((&thiefs["purpose"], &thiefs["email"]), (&json!("sign_up"), &json!(alike)));
        sign_up(&api, own, PASSWORD).await.ok(202);
        let user = verify(&api, &platform.last()["token"], PASSWORD).await.ok(201);

        let answer = verify(&api, &thiefs["token"], OTHER_PASSWORD).await;
        if answer.status == 201 {
            assert_ne!(answer.ok(201)["userId"], user["userId"], "another mailbox");
        } else {
            answer.names("token");
        }
        assert_eq!(sign_in(&api, own, PASSWORD).await.ok(201)["userId"], user["userId"]);
    }
}

#[tokio::test]
async fn a_token_is_used_once_and_brings_no_older_password_back() {
    let (api, platform) = start().await;
    let mut tokens = Vec::new();
    for (password, status) in
        [("the first password", 201), ("the second password", 200), ("the third password", 200)]
    {
        sign_up(&api, "ann@example.org", password).await.ok(202);
        let token = platform.last()["token"].clone();
        verify(&api, &token, password).await.ok(status);
        verify(&api, &token, password).await.ok(200);
        tokens.push((token, password));
    }
    for (token, password) in &tokens[..2] {
        verify(&api, token, password).await.names("token");
    }
    sign_in(&api, "ann@example.org", "the third password").await.ok(201);

    // Of two that were asked for, one is used.
    let mut asked = Vec::new();
    for password in ["one password", "another password"] {
        sign_up(&api, "ann@example.org", password).await.ok(202);
        asked.push((platform.last()["token"].clone(), password));
    }
    verify(&api, &asked[1].0, asked[1].1).await.ok(200);
    verify(&api, &asked[0].0, asked[0].1).await.names("token");
}

#[tokio::test]
async fn a_token_brings_no_deleted_account_back() {
    let (api, platform) = start().await;
    sign_up(&api, "ann@example.org", PASSWORD).await.ok(202);
    let first = platform.last()["token"].clone();
    let ann = verify(&api, &first, PASSWORD).await.ok(201);
    let mut replacing = Vec::new();
    for password in [OTHER_PASSWORD, "a third password"] {
        sign_up(&api, "ann@example.org", password).await.ok(202);
        replacing.push((platform.last()["token"].clone(), password));
    }
    // One of an account is used, one isn't; a sign-up of nobody's waits, too.
    verify(&api, &replacing[0].0, OTHER_PASSWORD).await.ok(200);
    sign_up(&api, "bob@example.org", PASSWORD).await.ok(202);
    let bobs = platform.last()["token"].clone();

    api.admin(PATCH, &format!("/users/{}", text(&ann["userId"])))
        .json(&json!({"status": "deleted"}))
        .await
        .ok(200);
    let api = api.kill_and_restart();
    verify(&api, &first, PASSWORD).await.names("token");
    for (token, password) in &replacing {
        verify(&api, token, password).await.names("token");
    }
    sign_in(&api, "ann@example.org", OTHER_PASSWORD).await.refused(401, "unauthenticated");
    verify(&api, &bobs, PASSWORD).await.ok(201);

    // The address is free: its next owner signs up with a mail of their own, and the old ones still do nothing.
    sign_up(&api, "ann@example.org", PASSWORD).await.ok(202);
    let anew = platform.last();
    assert_eq!(anew["purpose"], "sign_up");
    let user = verify(&api, &anew["token"], PASSWORD).await.ok(201);
    assert_ne!(user["userId"], ann["userId"]);
    verify(&api, &first, PASSWORD).await.names("token");
    for (token, password) in &replacing {
        verify(&api, token, password).await.names("token");
    }
    assert_eq!(verify(&api, &anew["token"], PASSWORD).await.ok(200), user);
}
