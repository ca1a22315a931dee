//! What the connections send, prepared: a request is two or three copies of bytes made before.

use crate::token::Signer;

/// Where a hold is made and released.
const RESERVATIONS: &str = "/api/v1/reservations";
/// The longest row of the made-up venue, for ids like `1F-A-199-100`.
pub(crate) const ROW_LEN: u32 = 100;

/// Who and what of a run: the same for the server and for the echo.
pub(crate) struct Plan {
    pub(crate) schedule: String,
    pub(crate) seats: Vec<Box<str>>,
    pub(crate) users: Vec<User>,
}

pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) token: String,
    /// The pass of the schedule's waiting room, where there is one.
    pub(crate) pass: Option<String>,
}

impl User {
    /// Returns the lines of the head that say who asks.
    fn fields(&self) -> String {
        let pass = self.pass.as_ref().map(|pass| format!("queue-token: {pass}\r\n")).unwrap_or_default();
        format!("authorization: Bearer {}\r\n{pass}", self.token)
    }
}

impl Plan {
    /// Makes the names of a run. `run` sets it apart from earlier ones on the same server.
    pub(crate) fn new(run: &str, seats: u32, users: u32, signer: &Signer, token_exp: u64) -> Self {
        let seats = (0..seats).map(|n| format!("1F-A-{}-{}", n / ROW_LEN + 1, n % ROW_LEN + 1).into());
        let user = |n| {
            let id = format!("load-{run}-{n}");
            User { token: signer.user(&id, token_exp), id, pass: None }
        };
        Self {
            schedule: format!("load-{run}"),
            seats: seats.collect(),
            users: (0..users).map(user).collect(),
        }
    }

    /// Says how long the rows are.
    pub(crate) fn rows(&self) -> impl Iterator<Item = usize> {
        let row_len = usize::try_from(ROW_LEN).expect("small");
        self.seats.chunks(row_len).map(<[_]>::len)
    }
}

/// The bytes for one server.
pub(crate) struct Script {
    /// By user: `POST` up to where the seat comes in.
    hold_heads: Vec<Box<[u8]>>,
    /// By seat: the length and the body.
    hold_tails: Vec<Box<[u8]>>,
    /// By user: all of `DELETE` or `GET` after the reservation's id.
    tails: Vec<Box<[u8]>>,
}

impl Script {
    pub(crate) fn new(plan: &Plan, host: &str) -> Self {
        let head = |user: &User| {
            let fields = user.fields();
            format!(
                "POST {RESERVATIONS} HTTP/1.1\r\nhost: {host}\r\n{fields}content-type: application/json\r\n"
            )
        };
        let hold_tail = |seat: &str| {
            let body = serde_json::json!({ "scheduleId": plan.schedule, "seats": [seat] }).to_string();
            format!("content-length: {}\r\n\r\n{body}", body.len())
        };
        let tail = |user: &User| {
            let fields = user.fields();
            format!(" HTTP/1.1\r\nhost: {host}\r\n{fields}\r\n")
        };
        let bytes = |text: String| text.into_bytes().into_boxed_slice();
        Self {
            hold_heads: plan.users.iter().map(|user| bytes(head(user))).collect(),
            hold_tails: plan.seats.iter().map(|seat| bytes(hold_tail(seat))).collect(),
            tails: plan.users.iter().map(|user| bytes(tail(user))).collect(),
        }
    }

    pub(crate) fn write_hold(&self, request: &mut Vec<u8>, user: usize, seat: usize) {
        request.clear();
        request.extend_from_slice(&self.hold_heads[user]);
        request.extend_from_slice(&self.hold_tails[seat]);
    }

    pub(crate) fn write_release(&self, request: &mut Vec<u8>, user: usize, reservation: &str) {
        self.write_about(request, "DELETE", user, reservation);
    }

    pub(crate) fn write_get(&self, request: &mut Vec<u8>, user: usize, reservation: &str) {
        self.write_about(request, "GET", user, reservation);
    }

    fn write_about(&self, request: &mut Vec<u8>, method: &str, user: usize, reservation: &str) {
        request.clear();
        for part in [method, " ", RESERVATIONS, "/", reservation] {
            request.extend_from_slice(part.as_bytes());
        }
        request.extend_from_slice(&self.tails[user]);
    }
}

/// Says whether an id can stand in a path as it is. The server's ids do; another one is an error
/// of the run rather than a reason to encode each id.
pub(crate) fn is_plain(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= 128
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_requests_are_whole() {
        let plan = Plan::new("r", 250, 2, &Signer::new(&[1; 32]), 5);
        assert_eq!(plan.rows().collect::<Vec<_>>(), [100, 100, 50]);
        let script = Script::new(&plan, "h:1");
        let mut request = Vec::new();
        script.write_hold(&mut request, 1, 249);
        let token = &plan.users[1].token;
        let body = r#"{"scheduleId":"load-r","seats":["1F-A-3-50"]}"#;
        let expected = format!(
            "POST /api/v1/reservations HTTP/1.1\r\nhost: h:1\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        assert_eq!(str::from_utf8(&request).unwrap(), expected);
        script.write_release(&mut request, 1, "x1");
        let expected = format!(
            "DELETE /api/v1/reservations/x1 HTTP/1.1\r\nhost: h:1\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        assert_eq!(str::from_utf8(&request).unwrap(), expected);
    }

    #[test]
    fn an_id_that_would_break_a_request_is_not_plain() {
        assert!(is_plain("01hq-AZ_9.~:"));
        for id in ["", "a b", "a/b", "a\r\nb", "é", "%41"] {
            assert!(!is_plain(id), "{id:?}");
        }
    }
}
