//! `Idempotency-Key`: one effect and one answer, also across a crash.

use serde_json::{Value, json};

use crate::{
    Answer, Api, Call, DELETE, GET, PATCH, POST, PUT, concert, hold_of, path_of, put_concert, schedule,
    seat_ids, venue,
};

/// Fails unless it is the first answer again, and says so.
#[track_caller]
pub(crate) fn is_replay(answer: &Answer, first: &Answer) {
    assert_eq!((answer.status, &answer.bytes), (first.status, &first.bytes));
    assert_eq!(answer.header("idempotent-replayed"), "true");
    assert_eq!(first.header("idempotent-replayed"), "");
}

fn hold(api: &Api, user: &str, key: &str, seats: &[u32]) -> Call {
    api.user(user, POST, "/reservations").key(key).json(&hold_of(seats))
}

#[tokio::test]
async fn a_repeated_hold_is_the_first_answer_again_whatever_happened_since() {
    let api = Api::with_hall(6, json!({})).await;
    let first = hold(&api, "kim", "k", &[1, 2]).await;
    assert_eq!(first.status, 201);
    let path = path_of(&first.body);
    let again = hold(&api, "kim", "k", &[1, 2]).await;
    is_replay(&again, &first);
    assert_eq!(again.header("location"), first.header("location"));
    let exchange = json!({"seats": seat_ids(&[3])});
    api.user("kim", PATCH, &path).json(&exchange).await.ok(200);
    is_replay(&hold(&api, "kim", "k", &[1, 2]).await, &first);
    api.user("kim", DELETE, &path).await.ok(200);
    is_replay(&hold(&api, "kim", "k", &[1, 2]).await, &first);
    api.admin(POST, "/schedules/s/close").await.ok(200);
    is_replay(&hold(&api, "kim", "k", &[1, 2]).await, &first);
    let list = api.user("kim", GET, "/reservations").await.ok(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "there was one effect");
}

#[tokio::test]
async fn a_key_with_another_body_is_refused_and_changes_nothing() {
    let api = Api::with_hall(6, json!({})).await;
    let first = hold(&api, "kim", "k", &[1]).await;
    hold(&api, "kim", "k", &[2]).await.refused(422, "idempotency_key_reused");
    is_replay(&hold(&api, "kim", "k", &[1]).await, &first);
    let path = path_of(&first.body);
    let exchange = |seat| api.user("kim", PATCH, &path).key("e").json(&json!({"seats": seat_ids(&[seat])}));
    exchange(3).await.ok(200);
    exchange(4).await.refused(422, "idempotency_key_reused");
    assert_eq!(
        api.statuses().await,
        ["available", "available", "held", "available", "available", "available"]
    );
}

#[tokio::test]
async fn a_key_with_another_body_is_refused_whatever_is_wrong_with_the_other_body() {
    let api = Api::with_hall(6, json!({})).await;
    let held = hold(&api, "kim", "k", &[1]).await.ok(201);
    hold(&api, "kim", "k", &[99]).await.refused(422, "idempotency_key_reused");
    hold(&api, "kim", "k", &[2, 2]).await.refused(422, "idempotency_key_reused");
    let wrong = json!({"scheduleId": "s", "seats": seat_ids(&[2]), "code": "NONE"});
    api.user("kim", POST, "/reservations").key("k").json(&wrong).await.refused(422, "idempotency_key_reused");
    let exchange =
        |seat| api.user("kim", PATCH, &path_of(&held)).key("e").json(&json!({"seats": seat_ids(&[seat])}));
    exchange(2).await.ok(200);
    exchange(99).await.refused(422, "idempotency_key_reused");

    for (path, right, wrong) in [
        ("/schedules/s/block", json!({"seats": seat_ids(&[5])}), json!({"seats": seat_ids(&[99])})),
        ("/schedules/s/unblock", json!({"seats": seat_ids(&[5])}), json!({"seats": seat_ids(&[99])})),
        ("/schedules/s/codes", json!({"count": 1}), json!({"count": 0})),
    ] {
        assert!(api.admin(POST, path).key("a").json(&right).await.status < 300, "{path}");
        api.admin(POST, path).key("a").json(&wrong).await.refused(422, "idempotency_key_reused");
    }
}

#[tokio::test]
async fn a_key_belongs_to_its_caller() {
    let api = Api::with_hall(6, json!({})).await;
    let kims = hold(&api, "kim", "k", &[1]).await.ok(201);
    let lees = hold(&api, "lee", "k", &[2]).await;
    assert_eq!(lees.header("idempotent-replayed"), "");
    assert_ne!(lees.ok(201)["reservationId"], kims["reservationId"]);
}

