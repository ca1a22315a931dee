//! The checkout, as a browser and a script meet it.

use super::*;

async fn page(shop: &Shop, query: &str) -> (u16, String, String) {
    let response = shop.client.get(shop.url(&format!("/checkout?{query}"))).send().await.unwrap();
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    (response.status().as_u16(), policy, response.text().await.unwrap())
}

/// Opens the page and sends its form, and returns the status, where it leads, and the page.
async fn submit(shop: &Shop, form: &str) -> (u16, Option<String>, String) {
    let (_, _, page) = page(shop, form).await;
    let name =
        page.split_once("name=\"form\" value=\"").map_or("", |(_, rest)| rest.split('"').next().unwrap());
    send(shop, &format!("{form}&form={name}")).await
}

async fn send(shop: &Shop, form: &str) -> (u16, Option<String>, String) {
    let request = shop.client.post(shop.url("/checkout"));
    let request = request.header("Content-Type", "application/x-www-form-urlencoded").body(form.to_owned());
    let response = request.send().await.unwrap();
    let location = response.headers().get("location").map(|location| location.to_str().unwrap().to_owned());
    (response.status().as_u16(), location, response.text().await.unwrap())
}

#[tokio::test]
async fn the_page_is_a_form_that_needs_no_script_and_nobody_else() {
    let shop = Shop::open().await;
    let query = "orderId=order-1&amount=340000&orderName=Phantom&successUrl=https://shop.example/paid&failUrl=http://localhost:3000/no";
    let (status, policy, page) = page(&shop, query).await;
    assert_eq!(status, 200);
    assert!(page.contains("<form method=\"post\" action=\"/checkout\">"), "{page}");
    assert!(page.contains("name=\"decision\" value=\"pay\">Pay ₩340,000</button>"), "{page}");
    assert!(page.contains("name=\"decision\" value=\"decline\""), "{page}");
    assert!(page.contains("name=\"orderId\" value=\"order-1\""), "{page}");
    assert!(
        page.contains("<html lang=\"en\">") && page.contains("<h1>") && page.contains("<title>"),
        "{page}"
    );
    assert!(!page.contains("<script") && !page.contains(" src=") && !page.contains("//cdn"), "{page}");
    assert!(policy.starts_with("default-src 'none'; style-src 'self'; "), "{policy}");
    assert!(policy.contains("form-action 'self' https://shop.example http://localhost:3000;"), "{policy}");
    let style = shop.client.get(shop.url("/checkout/style.css")).send().await.unwrap();
    assert_eq!(
        (style.status().as_u16(), &style.headers()["content-type"]),
        (200, &"text/css; charset=utf-8".parse().unwrap())
    );
}

#[tokio::test]
async fn what_a_link_says_is_text_on_the_page() {
    let shop = Shop::open().await;
    let name = "%3Cscript%3Ealert(1)%3C/script%3E%22%27";
    let (status, _, page) = page(&shop, &format!("orderId=order-1&amount=1&orderName={name}")).await;
    assert_eq!(status, 200);
    assert!(!page.contains("<script>"), "{page}");
    assert_eq!(page.matches("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;").count(), 2, "{page}");
}

#[tokio::test]
async fn who_pays_is_sent_back_with_the_payment_key() {
    let shop = Shop::open().await;
    let form = "orderId=order-1&amount=100&orderName=%EC%98%A4&successUrl=https%3A%2F%2Fshop.example%2Fpaid%3Fa%3D1&failUrl=&fault=&decision=pay";
    let (status, location, _) = submit(&shop, form).await;
    assert_eq!(status, 303);
    let ledger = shop.ledger("order-1").await;
    let key = ledger["payments"][0]["paymentKey"].as_str().unwrap();
    assert_eq!(
        location.unwrap(),
        format!("https://shop.example/paid?a=1&paymentKey={key}&orderId=order-1&amount=100")
    );
    assert_eq!(ledger["status"], "IN_PROGRESS");
    assert_eq!(shop.confirm(key, "order-1", 100, "c").await.unwrap().0, 200);
}

#[tokio::test]
async fn without_a_way_back_the_key_is_shown() {
    let shop = Shop::open().await;
    let (status, location, page) = submit(&shop, "orderId=order-1&amount=100&decision=pay").await;
    let ledger = shop.ledger("order-1").await;
    let key = ledger["payments"][0]["paymentKey"].as_str().unwrap();
    assert_eq!((status, location), (200, None));
    assert!(page.contains(&format!(">{key}</code>")), "{page}");
}

#[tokio::test]
async fn who_declines_is_sent_to_the_other_page_and_can_come_again() {
    let shop = Shop::open().await;
    let form = "orderId=order-1&amount=100&failUrl=https://shop.example/no&decision=decline";
    let (status, location, _) = submit(&shop, form).await;
    let expected =
        "https://shop.example/no?code=PAY_PROCESS_CANCELED&message=The+customer+gave+up.&orderId=order-1";
    assert_eq!((status, location.as_deref()), (303, Some(expected)));
    let (_, payment) = shop.get("/v1/payments/orders/order-1").await;
    assert_eq!(
        (&payment["status"], &payment["failure"]["code"]),
        (&json!("ABORTED"), &json!("PAY_PROCESS_CANCELED"))
    );
    let (status, _, page) = submit(&shop, "orderId=order-1&amount=100&decision=decline").await;
    assert!(status == 200 && page.contains("<h1>Declined</h1>"), "{page}");
    let key = shop.check_out("order-1", 100).await;
    assert_eq!(shop.confirm(&key, "order-1", 100, "c").await.unwrap().0, 200);
    // Paid for: neither again nor away.
    let (status, _, page) = submit(&shop, "orderId=order-1&amount=100&decision=pay").await;
    assert!(status == 400 && page.contains("role=\"alert\""), "{page}");
    submit(&shop, "orderId=order-1&amount=100&decision=decline").await;
    assert_eq!(shop.ledger("order-1").await["status"], "DONE");
}

