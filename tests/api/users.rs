//! Users: signing up and in, who may see whom, and who may no longer act.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::server::{is_log_local, signed};
use crate::{Answer, Api, Call, DELETE, GET, PATCH, POST, PUT, hold_of, is_instant, keys_of, text};

const PASSWORD: &str = "correct horse battery";
/// Tests try more in a minute than a person does.
const MANY: (&str, &str) = ("ONSALE_LIMITS_SIGN_INS_PER_MINUTE", "1000000");

fn start() -> Api {
    Api::start_with(&[MANY])
}

fn ann() -> Value {
    json!({"email": "ann@example.org", "name": "Ann", "password": PASSWORD})
}

fn sign_up(api: &Api, body: &Value) -> Call {
    api.public(POST, "/users").json(body)
}

fn sign_in(api: &Api, email: &str, password: &str) -> Call {
    api.public(POST, "/sessions").json(&json!({"email": email, "password": password}))
}

/// Signs Ann up, and returns her id.
async fn signed_up(api: &Api) -> String {
    text(&sign_up(api, &ann()).await.ok(201)["userId"])
}

/// Signs Ann in, and returns her token.
async fn signed_in(api: &Api) -> String {
    text(&sign_in(api, "ann@example.org", PASSWORD).await.ok(201)["accessToken"])
}

async fn set(api: &Api, user: &str, status: &str) -> Answer {
    api.admin(PATCH, &format!("/users/{user}")).json(&json!({"status": status})).await
}

/// Every route that a user may call, apart from those that change anything in these tests.
fn users_routes(user: &str) -> Vec<(reqwest::Method, String)> {
    let of_user = format!("/users/{user}");
    let balance = format!("/users/{user}/balance");
    let transactions = format!("/users/{user}/balance/transactions");
    let queue = "/queue/tokens/current?scheduleId=s";
    let routes = [
        (POST, "/reservations"),
        (GET, "/reservations"),
        (GET, "/reservations/r"),
        (PATCH, "/reservations/r"),
        (DELETE, "/reservations/r"),
        (POST, "/queue/tokens"),
        (GET, queue),
        (DELETE, queue),
        (GET, "/queue/tokens/current/events?scheduleId=s"),
        (POST, "/payments"),
        (GET, "/payments/p"),
        (GET, &balance),
        (POST, &balance),
        (GET, &transactions),
        (GET, &of_user),
    ];
    routes.map(|(method, path)| (method, path.to_owned())).into()
}

#[tokio::test]
async fn who_signs_up_is_shown_to_themselves_and_to_administrators_alone() {
    let api = start();
    let answer = sign_up(&api, &ann()).await;
    let location = answer.header("location").to_owned();
    let user = answer.ok(201);
    assert_eq!(keys_of(&user), ["createdAt", "email", "name", "status", "userId"]);
    assert_eq!(
        (&user["email"], &user["name"], &user["status"]),
        (&json!("ann@example.org"), &json!("Ann"), &json!("active"))
    );
    assert!(is_instant(&user["createdAt"]));
    let id = text(&user["userId"]);
    let random = id.strip_prefix("u_").unwrap();
    assert!(
        random.len() == 26 && random.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7')),
        "{id}"
    );
    assert_eq!(location, format!("/api/v1/users/{id}"));

    let path = format!("/users/{id}");
    let oneself = api.public(GET, &path).bearer(&signed_in(&api).await).await.ok(200);
    assert_eq!(oneself, user);
    assert_eq!(api.admin(GET, &path).await.ok(200), user);
    api.user("kim", GET, &path).await.refused(403, "forbidden");
    api.user("kim", GET, "/users/nobody").await.refused(403, "forbidden");
    api.public(GET, &path).await.refused(401, "unauthenticated");
    api.admin(GET, "/users/nobody").await.refused(404, "not_found");
    api.admin(GET, "/users/%01").await.refused(404, "not_found");
}

