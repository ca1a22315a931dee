//! The pages that people see: the storefront and the operations page, as `web/build.mjs` made them.
//!
//! The files of `web/dist` are in the program; a debug build reads them from the disk, so that a page that was built again
//! is seen without a new program. A page's own address is the script's to understand: each leads to the same file. So does a link that
//! leads nowhere, with status 404, for whoever reads pages.
//!
//! Absent on purpose: templates, and anything of a user. A page learns everything else from the API. And a prefix: the pages stand at
//! the root, which is part of their links.
//!
//! Invariants: a page loads nothing from another server and runs nothing that isn't a file of its own; a file whose name
//! has its hash never changes.

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use bytes::Bytes;
use rust_embed::{EmbeddedFile, RustEmbed};
use serde::Serialize;

use super::answer::{answer, written};
use super::app::App;
use super::extract::Path;
use super::problem::Problem;
use super::table::{Routes, get};
use super::tagged::{GZIP, accepts, has};

/// The paths at which the pages stand.
const PATHS: &[&str] = &[
    "/",
    "/shows/{concertId}",
    "/schedules/{scheduleId}",
    "/reservations",
    "/reservations/{reservationId}",
    "/account",
    "/verify",
    "/ops",
    "/ops/{*rest}",
];

/// A page may load and call this server alone, and makes no script of a text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// A name with a hash stands for its bytes for ever.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// A page names the files of one build, so that a browser asks each time whether there is a new one.
const ASK_EACH_TIME: &str = "no-cache";

/// The files, beside each of which its compressed forms stand.
#[derive(RustEmbed)]
#[folder = "web/dist"]
struct Built;

/// What the pages can't learn from the API.
#[derive(Debug, Clone, Default)]
pub struct PageSettings {
    /// The gateway's page to which a customer is sent to pay; absent without one that the pages know.
    pub checkout_url: Option<String>,
    /// Whether anyone may become a fan here without signing up.
    pub demo_fans: bool,
    /// Whether anyone may become the operator here.
    pub demo_operators: bool,
}

/// What the pages are told.
#[expect(clippy::struct_excessive_bools, reason = "each says whether one thing can be done here")]
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SettingsDocument {
    checkout_url: Option<String>,
    demo_fans: bool,
    demo_operators: bool,
    /// Whether users sign up and in here.
    signs_in: bool,
    /// Whether a sign-up is completed by a mail.
    sends_mail: bool,
    /// Whether users charge their own balance, and the bounds of one charge in the minor unit.
    self_charge: bool,
    charge_min: u64,
    charge_max: u64,
}

impl SettingsDocument {
    fn of(app: &App, settings: PageSettings) -> Self {
        let PageSettings { checkout_url, demo_fans, demo_operators } = settings;
        let payments = &app.parts.payments;
        Self {
            checkout_url,
            demo_fans,
            demo_operators,
            signs_in: app.parts.authenticator.issues_tokens(),
            sends_mail: app.parts.mail_hook.is_some(),
            self_charge: payments.self_charge,
            charge_min: payments.charge_min.minor(),
            charge_max: payments.charge_max.minor(),
        }
    }
}

/// Makes the routes of the pages, of their files, and of what they are told.
pub(super) fn routes(settings: PageSettings) -> Routes<App> {
    let page = |path: &&str| if path.starts_with("/ops") { "ops.html" } else { "index.html" };
    let pages = PATHS.iter().fold(Routes::new(), |routes, path| {
        let name = page(path);
        let shown = async move |headers: HeaderMap| file(name, ASK_EACH_TIME, &headers);
        routes.route(path, get(shown).of_page())
    });
    let asset = async |Path(name): Path<String>, headers: HeaderMap| {
        file(&format!("assets/{name}"), FOREVER, &headers)
    };
    let told = async move |State(app): State<App>| {
        let document = written(&SettingsDocument::of(&app, settings.clone()));
        let mut response = answer(StatusCode::OK, "application/json", document);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(ASK_EACH_TIME));
        response
    };
    pages.route("/assets/{name}", get(asset)).route("/pages.json", get(told)).otherwise(nowhere)
}

/// Answers where nothing is: a browser gets a page that says so, and a program a problem.
async fn nowhere(method: Method, uri: Uri, mut headers: HeaderMap) -> Result<Response, Problem> {
    let is_of_api = uri.path() == "/api" || uri.path().starts_with("/api/");
    if is_of_api || !matches!(method, Method::GET | Method::HEAD) || !reads_pages(&headers) {
        return Err(Problem::no_route());
    }

    // That nothing is there is said each time.
    headers.remove(header::IF_NONE_MATCH);
    let mut response = file("index.html", ASK_EACH_TIME, &headers)?;
    *response.status_mut() = StatusCode::NOT_FOUND;
    let more = response.headers_mut();
    more.remove(header::ETAG);
    more.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    Ok(response)
}

/// Tells whether a caller asks for pages by name, as browsers do where somebody follows a link.
fn reads_pages(headers: &HeaderMap) -> bool {
    let mut asked = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    asked.any(|kinds| kinds.contains("text/html"))
}