#[tokio::test]
async fn a_link_can_say_what_shall_go_wrong_with_its_order() {
    let shop = Shop::open().await;
    let (_, _, page) = page(&shop, "orderId=order-1&amount=100&fault=decline,webhook-lost").await;
    assert!(page.contains("name=\"fault\" value=\"decline,webhook-lost\""), "{page}");
    submit(&shop, "orderId=order-1&amount=100&fault=decline&decision=pay").await;
    let key = shop.ledger("order-1").await["payments"][0]["paymentKey"].as_str().unwrap().to_owned();
    assert_eq!(code(shop.confirm(&key, "order-1", 100, "c").await), refused(403, "REJECT_CARD_COMPANY"));
    let body = json!({"orderId": "order-2", "amount": 1, "fault": "error:PROVIDER_ERROR"});
    let key = shop.check_out_with(body).await;
    assert_eq!(code(shop.confirm(&key, "order-2", 1, "d").await), refused(400, "PROVIDER_ERROR"));
    assert_eq!(shop.confirm(&key, "order-2", 1, "e").await.unwrap().0, 200);
}

#[tokio::test]
async fn a_checkout_that_says_nonsense_is_refused() {
    let shop = Shop::open().await;
    for query in [
        "",
        "orderId=order-1",
        "orderId=short&amount=1",
        "orderId=order-1&amount=0",
        "orderId=order-1&amount=-1",
        "orderId=order-1&amount=9007199254740992",
        "orderId=order-1&amount=1&successUrl=javascript:alert(1)",
        "orderId=order-1&amount=1&failUrl=//shop",
        "orderId=order-1&amount=1&fault=nonsense",
        "orderId=../../x&amount=1",
        "orderId=order-1&amount=1&orderName=a%0Ab",
    ] {
        assert_eq!(page(&shop, query).await.0, 400, "{query}");
        assert_eq!(submit(&shop, &format!("{query}&decision=pay")).await.0, 400, "{query}");
    }
    assert_eq!(submit(&shop, "orderId=order-1&amount=1").await.0, 400);
    assert_eq!(submit(&shop, "orderId=order-1&amount=1&decision=perhaps").await.0, 400);
    for body in
        [json!({}), json!({"orderId": "order-1"}), json!({"orderId": "order-1", "amount": 1, "more": 1})]
    {
        let answer = shop.call(Method::POST, "/checkout", None, Some(body)).await;
        assert_eq!(code(answer), refused(400, "INVALID_REQUEST"));
    }
    assert_eq!(shop.get("/mock/ledger").await.1["orders"], json!([]));
}

#[tokio::test]
async fn a_form_is_sent_once_by_who_was_shown_it_and_changes_of_other_types_are_refused() {
    let shop = Shop::open().await;
    let form = "orderId=order-1&amount=100&decision=pay";
    for forged in [form.to_owned(), format!("{form}&form="), format!("{form}&form={:032x}", 1)] {
        let (status, location, page) = send(&shop, &forged).await;
        assert!(
            status == 400 && location.is_none() && page.contains("open the link to the checkout again"),
            "{page}"
        );
    }
    let (_, _, shown) = page(&shop, form).await;
    let name = shown.split_once("name=\"form\" value=\"").unwrap().1.split('"').next().unwrap().to_owned();
    let named = format!("{form}&form={name}");
    assert_eq!(send(&shop, &named).await.0, 200);
    assert_eq!(send(&shop, &named).await.0, 400, "it was sent");

    // What a page of another site can send without being asked first.
    let simple = async |path: &str, kind: &str, body: &str| {
        let request = shop.client.post(shop.url(path)).basic_auth(DEMO_SECRET, Some(""));
        let request = request.header("Content-Type", kind).body(body.to_owned());
        request.send().await.unwrap().status().as_u16()
    };
    for kind in
        ["text/plain", "text/plain; application/json", "multipart/form-data; boundary=a", "application/jsonx"]
    {
        assert_eq!(simple("/mock/faults", kind, r#"{"fault": "decline"}"#).await, 415, "{kind}");
        assert_eq!(simple("/checkout", kind, r#"{"orderId": "order-2", "amount": 1}"#).await, 415, "{kind}");
        assert_eq!(simple("/v1/payments/confirm", kind, "{}").await, 415, "{kind}");
    }
    assert_eq!(simple("/mock/faults", "application/x-www-form-urlencoded", "fault=decline").await, 415);
    assert_eq!(shop.get("/mock/faults").await.1["faults"], json!([]));
    assert_eq!(shop.ledger("order-2").await, Value::Null);
}

#[tokio::test]
async fn on_loopback_it_is_called_by_names_of_loopback_alone() {
    let shop = Shop::open().await;
    let ask = async |host: &str| {
        let answer = shop.client.get(shop.url("/mock/ledger")).header("Host", host).send().await.unwrap();
        assert!(answer.headers().contains_key("content-security-policy"));
        answer.status().as_u16()
    };
    for here in ["localhost", "LOCALHOST:9090", "127.0.0.1:1", "[::1]:9090"] {
        assert_eq!(ask(here).await, 200, "{here}");
    }
    for elsewhere in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:9090"] {
        assert_eq!(ask(elsewhere).await, 403, "{elsewhere}");
    }
}
