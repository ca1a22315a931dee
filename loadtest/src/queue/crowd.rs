//! The crowd: who wants a place, what each sends, and the places that they have.

use anyhow::{Context, Result, ensure};

use crate::{
    instant,
    lane::shown,
    token::Signer,
    wire::{Answer, number_field, text_field},
};

const TOKENS: &str = "/api/v1/queue/tokens";

/// A place as its join was answered.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) pass: Box<str>,
    pub(super) position: u32,
    /// By the server's clock, in milliseconds since 1970.
    pub(super) issued_at: u64,
    /// Before the first byte of the request was sent, and once its answer had been read: nanoseconds of our clock.
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
}

/// One user of the crowd.
pub(super) struct Person {
    token: Box<str>,
    pub(super) place: Option<Place>,
}

/// Everyone who wants to get in.
pub(super) struct Crowd {
    schedule: String,
    body: String,
    pub(super) people: Vec<Person>,
}

impl Crowd {
    /// Makes a crowd of so many users; their names begin with `name`.
    pub(super) fn new(schedule: &str, name: &str, people: u32, signer: &Signer, token_exp: u64) -> Self {
        let person = |number| {
            let token = signer.user(&format!("{name}-{schedule}-{number}"), token_exp).into();
            Person { token, place: None }
        };
        Self {
            schedule: schedule.to_owned(),
            body: serde_json::json!({ "scheduleId": schedule }).to_string(),
            people: (0..people).map(person).collect(),
        }
    }

    /// Makes a crowd of one user who has a token.
    pub(super) fn one(schedule: &str, token: &str) -> Self {
        let people = vec![Person { token: token.into(), place: None }];
        Self { people, ..Self::new(schedule, "", 0, &Signer::new(&[0; 32]), 0) }
    }

    /// Writes how a user takes a place.
    pub(super) fn write_join(&self, request: &mut Vec<u8>, host: &str, person: usize) {
        let (token, body) = (&self.people[person].token, &self.body);
        write(request, &["POST ", TOKENS, " HTTP/1.1\r\nhost: ", host, "\r\nauthorization: Bearer ", token]);
        let len = body.len().to_string();
        let fields = "\r\ncontent-type: application/json\r\ncontent-length: ";
        for part in [fields, &len, "\r\n\r\n", body] {
            request.extend_from_slice(part.as_bytes());
        }
    }

    /// Writes how a user looks where the own place stands.
    pub(super) fn write_poll(&self, request: &mut Vec<u8>, host: &str, person: usize) {
        self.write_about(request, host, "/current?scheduleId=", person);
    }

    /// Writes how a user follows the own place.
    pub(super) fn write_follow(&self, request: &mut Vec<u8>, host: &str, person: usize) {
        self.write_about(request, host, "/current/events?scheduleId=", person);
    }

    fn write_about(&self, request: &mut Vec<u8>, host: &str, path: &str, person: usize) {
        let Person { token, place } = &self.people[person];
        let pass = &place.as_ref().expect("only who has a place asks for it").pass;
        write(request, &["GET ", TOKENS, path, &self.schedule, " HTTP/1.1\r\nhost: ", host]);
        for part in ["\r\nauthorization: Bearer ", token, "\r\nqueue-token: ", pass, "\r\n\r\n"] {
            request.extend_from_slice(part.as_bytes());
        }
    }

    /// Returns the places in the order of their positions, each with whose it is.
    pub(super) fn line(&self) -> Vec<(usize, &Place)> {
        let places = self.people.iter().enumerate();
        let mut line: Vec<_> =
            places.filter_map(|(number, person)| Some((number, person.place.as_ref()?))).collect();
        line.sort_unstable_by_key(|(_, place)| place.position);
        line
    }
}

fn write(request: &mut Vec<u8>, parts: &[&str]) {
    request.clear();
    for part in parts {
        request.extend_from_slice(part.as_bytes());
    }
}

/// What is told of a place; a pass that is plain can stand in a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) pass: Box<str>,
    pub(super) status: Box<str>,
    pub(super) position: Option<u32>,
    pub(super) issued_at: u64,
}

impl Told {
    /// Reads a place.
    pub(super) fn read(answer: &Answer<'_>) -> Result<Self> {
        let body = answer.body;
        ensure!(matches!(answer.status, 200 | 201), "{} {}", answer.status, shown(body));
        let read = || {
            let issued_at = instant::millis(text_field(body, "\"issuedAt\"")?)?;
            let plain = |pass: &&str| pass.bytes().all(|byte| byte.is_ascii_graphic());
            Some(Self {
                pass: text_field(body, "\"token\"").filter(plain)?.into(),
                status: text_field(body, "\"status\"")?.into(),
                position: number_field(body, "\"position\""),
                issued_at,
            })
        };
        read().with_context(|| format!("a place that can't be read: {}", shown(body)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_requests_are_whole() {
        let mut crowd = Crowd::new("s", "u", 2, &Signer::new(&[1; 32]), 5);
        let mut request = Vec::new();
        crowd.write_join(&mut request, "h:1", 1);
        let token = crowd.people[1].token.clone();
        let expected = format!(
            "POST /api/v1/queue/tokens HTTP/1.1\r\nhost: h:1\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: 18\r\n\r\n{{\"scheduleId\":\"s\"}}"
        );
        assert_eq!(str::from_utf8(&request).unwrap(), expected);
        let place = Place { pass: "p".into(), position: 1, issued_at: 0, sent: 0, acknowledged: 0 };
        crowd.people[1].place = Some(place);
        for (path, follow) in [("current", false), ("current/events", true)] {
            if follow {
                crowd.write_follow(&mut request, "h:1", 1);
            } else {
                crowd.write_poll(&mut request, "h:1", 1);
            }
            let expected = format!(
                "GET /api/v1/queue/tokens/{path}?scheduleId=s HTTP/1.1\r\nhost: h:1\r\nauthorization: Bearer {token}\r\nqueue-token: p\r\n\r\n"
            );
            assert_eq!(str::from_utf8(&request).unwrap(), expected);
        }
    }

    #[test]
    fn a_place_is_read_from_its_answer() {
        let told = |body: &str| {
            let answer = Answer { status: 201, body: body.as_bytes(), close: false, retry_after: None };
            Told::read(&answer).map_err(|error| error.to_string())
        };
        let body =
            r#"{"token":"abc","status":"waiting","position":42,"issuedAt":"1970-01-01T00:00:01.500Z"}"#;
        let expected =
            Told { pass: "abc".into(), status: "waiting".into(), position: Some(42), issued_at: 1_500 };
        assert_eq!(told(body), Ok(expected.clone()));
        let active = body.replace("waiting", "active").replace("42", "null");
        assert_eq!(told(&active), Ok(Told { status: "active".into(), position: None, ..expected }));
        assert!(told(&body.replace("abc", "a\\r\\nb")).is_err());
        assert!(told("{}").is_err_and(|error| error.contains("can't be read")));
        let refused = Answer { status: 409, body: b"{}", close: false, retry_after: None };
        assert_eq!(Told::read(&refused).unwrap_err().to_string(), "409 {}");
    }
}