#[tokio::test]
async fn a_user_of_an_outside_provider_sees_themselves_though_nothing_is_known_of_them() {
    let api = start();
    let kim = api.user("kim", GET, "/users/kim").await.ok(200);
    let expected =
        json!({"userId": "kim", "email": null, "name": null, "status": "active", "createdAt": null});
    assert_eq!(kim, expected);
    api.admin(GET, "/users/kim").await.refused(404, "not_found");
    // Once they have something here, an administrator finds them.
    api.admin(POST, "/users/kim/balance").json(&json!({"amount": 50_000})).await.ok(201);
    assert_eq!(api.admin(GET, "/users/kim").await.ok(200), expected);
}

#[tokio::test]
async fn a_sign_up_that_is_not_right_names_each_wrong_field() {
    let api = start();
    let refused = |name: &str, value: Value| sign_up(&api, &crate::with(ann(), name, value));
    for wrong in [
        "",
        "ann",
        "ann@",
        "@example.org",
        "ann@localhost",
        "a b@example.org",
        "ann@example.org\n,",
        "ann(at work)@example.org",
        "ann(work)@example.org",
    ] {
        refused("email", json!(wrong)).await.names("email");
    }
    refused("email", json!(format!("{}@example.org", "x".repeat(243)))).await.names("email");
    for wrong in [json!(""), json!("  "), json!("a\u{7}b"), json!("x".repeat(101)), json!(7), Value::Null] {
        refused("name", wrong).await.names("name");
    }
    for wrong in [json!(""), json!("012345678"), json!("x".repeat(129)), json!(1_234_567_890), Value::Null] {
        refused("password", wrong).await.names("password");
    }
    refused("role", json!("admin")).await.names("role");
    let all = json!({"email": "a", "name": "", "password": "a secret"});
    let problem = sign_up(&api, &all).await.refused(422, "invalid_request");
    let fields: Vec<&Value> =
        problem["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
    assert_eq!(fields, ["email", "name", "password"]);
    assert!(!problem.to_string().contains("a secret"), "nothing that was sent is repeated");
    sign_up(&api, &json!([])).await.refused(422, "invalid_request");
    let bytes = |kind, body: &'static str| api.public(POST, "/users").bytes(kind, body);
    bytes("application/json", "{").await.refused(400, "malformed_request");
    bytes("text/plain", "{}").await.refused(415, "unsupported_media_type");
    api.public(GET, "/sessions").await.refused(405, "method_not_allowed");
    sign_in(&api, "ann@example.org", PASSWORD).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn passwords_and_names_may_be_of_any_script_and_the_shortest_and_longest_are_taken() {
    let api = start();
    let longest = "é".repeat(128);
    for (number, password) in ["0123456789", "비밀번호는열글자이상", &longest].into_iter().enumerate()
    {
        let email = format!("관객{number}@예시.kr");
        let body = json!({"email": email, "name": "김철수", "password": password});
        assert_eq!(sign_up(&api, &body).await.ok(201)["name"], "김철수");
        sign_in(&api, &email, password).await.ok(201);
    }
    // As another keyboard types the same.
    sign_in(&api, "관객2@예시.kr", &"e\u{301}".repeat(128)).await.ok(201);
}

#[tokio::test]
async fn an_address_signs_up_once_however_it_is_written() {
    let api = start();
    signed_up(&api).await;
    for same in [
        "ann@example.org",
        "ann@EXAMPLE.org",
        " ann@example.org ",
        "Ann@example.org",
        "\u{ff21}NN@example.org",
        "\"ann\"@example.org",
        "an\u{200b}n@example.org",
    ] {
        let body = crate::with(ann(), "email", json!(same));
        sign_up(&api, &body).await.refused(409, "email_taken");
        sign_in(&api, same, PASSWORD).await.ok(201);
    }
    // Neither route takes a key: the repeat is no replay.
    sign_up(&api, &ann()).key("k").await.refused(409, "email_taken");
    let bob = crate::with(ann(), "email", json!("Bob.Lee@Example.org"));
    assert_eq!(sign_up(&api, &bob).await.ok(201)["email"], "Bob.Lee@Example.org", "as it was written");
    sign_in(&api, "bob.lee@example.org", PASSWORD).await.ok(201);
}

#[tokio::test]
async fn of_sixteen_who_sign_up_with_one_address_at_once_one_wins() {
    let api = start();
    let mut asking: Vec<usize> = (0..16).collect();
    let mut won = Vec::new();
    while !asking.is_empty() {
        let call = async |number: usize| {
            let named = crate::with(ann(), "name", json!(format!("Ann {number}")));
            (number, sign_up(&api, &named).await)
        };
        let answers = futures_util::future::join_all(asking.drain(..).map(call)).await;
        for (number, answer) in answers {
            match answer.status {
                201 => won.push(answer),
                // Sixteen hashes may take long: whoever waited for too long was told to come back.
                503 => {
                    answer.refused(503, "overloaded");
                    asking.push(number);
                }
                _ => drop(answer.refused(409, "email_taken")),
            }
        }
    }
    assert_eq!(won.len(), 1);
    let id = text(&won[0].body["userId"]);
    let session = sign_in(&api, "ann@example.org", PASSWORD).await.ok(201);
    assert_eq!(session["userId"], id);
}

#[tokio::test]
async fn who_signs_in_gets_a_token_that_buys_as_the_user() {
    let api = start();
    api.server.prepare(4, json!({})).await;
    let id = signed_up(&api).await;
    let session = sign_in(&api, "ann@example.org", PASSWORD).await.ok(201);
    assert_eq!(keys_of(&session), ["accessToken", "expiresAt", "userId"]);
    assert_eq!(session["userId"], id);
    let token = text(&session["accessToken"]);
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let exp = jiff::Timestamp::from_second(claims["exp"].as_i64().unwrap()).unwrap();
    assert_eq!(session["expiresAt"], format!("{exp:.3}"));
    assert_eq!((&claims["sub"], &claims["role"]), (&json!(id), &json!("user")));
    let held = api.public(POST, "/reservations").bearer(&token).json(&hold_of(&[1])).await.ok(201);
    assert_eq!(held["userId"], id);
    api.public(GET, "/admin/overview").bearer(&token).await.refused(403, "forbidden");
}

#[tokio::test]
async fn a_wrong_pair_is_one_answer_whichever_half_is_wrong() {
    let api = start();
    signed_up(&api).await;
    let mut answers = Vec::new();
    for (email, password) in [
        ("ann@example.org", "correct horse batterz"),
        ("bob@example.org", PASSWORD),
        ("no address", PASSWORD),
        ("", ""),
        ("ann@example.org", ""),
    ] {
        let answer = sign_in(&api, email, password).await;
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        answers.push(answer.refused(401, "unauthenticated"));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    api.public(POST, "/sessions").json(&json!({"email": "ann@example.org"})).await.names("password");
    let surplus = json!({"email": "ann@example.org", "password": PASSWORD, "otp": 1});
    api.public(POST, "/sessions").json(&surplus).await.names("otp");
}

#[tokio::test]
async fn a_suspended_users_calls_are_refused_from_the_next_one_on_with_any_token() {
    let api = start();
    api.server.prepare(4, json!({})).await;
    let id = signed_up(&api).await;
    let token = signed_in(&api).await;
    let call = |method, path: &str| api.public(method, path).bearer(&token);
    let held = call(POST, "/reservations").json(&hold_of(&[1])).await.ok(201);
    let user = set(&api, &id, "suspended").await.ok(200);
    assert_eq!((&user["status"], &user["email"]), (&json!("suspended"), &json!("ann@example.org")));
    for (method, path) in users_routes(&id) {
        call(method, &path).json(&json!({})).await.refused(403, "user_suspended");
    }
    // Only who knows the password learns of it.
    sign_in(&api, "ann@example.org", PASSWORD).await.refused(403, "user_suspended");
    sign_in(&api, "ann@example.org", "correct horse batterz").await.refused(401, "unauthenticated");
    sign_up(&api, &ann()).await.refused(409, "email_taken");
    // What they hold stays, and others go on.
    let path = crate::path_of(&held);
    assert_eq!(api.admin(GET, &path).await.ok(200)["status"], "held");
    api.user("kim", GET, "/reservations").await.ok(200);
    api.public(GET, "/schedules/s").await.ok(200);

    assert_eq!(set(&api, &id, "suspended").await.ok(200)["status"], "suspended");
    assert_eq!(set(&api, &id, "active").await.ok(200)["status"], "active");
    assert_eq!(call(GET, &path).await.ok(200)["status"], "held");
    signed_in(&api).await;
}

#[tokio::test]
async fn a_user_of_an_outside_provider_is_suspended_and_deleted_by_their_sub() {
    let api = start();
    set(&api, "kim", "active").await.refused(404, "not_found");
    let kim = set(&api, "kim", "suspended").await.ok(200);
    assert_eq!(
        (&kim["userId"], &kim["email"], &kim["name"], &kim["status"]),
        (&json!("kim"), &Value::Null, &Value::Null, &json!("suspended"))
    );
    api.user("kim", GET, "/reservations").await.refused(403, "user_suspended");
    api.user("kin", GET, "/reservations").await.ok(200);
    // Whatever the role.
    let admin = signed(&json!({"sub": "kim", "exp": 4_102_444_800_u64, "role": "admin"}));
    api.public(GET, "/admin/overview").bearer(&admin).await.refused(403, "user_suspended");
    assert_eq!(api.admin(GET, "/users/kim").await.ok(200), kim);
    set(&api, "kim", "active").await.ok(200);
    api.user("kim", GET, "/reservations").await.ok(200);
    set(&api, "kim", "deleted").await.ok(200);
    api.user("kim", GET, "/users/kim").await.refused(403, "user_suspended");
}

#[tokio::test]
async fn who_is_deleted_is_forgotten_for_good_and_the_address_is_free() {
    let api = start();
    let id = signed_up(&api).await;
    let token = signed_in(&api).await;
    let deleted = set(&api, &id, "deleted").await.ok(200);
    assert_eq!(
        (&deleted["email"], &deleted["name"], &deleted["status"]),
        (&Value::Null, &Value::Null, &json!("deleted"))
    );
    assert_eq!(set(&api, &id, "deleted").await.ok(200), deleted);
    for status in ["active", "suspended"] {
        set(&api, &id, status).await.refused(409, "invalid_transition");
    }
    api.public(GET, "/reservations").bearer(&token).await.refused(403, "user_suspended");
    sign_in(&api, "ann@example.org", PASSWORD).await.refused(401, "unauthenticated");
    let anew = signed_up(&api).await;
    assert_ne!(anew, id);
    signed_in(&api).await;
    api.public(GET, "/reservations").bearer(&token).await.refused(403, "user_suspended");
}

#[tokio::test]
async fn only_administrators_change_a_status_and_only_to_one_that_is() {
    let api = start();
    let id = signed_up(&api).await;
    let path = format!("/users/{id}");
    let body = json!({"status": "suspended"});
    api.public(PATCH, &path).json(&body).await.refused(401, "unauthenticated");
    let ann = signed_in(&api).await;
    api.public(PATCH, &path).bearer(&ann).json(&body).await.refused(403, "forbidden");
    for wrong in ["", "Active", "banned"] {
        set(&api, &id, wrong).await.names("status");
    }
    api.admin(PATCH, &path).json(&json!({})).await.names("status");
    api.admin(PATCH, &path).json(&json!({"status": "active", "name": "x"})).await.names("name");
    api.admin(PATCH, "/users/%01").json(&body).await.refused(404, "not_found");
    api.admin(PUT, &path).json(&body).await.refused(405, "method_not_allowed");
}

#[tokio::test]
async fn a_key_gives_the_first_answer_of_a_change_again() {
    let api = start();
    let id = signed_up(&api).await;
    let keyed =
        |status: &str| api.admin(PATCH, &format!("/users/{id}")).key("k").json(&json!({"status": status}));
    let first = keyed("suspended").await;
    assert_eq!(first.header("idempotent-replayed"), "");
    set(&api, &id, "active").await.ok(200);
    let again = keyed("suspended").await;
    assert_eq!((again.header("idempotent-replayed"), &again.bytes), ("true", &first.bytes));
    assert_eq!(api.admin(GET, &format!("/users/{id}")).await.ok(200)["status"], "active");
    keyed("deleted").await.refused(422, "idempotency_key_reused");
}

#[tokio::test]
async fn an_address_of_the_network_has_twenty_tries_a_minute_behind_a_trusted_proxy_too() {
    let api = Api::start_with(&[("ONSALE_TRUSTED_PROXIES", "127.0.0.1")]);
    let from = |address: &str| {
        // A short password costs no hash, and a request that can't be right no try.
        sign_up(&api, &crate::with(ann(), "password", json!("short"))).header("x-forwarded-for", address)
    };
    for _ in 0..30 {
        from("198.51.100.7").await.names("password");
    }
    signed_up(&api).await;
    let taken = |address: &str| sign_up(&api, &ann()).header("x-forwarded-for", address);
    let mut passed = 0;
    let refused = loop {
        let answer = taken("198.51.100.7").await;
        if answer.status == 429 {
            break answer;
        }
        answer.refused(409, "email_taken");
        passed += 1;
        assert!(passed < 1_000, "a thousand tries are more than twenty a minute");
    };
    assert!(passed >= 20);
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    refused.refused(429, "rate_limited");
    taken("198.51.100.8").await.refused(409, "email_taken");
    sign_in(&api, "ann@example.org", PASSWORD).header("x-forwarded-for", "198.51.100.9").await.ok(201);
}

#[tokio::test]
async fn an_account_has_ten_wrong_passwords_a_minute_and_right_ones_are_not_counted() {
    let api = start();
    signed_up(&api).await;
    for _ in 0..12 {
        signed_in(&api).await;
    }
    // One that nobody has is limited as well: the limit tells nobody which there are.
    // Each way to write an address is a try of the same account.
    for email in [["ann@EXAMPLE.org", "ANN@example.org"], ["nobody@example.org", "Nobody@example.org"]] {
        let mut passed = 0;
        let refused = loop {
            let answer = sign_in(&api, email[passed % 2], "correct horse batterz").await;
            if answer.status == 429 {
                break answer;
            }
            answer.refused(401, "unauthenticated");
            passed += 1;
            assert!(passed < 1_000, "a thousand tries are more than ten a minute");
        };
        assert!((10..20).contains(&passed), "{email:?}: {passed}");
        assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
        refused.refused(429, "rate_limited");
    }
}

#[tokio::test]
async fn where_tokens_are_only_checked_nobody_signs_up_or_in() {
    let keys = tempfile::NamedTempFile::new().unwrap();
    // The public key of RFC 8037, appendix A.2.
    let key = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    std::fs::write(keys.path(), json!({"keys": [key]}).to_string()).unwrap();
    let file = keys.path().to_str().unwrap();
    let api = Api::start_with(&[("ONSALE_JWT_SECRET", ""), ("ONSALE_JWKS_FILE", file)]);
    sign_up(&api, &ann()).await.refused(404, "not_found");
    sign_in(&api, "ann@example.org", PASSWORD).await.refused(404, "not_found");
    // Their users are suspended all the same.
    set(&api, "kim", "suspended").await.ok(200);
    assert_eq!(api.admin(GET, "/users/kim").await.ok(200)["status"], "suspended");
}

#[tokio::test]
async fn what_was_acknowledged_of_users_survives_kill_9() {
    let api = start();
    let id = signed_up(&api).await;
    let bob = crate::with(ann(), "email", json!("bob@example.org"));
    let bob = text(&sign_up(&api, &bob).await.ok(201)["userId"]);
    set(&api, &bob, "deleted").await.ok(200);
    set(&api, "kim", "suspended").await.ok(200);
    let token = signed_in(&api).await;

    let api = api.kill_and_restart();
    let user = api.public(GET, &format!("/users/{id}")).bearer(&token).await.ok(200);
    assert_eq!(user["email"], "ann@example.org");
    signed_in(&api).await;
    sign_up(&api, &ann()).await.refused(409, "email_taken");
    api.user("kim", GET, "/reservations").await.refused(403, "user_suspended");
    api.user(&bob, GET, "/reservations").await.refused(403, "user_suspended");
    set(&api, &bob, "active").await.refused(409, "invalid_transition");
}

#[tokio::test]
async fn the_feed_tells_of_users_by_their_ids_and_metrics_count_them() {
    let api = start();
    let id = signed_up(&api).await;
    signed_in(&api).await;
    sign_in(&api, "ann@example.org", "correct horse batterz").await.refused(401, "unauthenticated");
    for status in ["suspended", "active", "deleted"] {
        set(&api, &id, status).await.ok(200);
    }
    let mut stream = api.admin(GET, "/events?after=0").open().await;
    let mut text = String::new();
    while text.matches("\nevent: ").count() < 4 {
        text.push_str(core::str::from_utf8(&crate::soon(stream.chunk()).await.unwrap().unwrap()).unwrap());
    }
    let events: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let kinds: Vec<&Value> = events.iter().map(|event| &event["type"]).collect();
    assert_eq!(kinds, ["UserSignedUp", "UserSuspended", "UserReinstated", "UserDeleted"]);
    for event in &events {
        assert_eq!(event["subject"], format!("users/{id}"));
        assert_eq!(event["data"]["userId"], id);
    }
    assert_eq!((&events[0]["data"]["by"], &events[1]["data"]["by"]), (&json!("user"), &json!("admin")));
    for secret in ["argon2", "ann@example.org", PASSWORD] {
        assert!(!text.contains(secret), "{secret} is in the feed");
    }

    let metrics = String::from_utf8(api.root(GET, "/metrics").await.bytes).unwrap();
    for line in [
        "onsale_sign_ups_total 1\n",
        "onsale_sign_ins_total{outcome=\"signed_in\"} 1\n",
        "onsale_sign_ins_total{outcome=\"wrong_pair\"} 1\n",
        "onsale_password_hash_seconds_count 3\n",
        "onsale_passwords_waiting 0\n",
        "onsale_users{status=\"deleted\"} 1\n",
        "onsale_decisions_total{command=\"sign_up\",outcome=\"done\"} 1\n",
    ] {
        assert!(metrics.contains(line), "{line}{metrics}");
    }
}

#[tokio::test]
async fn what_is_kept_of_users_is_sound_and_replayed_without_anything_secret() {
    if !is_log_local("a directory to verify") {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let server = crate::server::Server::start_with(data.path(), &[MANY, ("ONSALE_LOG_FILTER", "error")]);
    let body = |email: &str| json!({"email": email, "name": "Ann", "password": PASSWORD});
    for email in ["ann@example.org", "bob@example.org"] {
        let answer = server.request(POST, "/api/v1/users").json(&body(email)).send().await.unwrap();
        assert_eq!(answer.status(), 201);
    }
    let suspend = Some(json!({"status": "suspended"}));
    assert_eq!(server.admin(PATCH, "/api/v1/users/kim", suspend).await.0, 200);
    assert_eq!(server.admin(POST, "/api/v1/admin/snapshots", None).await.0, 200);
    assert_eq!(server.admin(PATCH, "/api/v1/users/kim", Some(json!({"status": "active"}))).await.0, 200);
    assert!(server.terminate().success());
    let run = |command: &str| {
        let mut onsale = std::process::Command::new(env!("CARGO_BIN_EXE_onsale"));
        let done = onsale.arg(command).arg("--data-dir").arg(data.path()).output().unwrap();
        (done.status.code(), String::from_utf8(done.stdout).unwrap())
    };
    let (code, report) = run("verify");
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains("snapshots + replay = replay from the beginning"), "{report}");
    let (code, state) = run("replay");
    assert_eq!(code, Some(0), "{state}");
    let users = serde_json::from_str::<Value>(&state).unwrap()["users"].take();
    assert_eq!(users, json!({"active": 3, "suspended": 0, "deleted": 0, "events": 4}));
    assert!(!state.contains("argon2") && !state.contains("ann@example.org"), "{state}");
}

#[tokio::test]
async fn an_administrator_finds_a_user_by_the_address_and_nobody_else_does() {
    let api = start();
    let ann = sign_up(&api, &ann()).await.ok(201);
    let found = api.admin(GET, "/users?email=ann%40EXAMPLE.org").await.ok(200);
    assert_eq!(found, json!({"items": [ann], "nextCursor": null}));
    let none = api.admin(GET, "/users?email=bob%40example.org").await.ok(200);
    assert_eq!(none, json!({"items": [], "nextCursor": null}));
    api.admin(GET, "/users").await.names("email");
    api.admin(GET, "/users?email=ann").await.names("email");
    api.user("kim", GET, "/users?email=ann%40example.org").await.refused(403, "forbidden");
    api.public(GET, "/users?email=ann%40example.org").await.refused(401, "unauthenticated");
}
