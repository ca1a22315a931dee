//! Whether answers are as the description says: every one that a test of this suite gets.
//!
//! Held to it are the status, the type of the content, and the document; and, stricter than the description itself, that no
//! document has a member that the description doesn't name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jsonschema::{Draft, Validator};
use onsale::http::app::App;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::Answer;

/// The description, and the validators that were made from it by now: by the place of their schema in it.
struct Description {
    document: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

fn description() -> &'static Description {
    static DESCRIPTION: OnceLock<Description> = OnceLock::new();
    DESCRIPTION.get_or_init(|| {
        let mut document = serde_json::to_value(App::openapi()).unwrap();
        let schemas = document["components"]["schemas"].as_object().unwrap().clone();
        close(&mut document, false, &schemas);
        Description { document, validators: Mutex::default() }
    })
}

/// Closes the schemas of objects: a member that isn't named is one too many. What is part of an `allOf` knows its own alone: the whole
/// is closed.
fn close(value: &mut Value, is_part: bool, schemas: &Map<String, Value>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| close(item, is_part, schemas)),
        Value::Object(members) => {
            if is_part && let Some(name) = members.get("$ref").and_then(Value::as_str) {
                // Elsewhere it is a whole of its own, and closed.
                let name = name.strip_prefix("#/components/schemas/").unwrap();
                *value = schemas[name].clone();
                return close(value, true, schemas);
            }
            for (name, inside) in members.iter_mut() {
                let is_choice = ["oneOf", "anyOf"].contains(&name.as_str());
                let is_part = name == "allOf" || (is_part && is_choice);
                close(inside, is_part, schemas);
            }
            let is_schema = ["$ref", "allOf", "properties"].iter().any(|name| members.contains_key(*name));
            let is_open = !members.contains_key("additionalProperties");
            if is_schema && is_open && !is_part {
                members.insert("unevaluatedProperties".to_owned(), false.into());
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Writes a name as a part of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Writes a JSON pointer as the fragment of a URL (RFC 6901, section 6), as far as the pointers of a description need it.
fn in_a_url(pointer: &str) -> String {
    pointer.replace('{', "%7B").replace('}', "%7D")
}

impl Description {
    /// Finds the template of a path: one that has the path's own words before one that has a parameter there.
    fn template(&self, path: &str) -> Option<&str> {
        let parts: Vec<&str> = path.split('/').collect();
        let fits = |template: &&str| {
            let wanted: Vec<&str> = template.split('/').collect();
            wanted.len() == parts.len()
                && wanted.iter().zip(&parts).all(|(wanted, part)| wanted.starts_with('{') || wanted == part)
        };
        let paths = self.document["paths"].as_object().unwrap();
        paths.keys().map(String::as_str).filter(fits).min_by_key(|template| template.matches('{').count())
    }

    /// Checks a document against the schema at a place of the description.
    fn check(&self, pointer: &str, document: &Value, what: &str) {
        let validator = {
            let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
            let made = validators.entry(pointer.to_owned()).or_insert_with(|| {
                let Value::Object(mut whole) = self.document.clone() else { unreachable!() };
                whole.insert("$ref".to_owned(), format!("#{}", in_a_url(pointer)).into());
                // The description's own word for it isn't a schema's.
                whole.remove("$schema");
                let whole = Value::Object(whole);
                let options =
                    jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true);
                Arc::new(options.build(&whole).unwrap_or_else(|error| panic!("{pointer}: {error}")))
            });
            Arc::clone(made)
        };
        let errors: Vec<String> = validator
            .iter_errors(document)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{what} isn't as described: {errors:#?}\n{document}");
    }
}

/// Checks an answer to a request; of a route or a method that isn't described, whether it is a problem.
pub(crate) fn check(method: &Method, path: &str, answer: &Answer) {
    let description = description();
    let what = format!("{method} {path}: {}", answer.status);
    let method = if method == Method::HEAD { "get".to_owned() } else { method.as_str().to_ascii_lowercase() };
    let operation = description
        .template(path)
        .map(|template| format!("/paths/{}/{method}", escaped(template)))
        .filter(|pointer| description.document.pointer(pointer).is_some());
    let Some(operation) = operation else {
        // A browser is told of a link that leads nowhere on a page.
        if answer.status >= 400 && !answer.header("content-type").starts_with("text/html") {
            description.check("/components/schemas/Problem", &answer.body, &what);
        }
        return;
    };

    let responses = format!("{operation}/responses");
    let listed = format!("{responses}/{}", answer.status);
    let is_listed = description.document.pointer(&listed).is_some();
    assert!(is_listed || answer.status >= 400, "{what}: a success isn't listed");
    let listed = if is_listed { listed } else { format!("{responses}/default") };
    let response = description.document.pointer(&listed).unwrap();
    let empty = Map::new();
    let contents = response["content"].as_object().unwrap_or(&empty);
    let kind = answer.header("content-type").split(';').next().unwrap_or_default();
    if contents.is_empty() {
        assert!(answer.bytes.is_empty(), "{what}: a body isn't described");
        return;
    }
    assert!(contents.contains_key(kind), "{what}: {kind} isn't described");
    if kind.ends_with("json") && !answer.bytes.is_empty() {
        description.check(&format!("{listed}/content/{}/schema", escaped(kind)), &answer.body, &what);
    }
}

/// Checks a document that an event of a stream has against a schema by its name.
pub(crate) fn check_schema(name: &str, document: &Value) {
    description().check(&format!("/components/schemas/{name}"), document, name);
}

#[tokio::test]
async fn the_description_that_is_served_is_the_one_that_the_answers_are_held_to() {
    let api = crate::Api::start();
    let served = api.root(crate::GET, "/openapi.json").await.ok(200);
    assert_eq!(served, serde_json::to_value(App::openapi()).unwrap());
}

#[test]
fn a_document_with_a_member_too_many_or_too_few_is_noticed() {
    let problem = json!({"type": "/problems/not-found", "title": "t", "status": 404, "detail": "d", "code": "not_found"});
    check_schema("Problem", &problem);
    let wrong = |name: &str, value: Value| {
        let document = crate::with(problem.clone(), name, value);
        std::panic::catch_unwind(|| check_schema("Problem", &document)).is_err()
    };
    // At the top the schema of an error is open, as clients must expect.
    assert!(
        wrong("code", Value::Null) && wrong("code", json!("no_such_code")) && wrong("status", json!("404"))
    );
    let operation = "/paths/~1healthz/get/responses/200/content/application~1json/schema";
    let alive =
        |document: &Value| std::panic::catch_unwind(|| description().check(operation, document, "")).is_ok();
    assert!(alive(&json!({"status": "ok"})));
    assert!(!alive(&json!({"status": "ok", "colour": 1})) && !alive(&json!({})));
}

#[test]
fn each_reference_of_the_description_leads_somewhere() {
    let openapi = serde_json::to_value(App::openapi()).unwrap();
    let mut ways = vec![&openapi];
    while let Some(value) = ways.pop() {
        match value {
            Value::Array(items) => ways.extend(items),
            Value::Object(members) => ways.extend(members.values()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(openapi.pointer(pointer).is_some(), "{reference}");
        }
    }
}

/// Tells whether a body is one that an operation says it takes.
pub(crate) fn is_taken(method: &str, path: &str, body: &Value) -> bool {
    let schema = format!("/paths/{}/{method}/requestBody/content/application~1json/schema", escaped(path));
    std::panic::catch_unwind(|| description().check(&schema, body, path)).is_ok()
}

#[tokio::test]
async fn an_address_to_sign_up_with_is_described_as_it_is_taken() {
    let api = crate::Api::start();
    for (email, right) in [
        ("ann@example.org", true),
        ("o'neil_%$#!&*@example.org", true),
        (r#""ann,lee"@example.org"#, true),
        (r#""a\"n"@example.org"#, true),
        ("관객@예시.한국", true),
        ("ann@नमस्ते.example", true),
        ("ann@e\u{301}.example", true),
        ("ann(work)@example.org", false),
        ("ann,lee@example.org", false),
        ("[@example.org", false),
        (r#""@example.org"#, false),
        (r#"""@example.org"#, false),
        (r#""a"n"@example.org"#, false),
        (r#""a\"@example.org"#, false),
        ("ann@example", false),
        ("ann@-example.org", false),
        ("ann@example-.org", false),
        ("ann@ex_ample.org", false),
        ("an n@example.org", false),
    ] {
        let body = json!({"email": email, "name": "Ann", "password": "correct horse battery"});
        let answer = api.public(crate::POST, "/users").json(&body).await;
        assert_eq!(answer.status == 201, right, "{email}: {}", answer.body);
        assert_eq!(is_taken("post", "/api/v1/users", &body), right, "{email}");
    }
}

#[tokio::test]
async fn texts_of_venues_and_concerts_are_described_as_they_are_taken() {
    let api = crate::Api::start();
    api.admin(crate::PUT, "/venues/v").json(&crate::venue()).await.ok(201);
    let long = "x".repeat(501);
    let (url, lines) = ("x".repeat(2_001), "x".repeat(10_001));
    let venue: &[(&str, &[(&str, bool)])] = &[
        (
            "address",
            &[
                ("", true),
                ("서울 1", true),
                ("a\u{7}", false),
                ("a\nb", false),
                ("a\u{85}", false),
                (&long, false),
            ],
        ),
        ("type", &[("", true), ("hall", true), ("a\tb", false), (&long, false)]),
    ];
    let concert: &[(&str, &[(&str, bool)])] = &[
        ("artist", &[("", true), ("a\u{1b}b", false), (&long, false)]),
        (
            "description",
            &[("", true), ("a\r\n\tb", true), ("a\u{0}b", false), ("a\u{b}b", false), (&lines, false)],
        ),
        (
            "posterUrl",
            &[
                ("https://example.org/a.png", true),
                ("HTTP://example.org/a:b", true),
                ("posters/a.jpg", true),
                ("/a:b", true),
                ("?a:b", true),
                ("#", true),
                ("http:", true),
                ("JavaScript:alert(1)", false),
                ("data:text/html,x", false),
                ("java\tscript:alert(1)", false),
                ("a b", false),
                (":", false),
                ("", false),
                (&url, false),
            ],
        ),
    ];
    for (route, document, fields) in
        [("venue", crate::venue(), venue), ("concert", crate::concert(), concert)]
    {
        for (field, cases) in fields {
            for (text, right) in *cases {
                let body = crate::with(document.clone(), field, (*text).into());
                let id = &route[..1];
                let answer = api.admin(crate::PUT, &format!("/{route}s/{id}")).json(&body).await;
                assert_eq!(answer.status < 300, *right, "{field} {text:?}: {}", answer.body);
                let path = format!("/api/v1/{route}s/{{{route}Id}}");
                assert_eq!(is_taken("put", &path, &body), *right, "{field} {text:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_an_import_and_a_venue_must_have_is_described() {
    let api = crate::Api::start();
    let venue = crate::with(crate::venue(), "venueId", "v".into());
    let concert = crate::with(crate::concert(), "concertId", "c".into());
    let import = |venue: &Value, concert: &Value| json!({"venues": [venue], "concerts": [concert]});
    let rows = |seats: Value| json!([{"sectionId": "A", "floor": "1", "rows": [{"rowId": "1", "grade": "R", "seats": seats}]}]);
    for (body, right) in [
        (import(&venue, &concert), true),
        (import(&crate::venue(), &concert), false),
        (import(&venue, &crate::concert()), false),
        (import(&crate::with(venue.clone(), "venueId", Value::Null), &concert), false),
        (
            json!({"schedules": [{"concertId": "c", "startsAt": "2037-01-01T10:00:00Z", "endsAt": "2037-01-01T12:00:00Z"}]}),
            false,
        ),
    ] {
        let answer = api.admin(crate::POST, "/import").json(&body).await;
        assert_eq!(answer.status == 200, right, "{body}: {}", answer.body);
        assert_eq!(is_taken("post", "/api/v1/import", &body), right, "{body}");
    }
    let twice = json!({"scheduleId": "s", "seats": ["1-A-1-1", "1-A-1-1"]});
    assert!(!is_taken("post", "/api/v1/reservations", &twice), "each seat once");
    for sections in [json!([]), rows(json!([]))] {
        let body = crate::with(crate::venue(), "sections", sections);
        api.admin(crate::PUT, "/venues/w").json(&body).await.refused(422, "invalid_request");
        assert!(!is_taken("put", "/api/v1/venues/{venueId}", &body), "{body}");
    }
}

#[tokio::test]
async fn each_operation_has_a_name_of_its_own_and_a_tag_that_is_declared() {
    let openapi = serde_json::to_value(App::openapi()).unwrap();
    let declared: Vec<&Value> = openapi["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut names = std::collections::BTreeSet::new();
    for (path, item) in openapi["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{method} {path}: {name} is another's");
            assert!(
                operation["tags"].as_array().unwrap().iter().all(|tag| declared.contains(&tag)),
                "{path}"
            );
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                check_parameter(&format!("{method} {path}"), parameter);
            }
        }
    }
}

/// Checks that a parameter says what it may be: every one is bounded.
fn check_parameter(route: &str, parameter: &Value) {
    let schema = &parameter["schema"];
    let is_bounded = ["$ref", "enum", "maximum", "maxLength", "pattern", "oneOf"]
        .iter()
        .any(|name| !schema[*name].is_null());
    assert!(is_bounded, "{route}: {} has any value: {schema}", parameter["name"]);
}
