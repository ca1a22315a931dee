//! Who may call: tokens, roles, and what each route asks for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::server::{ADMIN, signed, token};
use crate::{Api, DELETE, GET, PATCH, POST, PUT};

const FAR: u64 = 4_102_444_800;

#[tokio::test]
async fn a_token_counts_only_with_our_signature_and_complete_claims() {
    let api = Api::start();
    let list = |token: &str| api.public(GET, "/reservations").bearer(token);
    let claims = json!({"sub": "kim", "exp": FAR});
    list(&signed(&claims)).await.ok(200);
    list(&signed(&json!({"sub": "김".repeat(128), "exp": FAR, "role": "user"}))).await.ok(200);

    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let unsigned = format!("{}.{}.", part(&json!({"alg": "none", "typ": "JWT"})), part(&claims));
    let other_key = jsonwebtoken::EncodingKey::from_secret(b"another secret of 32 bytes or more");
    let of_another = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &other_key).unwrap();
    let right = signed(&claims);
    let (head, signature) = right.rsplit_once('.').unwrap();
    let other_claims = format!(
        "{}.{}.{signature}",
        head.split_once('.').unwrap().0,
        part(&json!({"sub": "lee", "exp": FAR}))
    );
    let none_with_signature = format!("{}.{}.{signature}", part(&json!({"alg": "none"})), part(&claims));
    for (token, why) in [
        (unsigned.as_str(), "alg none"),
        (&none_with_signature, "alg none with a signature"),
        (&of_another, "signed with another key"),
        (&other_claims, "the signature of other claims"),
        (head, "no signature"),
        ("nonsense", "no token"),
        (&signed(&json!({"sub": "kim"})), "no exp"),
        (&signed(&json!({"exp": FAR})), "no sub"),
        (&signed(&json!({"sub": "", "exp": FAR})), "an empty sub"),
        (&signed(&json!({"sub": "k".repeat(129), "exp": FAR})), "a sub of 129 characters"),
        (&signed(&json!({"sub": "kim", "exp": FAR, "role": "root"})), "a role that isn't one"),
        (&ADMIN[1..], "a part of the administrator's token"),
    ] {
        let answer = list(token).await;
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{why}");
        assert_eq!((answer.status, answer.code().as_str()), (401, "unauthenticated"), "{why}");
    }
    list(&signed(&json!({"sub": "kim", "exp": 1_000_000_000}))).await.refused(401, "token_expired");
}

#[tokio::test]
async fn the_scheme_is_bearer_and_there_is_one_header() {
    let api = Api::start();
    let list = || api.public(GET, "/reservations");
    list().await.refused(401, "unauthenticated");
    for value in ["Basic a2ltOnBhc3M=", "Bearer", "Bearer ", &token("kim")] {
        list().header("authorization", value).await.refused(401, "unauthenticated");
    }
    list().bearer(&token("kim")).header("authorization", "Bearer x").await.refused(401, "unauthenticated");
    list().header("authorization", &format!("bearer {}", token("kim"))).await.ok(200);
}

#[tokio::test]
async fn a_route_of_administrators_is_401_without_a_token_and_403_for_a_user() {
    let api = Api::start();
    for (method, path) in [
        (PUT, "/venues/v"),
        (DELETE, "/venues/v"),
        (PUT, "/concerts/c"),
        (DELETE, "/concerts/c"),
        (PUT, "/schedules/s"),
        (DELETE, "/schedules/s"),
        (POST, "/schedules/s/open"),
        (POST, "/schedules/s/close"),
        (POST, "/schedules/s/cancel"),
        (POST, "/schedules/s/block"),
        (POST, "/schedules/s/unblock"),
        (POST, "/import"),
        (GET, "/admin/overview"),
        (GET, "/admin/schedules/s/history"),
        (GET, "/admin/schedules/s/seats?at=2026-01-01T00:00:00.000Z"),
        (GET, "/events"),
        (POST, "/admin/snapshots"),
        (GET, "/admin/export"),
        (GET, "/admin/backup"),
        (GET, "/admin/cluster"),
        (POST, "/admin/cluster/drain"),
    ] {
        api.public(method.clone(), path).json(&json!({})).await.refused(401, "unauthenticated");
        api.user("kim", method, path).json(&json!({})).await.refused(403, "forbidden");
    }
}

#[tokio::test]
async fn a_route_of_users_is_401_without_a_token() {
    let api = Api::start();
    for (method, path) in [
        (POST, "/reservations"),
        (GET, "/reservations"),
        (GET, "/reservations/r"),
        (PATCH, "/reservations/r"),
        (DELETE, "/reservations/r"),
    ] {
        api.public(method, path).json(&json!({"seats": []})).await.refused(401, "unauthenticated");
    }
}

#[tokio::test]
async fn a_token_with_the_role_admin_administrates_and_any_user_is_known_at_first_use() {
    let api = Api::with_hall(4, json!({})).await;
    let admin = signed(&json!({"sub": "boss", "exp": FAR, "role": "admin"}));
    api.public(GET, "/admin/overview").bearer(&admin).await.ok(200);
    let reservation = api.hold("someone new", &[1]).await.ok(201);
    assert_eq!(reservation["userId"], "someone new");
    api.public(GET, &crate::path_of(&reservation)).bearer(&admin).await.ok(200);
}

#[tokio::test]
async fn a_public_route_needs_no_token() {
    let api = Api::with_hall(4, json!({})).await;
    for path in [
        "/venues",
        "/venues/v",
        "/concerts",
        "/concerts/c",
        "/concerts/c/schedules",
        "/concerts/available-dates",
        "/schedules/s",
        "/schedules/s/seats",
    ] {
        api.public(GET, path).await.ok(200);
    }
}