#[tokio::test]
async fn a_refusal_is_not_kept_but_decided_anew() {
    let api = Api::with_hall(6, json!({})).await;
    let lees = api.hold("lee", &[1]).await.ok(201);
    for _ in 0..2 {
        hold(&api, "kim", "k", &[1]).await.refused(409, "seat_unavailable");
    }
    api.user("lee", DELETE, &path_of(&lees)).await.ok(200);
    let first = hold(&api, "kim", "k", &[1]).await;
    assert_eq!(first.status, 201);
    is_replay(&hold(&api, "kim", "k", &[1]).await, &first);
}

#[tokio::test]
async fn every_change_of_a_reservation_takes_a_key() {
    let api = Api::with_hall(6, json!({})).await;
    let held = api.hold("kim", &[1]).await.ok(201);
    let path = path_of(&held);
    let body = json!({"seats": seat_ids(&[2, 3])});
    let exchange = || api.user("kim", PATCH, &path).key("e").json(&body);
    let exchanged = exchange().await;
    assert_eq!(exchanged.status, 200);
    let release = || api.user("kim", DELETE, &path).key("r");
    let released = release().await;
    assert_eq!(released.body["status"], "released");
    is_replay(&exchange().await, &exchanged);
    is_replay(&release().await, &released);
    let so_already = || api.user("kim", DELETE, &path).key("another");
    let repeated = so_already().await;
    assert_eq!((repeated.status, &repeated.body), (200, &released.body));
    // It is so for good: what was done before is told, and no key is kept for it.
    for _ in 0..2 {
        let again = so_already().await;
        assert_eq!((again.header("idempotent-replayed"), &again.bytes), ("true", &repeated.bytes));
    }
}

#[tokio::test]
async fn repeats_of_what_is_done_for_good_cost_neither_journal_nor_memory() {
    let api = Api::with_hall(6, json!({"queue": {"maxActive": 10}})).await;
    let place = api.user("kim", POST, "/queue/tokens").json(&json!({"scheduleId": "s"})).await.ok(201);
    let pass = crate::text(&place["token"]);
    let held = api.user("kim", POST, "/reservations").header("queue-token", &pass).json(&hold_of(&[1]));
    let path = path_of(&held.await.ok(201));
    let release = |key: &str| api.user("kim", DELETE, &path).key(key);
    let leave = |key: &str| {
        api.user("kim", DELETE, "/queue/tokens/current?scheduleId=s").header("queue-token", &pass).key(key)
    };
    let released = release("first").await.ok(200);
    leave("first").await.ok(204);
    let position =
        || async { api.admin(GET, "/admin/overview").await.ok(200)["journal"]["position"].as_u64().unwrap() };
    let before = position().await;
    for number in 0..20 {
        let key = format!("key-{number}");
        assert_eq!(release(&key).await.ok(200), released);
        leave(&key).await.ok(204);
    }
    assert_eq!(position().await, before);
}

#[tokio::test]
async fn whoever_uses_many_keys_pushes_out_nobody_elses() {
    let api = Api::start_with(&[("ONSALE_LIMITS_IDEMPOTENCY_KEYS_MAX", "1100")]);
    api.server.prepare(6, json!({})).await;
    let kims = hold(&api, "kim", "kim's", &[1]).await;
    let lees = api.hold("lee", &[2]).await.ok(201);
    let path = path_of(&lees);
    // Each exchange and each change back is an effect with a key of its own.
    for number in 0..1_200 {
        let body = json!({"seats": seat_ids(&[2 + number % 2])});
        api.user("lee", PATCH, &path).key(&format!("key-{number}")).json(&body).await.ok(200);
    }
    is_replay(&hold(&api, "kim", "kim's", &[1]).await, &kims);
}

