//! The pages of the checkout: no script, nothing from another host.
//!
//! Invariant: every text that came from outside goes through [`escape`].

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

const STYLE: &str = include_str!("page/style.css");

/// The parts that every page of an order shows.
pub(super) struct OrderPage<'a> {
    pub(super) order_id: &'a str,
    pub(super) order_name: &'a str,
    pub(super) amount: u64,
}

pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

/// Answers with a page, whose form may lead to this gateway and to `targets`.
pub(super) fn answer(status: StatusCode, page: &str, targets: &[String]) -> Response {
    let policy = format!(
        "default-src 'none'; style-src 'self'; form-action 'self' {}; base-uri 'none'; frame-ancestors 'none'",
        targets.join(" ")
    );
    let mut response = (status, Html(page.to_owned())).into_response();
    let headers = response.headers_mut();
    let fixed = |text| HeaderValue::from_static(text);
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        // An origin is ASCII; without the targets the policy is only stricter.
        HeaderValue::from_str(&policy).unwrap_or_else(|_| fixed("default-src 'none'; style-src 'self'")),
    );
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    headers.insert(header::REFERRER_POLICY, fixed("no-referrer"));
    headers.insert(header::CACHE_CONTROL, fixed("no-store"));
    response
}

/// Makes the page that asks the customer to agree.
pub(super) fn ask(shown: &OrderPage<'_>, hidden: &str) -> String {
    let order = order(shown);
    document(
        "Checkout",
        &format!(
            "<h1>Checkout</h1>\n<p class=\"note\">A gateway for trying things out: no money moves.</p>\n{order}\n\
             <form method=\"post\" action=\"/checkout\">\n{hidden}\
             <button class=\"main\" name=\"decision\" value=\"pay\">Pay {}</button>\n\
             <button name=\"decision\" value=\"decline\">Decline</button>\n</form>",
            won(shown.amount)
        ),
    )
}

/// Shows the payment key to a customer without a URL to go to.
pub(super) fn paid(shown: &OrderPage<'_>, key: &str) -> String {
    let (order, key) = (order(shown), escape(key));
    document(
        "Agreed",
        &format!(
            "<h1>Agreed</h1>\n<p class=\"note\">The shop can capture the payment now, with this payment key.</p>\n{order}\n\
             <p id=\"key\">Payment key</p>\n<code aria-labelledby=\"key\">{key}</code>"
        ),
    )
}

pub(super) fn declined(shown: &OrderPage<'_>) -> String {
    let order = order(shown);
    document(
        "Declined",
        &format!("<h1>Declined</h1>\n<p class=\"note\">Nothing will be captured.</p>\n{order}"),
    )
}

pub(super) fn wrong(what: &str) -> String {
    let what = escape(what);
    document("Not possible", &format!("<h1>This isn't possible</h1>\n<p role=\"alert\">{what}</p>"))
}

/// Writes a field that the form carries along.
pub(super) fn hidden(name: &str, value: &str) -> String {
    format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">\n", escape(value))
}

fn order(shown: &OrderPage<'_>) -> String {
    let name = match shown.order_name {
        "" => String::new(),
        name => format!("<dt>For</dt><dd>{}</dd>\n", escape(name)),
    };
    format!(
        "<dl>\n{name}<dt>Order</dt><dd>{}</dd>\n<dt>Amount</dt><dd class=\"amount\">{}</dd>\n</dl>",
        escape(shown.order_id),
        won(shown.amount)
    )
}

fn document(title: &str, main: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title} · mock gateway</title>\n\
         <link rel=\"stylesheet\" href=\"/checkout/style.css\">\n</head>\n<body>\n<main>\n{main}\n</main>\n</body>\n</html>\n"
    )
}

/// Writes won with their thousands apart: `₩340,000`.
fn won(amount: u64) -> String {
    let digits = amount.to_string();
    let mut text = String::from("₩");
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Makes a text safe between tags and in a quoted attribute.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_written_with_its_thousands_apart() {
        let written = [0, 100, 1000, 340_000, 12_345_678].map(won);
        assert_eq!(written, ["₩0", "₩100", "₩1,000", "₩340,000", "₩12,345,678"]);
    }

    #[test]
    fn a_text_from_outside_is_text_on_the_page() {
        assert_eq!(escape("<b a=\"x\">'&"), "&lt;b a=&quot;x&quot;&gt;&#39;&amp;");
        assert!(hidden("orderName", "\"><script>").ends_with("value=\"&quot;&gt;&lt;script&gt;\">\n"));
    }
}