/// Answers with a file, in the smallest form that the client takes.
fn file(name: &str, cached: &'static str, headers: &HeaderMap) -> Result<Response, Problem> {
    // On the disk, where a debug build reads, a name could lead to a file by two ways.
    let kind = content_type(name).filter(|_| !name.contains("..")).ok_or_else(Problem::not_found)?;
    let (encoding, file) = smallest(name, headers).ok_or_else(Problem::not_found)?;
    let tag = tag(&file, encoding);
    let known = has(headers, &tag);

    let mut response = if known {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        let body = match file.data {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        };
        answer(StatusCode::OK, kind, body)
    };

    let more = response.headers_mut();
    let fixed = HeaderValue::from_static;
    if let (Some(encoding), false) = (encoding, known) {
        more.insert(header::CONTENT_ENCODING, fixed(encoding));
    }
    more.insert(header::VARY, fixed("accept-encoding"));
    more.insert(header::CACHE_CONTROL, fixed(cached));
    more.insert(header::ETAG, HeaderValue::try_from(format!("\"{tag}\"")).expect("digits and words"));
    more.insert(header::CONTENT_SECURITY_POLICY, fixed(POLICY));
    more.insert(header::REFERRER_POLICY, fixed("no-referrer"));
    Ok(response)
}

/// Finds a file as it is or compressed.
fn smallest(name: &str, headers: &HeaderMap) -> Option<(Option<&'static str>, EmbeddedFile)> {
    let forms: [(&str, &[&str], &str); 2] = [("br", &["br"], "br"), ("gzip", GZIP, "gz")];
    let mut taken = forms.into_iter().filter(|(_, names, _)| accepts(headers, names));
    let found =
        taken.find_map(|(coding, _, ending)| Some((Some(coding), Built::get(&format!("{name}.{ending}"))?)));
    found.or_else(|| Some((None, Built::get(name)?)))
}

/// Returns the strong tag of a file's form, without its quotes: by its bytes.
fn tag(file: &EmbeddedFile, encoding: Option<&str>) -> String {
    let hash = file.metadata.sha256_hash();
    let hash = hash.iter().take(8).fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    format!("{hash}-{}", encoding.unwrap_or("plain"))
}

/// Returns the type of a file by its name's end; nothing of a form that is only there to be chosen.
fn content_type(name: &str) -> Option<&'static str> {
    let (_, ending) = name.rsplit_once('.')?;
    match ending {
        "html" => Some("text/html; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        "txt" => Some("text/plain; charset=utf-8"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(axum::http::HeaderName::from_static(name), HeaderValue::from_static(value))])
    }

    #[test]
    fn a_page_comes_in_the_smallest_form_that_its_reader_takes() {
        let coding = |accepted| {
            let response = file("index.html", ASK_EACH_TIME, &asking("accept-encoding", accepted)).unwrap();
            response.headers().get("content-encoding").map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(coding("gzip, deflate, br").as_deref(), Some("br"));
        assert_eq!(coding("gzip;q=0.5, br;q=0").as_deref(), Some("gzip"));
        assert_eq!(coding("identity"), None);
    }

    #[test]
    fn a_page_that_is_known_isnt_sent_again_and_runs_only_what_is_here() {
        let first = file("index.html", ASK_EACH_TIME, &HeaderMap::new()).unwrap();
        assert_eq!(first.headers()["cache-control"], "no-cache");
        let policy = first.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");

        let known = HeaderMap::from_iter([(header::IF_NONE_MATCH, first.headers()["etag"].clone())]);
        let again = file("index.html", ASK_EACH_TIME, &known).unwrap();
        assert_eq!((first.status(), again.status()), (StatusCode::OK, StatusCode::NOT_MODIFIED));
    }

    #[test]
    fn each_file_stands_beside_its_compressed_forms_and_pages_name_only_files_that_are_there() {
        let names: Vec<String> = Built::iter().map(Cow::into_owned).collect();
        for name in names.iter().filter(|name| content_type(name).is_some()) {
            for ending in ["br", "gz"] {
                assert!(Built::get(&format!("{name}.{ending}")).is_some(), "{name}.{ending}");
            }
        }
        for page in ["index.html", "ops.html"] {
            let text = String::from_utf8(Built::get(page).unwrap().data.into_owned()).unwrap();
            let linked: Vec<&str> =
                text.split("\"/assets/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
            assert!(linked.len() >= 2, "{page} has a script and a style");
            for name in linked {
                assert!(Built::get(&format!("assets/{name}")).is_some(), "{page} names {name}");
            }
        }
    }

    #[test]
    fn a_compressed_form_and_a_file_elsewhere_have_no_address_of_their_own() {
        for name in ["index.html.br", "assets/../index.html", "assets/nothing.js", "assets/../../Cargo.toml"]
        {
            assert!(file(name, FOREVER, &HeaderMap::new()).is_err(), "{name}");
        }
    }
}