#[tokio::test]
async fn of_many_requests_at_once_with_one_key_one_has_the_effect_and_none_another() {
    let api = Api::with_hall(6, json!({})).await;
    let rush = (0..16).map(|_| async { hold(&api, "kim", "k", &[1, 2]).await });
    let answers = futures_util::future::join_all(rush).await;
    let is_first = |answer: &&Answer| answer.status == 201 && answer.header("idempotent-replayed").is_empty();
    assert_eq!(answers.iter().filter(is_first).count(), 1);
    let first = answers.iter().find(is_first).unwrap();
    for answer in answers.iter().filter(|answer| !is_first(answer)) {
        if answer.status == 201 {
            is_replay(answer, first);
        } else {
            assert_eq!((answer.status, answer.code().as_str()), (409, "request_in_progress"));
        }
    }
    assert_eq!(api.statuses().await[..3], ["held", "held", "available"]);
    let list = api.user("kim", GET, "/reservations").await.ok(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_an_administrator_changes_takes_a_key_and_is_replayed_too() {
    let api = Api::start();
    put_concert(&api).await;
    api.admin(PUT, "/schedules/s").json(&schedule()).await.ok(201);
    let seats = json!({"seats": ["1-A-1-4"]});
    let steps: [(&str, Option<&Value>); 7] = [
        ("open", None),
        ("block", Some(&seats)),
        ("unblock", Some(&seats)),
        ("close", None),
        ("open", Some(&json!({}))),
        ("cancel", None),
        ("cancel", None),
    ];
    let send = |index: usize, (route, body): (&str, Option<&Value>)| {
        let call = api.admin(POST, &format!("/schedules/s/{route}")).key(&format!("key-{index}"));
        match body {
            Some(body) => call.json(body),
            None => call,
        }
    };
    let mut firsts = Vec::new();
    for (index, step) in steps.into_iter().enumerate() {
        let first = send(index, step).await;
        assert_eq!((first.status, first.header("idempotent-replayed")), (200, ""), "{}", step.0);
        firsts.push(first);
    }
    for (index, step) in steps.into_iter().enumerate() {
        is_replay(&send(index, step).await, &firsts[index]);
    }
    assert_eq!(
        api.public(GET, "/schedules/s").await.ok(200)["status"],
        "cancelled",
        "no replay had an effect"
    );
}

#[tokio::test]
async fn a_removal_and_an_import_are_replayed() {
    let api = Api::start();
    let with_id = |name: &str, id: &str, document: Value| crate::with(document, name, json!(id));
    let document = json!({"venues": [with_id("venueId", "v", venue())], "concerts": [with_id("concertId", "c", concert())],
        "schedules": [with_id("scheduleId", "s", schedule())]});
    let import = |document: &Value| api.admin(POST, "/import").key("import").json(document);
    let imported = import(&document).await;
    assert_eq!(imported.status, 200, "{}", imported.body);
    is_replay(&import(&document).await, &imported);
    import(&json!({"venues": [], "concerts": [], "schedules": []}))
        .await
        .refused(422, "idempotency_key_reused");
    for path in ["/schedules/s", "/concerts/c", "/venues/v"] {
        let first = api.admin(DELETE, path).key("gone").await;
        assert_eq!(first.status, 204);
        is_replay(&api.admin(DELETE, path).key("gone").await, &first);
        api.admin(DELETE, path).key("other").await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn a_key_is_known_after_kill_9() {
    let mut api = Api::with_hall(6, json!({})).await;
    let held = hold(&api, "kim", "hold", &[1, 2]).await;
    let path = path_of(&held.body);
    let other = api.hold("lee", &[5]).await.ok(201);
    let body = json!({"seats": seat_ids(&[3])});
    let exchanged = api.user("kim", PATCH, &path).key("exchange").json(&body).await;
    let released = api.user("lee", DELETE, &path_of(&other)).key("release").await;
    let blocked = json!({"seats": seat_ids(&[6])});
    let block = api.admin(POST, "/schedules/s/block").key("block").json(&blocked).await;
    for _ in 0..2 {
        api = api.kill_and_restart();
        is_replay(&hold(&api, "kim", "hold", &[1, 2]).await, &held);
        hold(&api, "kim", "hold", &[4]).await.refused(422, "idempotency_key_reused");
        is_replay(&api.user("kim", PATCH, &path).key("exchange").json(&body).await, &exchanged);
        is_replay(&api.user("lee", DELETE, &path_of(&other)).key("release").await, &released);
        is_replay(&api.admin(POST, "/schedules/s/block").key("block").json(&blocked).await, &block);
        let now = api.user("kim", GET, &path).await.ok(200);
        assert_eq!((&now["status"], &now["recovered"]), (&json!("held"), &json!(true)));
        assert!(crate::text(&now["expiresAt"]) > crate::text(&held.body["expiresAt"]), "nobody loses time");
        assert_eq!(
            api.statuses().await,
            ["available", "available", "held", "available", "available", "blocked"]
        );
    }
}

#[tokio::test]
async fn a_first_answer_is_given_again_even_where_a_pass_is_needed_by_now() {
    let api = Api::with_hall(6, json!({})).await;
    let held = hold(&api, "kim", "hold", &[1]).await;
    let path = path_of(&held.body);
    let body = json!({"seats": seat_ids(&[2])});
    let exchange = || api.user("kim", PATCH, &path).key("exchange").json(&body);
    let exchanged = exchange().await;
    assert_eq!((held.status, exchanged.status), (201, 200));
    let with_queue = crate::with(schedule(), "policy", json!({"queue": {"maxActive": 10}}));
    api.admin(PUT, "/schedules/s").json(&with_queue).await.ok(200);
    is_replay(&hold(&api, "kim", "hold", &[1]).await, &held);
    is_replay(&exchange().await, &exchanged);
    hold(&api, "kim", "hold", &[3]).await.refused(422, "idempotency_key_reused");
    hold(&api, "kim", "another", &[1]).await.refused(403, "queue_token_required");
}
