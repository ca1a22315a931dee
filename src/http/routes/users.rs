//! Users: signing up, signing in, and who may no longer act.
//!
//! ```text
//! sign-up  address' limit → checks → hash → the users' actor → 201
//!          with a mail hook: … → hash → token → hook → 202; token and password → the users' actor → 201, or 200 for a new password
//! sign-in  address' limit → account's limit → check of the password, or of nobody's → 201 with a token
//! ```
//!
//! A wrong password and an unknown address have the same answer after the same work. Only a caller with the right password
//! learns that a user is suspended. A deleted user has neither address nor password.
//!
//! With a mail hook, a sign-up doesn't show whether an address has an account: the answer, the work and the time are the
//! same, and only the reader of the mail learns it. The reader who also has the password of the sign-up gets the account,
//! even one that somebody else made before there was a hook. The mail of an existing account goes to the address with
//! which it signed up, not to the one in the request: a mailbox that is written like it may be another person's.
//!
//! Absent on purpose: changes of an address, and other changes of a password.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::ids::UserId;
use crate::domain::time::Timestamp;
use crate::domain::users::{Email, Profile, Refusal, User as Known, UserName, UserStatus};
use crate::engine::{self, Done, EngineError, new_user_id};
use crate::http::ClientAddress;
use crate::http::app::App;
use crate::http::auth::{Admin, Auditor, Reader, Right, Role, SCRIPTS};
use crate::http::documents::{At, EmailText, NewEmailText, UserNameText, UserWord};
use crate::http::extract::{Body, IdempotencyKey, Path, Query, RawBody};
use crate::http::idempotency::{asked, marked};
use crate::http::json::Json;
use crate::http::lookup::acts;
use crate::http::mail_hook::{Mail, NotSent, Purpose};
use crate::http::page::List;
use crate::http::passwords::{LineFull, PASSWORD_LEN_MAX, PASSWORD_LEN_MIN, Password};
use crate::http::problem::{Code, FieldError, Problem};
use crate::http::rate_limit::rate_limited;
use crate::http::refusal::{problem, token_is_over};
use crate::http::sign_ups::{self, Fingerprint, SignUp};
use crate::http::table::{Routes, routes};

/// The seconds after which to sign up again if no mail could be sent.
const MAIL_RETRY_SECONDS: u64 = 10;

/// Makes the routes of users.
pub fn routes() -> Routes<App> {
    routes![sign_up, find, verify, sign_in, read, set_status]
}

/// The data of someone who signs up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "ann@example.org", "name": "Ann", "password": "correct horse battery"}))]
struct SignUpBody {
    #[schema(value_type = NewEmailText)]
    email: String,
    #[schema(value_type = UserNameText)]
    name: String,
    #[schema(value_type = String, format = Password, min_length = 10, max_length = 128)]
    password: Password,
}

/// A sign-up whose mail isn't confirmed yet.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SignUpPending {
    /// The address of the mail, as it was written.
    email: String,
    /// Until when the mail can be confirmed.
    expires_at: At,
}

/// The confirmation of a sign-up's mail.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct VerifyBody {
    /// The token from the mail's link.
    token: String,
    /// The password of the sign-up. It shows that the reader of the mail is who signed up.
    #[schema(value_type = String, format = Password, max_length = 128)]
    password: Password,
}

/// An address and its password, to sign in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "ann@example.org", "password": "correct horse battery"}))]
struct SignInBody {
    email: String,
    #[schema(value_type = String, format = Password, max_length = 128)]
    password: Password,
}

/// A token for a user who has signed in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Session {
    /// The bearer token, for the header `Authorization`.
    access_token: String,
    /// When the token expires.
    expires_at: At,
    user_id: String,
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = User)]
struct UserDocument {
    user_id: String,
    /// The address; null for a deleted user, and for a user of an outside identity provider.
    #[schema(required)]
    email: Option<String>,
    /// The name; null in the same cases as `email`.
    #[schema(required)]
    name: Option<String>,
    status: UserWord,
    /// When the user signed up; for a user of an outside provider, when the engine first recorded something about
    /// them, else null.
    #[schema(required)]
    created_at: Option<At>,
}

impl UserDocument {
    fn of(user: &Known) -> Self {
        let profile = user.profile.as_deref();
        Self {
            user_id: user.id.to_string(),
            email: profile.map(|profile| profile.email.to_string()),
            name: profile.map(|profile| profile.name.as_str().to_owned()),
            status: user.status.into(),
            created_at: Some(At(user.created_at)),
        }
    }

    /// Shows a user of an outside provider, of whom nothing had to be remembered.
    fn unknown(id: &UserId) -> Self {
        let (user_id, status) = (id.to_string(), UserWord::Active);
        Self { user_id, email: None, name: None, status, created_at: None }
    }
}

/// The new status of a user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"status": "suspended"}))]
struct StatusBody {
    /// A suspended user's requests are 403 `user_suspended`, with tokens issued before too. A deleted user's
    /// requests are so for ever, and their name, address and password are forgotten.
    status: UserWord,
}

/// Sign up
///
/// Takes no `Idempotency-Key`: an address signs up once, and a repeat after a lost answer is 409 `email_taken`. A
/// network address may try to sign up or in only a few times per minute.
///
/// If the server has a mail hook, every sign-up is 202, whether or not the address has an account, and `POST
/// /verifications` completes it.
#[utoipa::path(post, path = "/api/v1/users", operation_id = "signUp", tag = "Users", request_body = SignUpBody,
    responses((status = 201, description = "The new user, with `Location`", body = UserDocument),
        (status = 202, description = "With a mail hook: a mail was ordered", body = SignUpPending),
        (status = 404, description = "`not_found`: this server issues no tokens, since it has no secret to sign them with"),
        (status = 409, description = "`email_taken`; never with a mail hook"),
        (status = 422, description = "`invalid_request` with `errors`"),
        (status = 429, description = "`rate_limited` with `Retry-After`"),
        (status = 503, description = "`overloaded` with `Retry-After`")))]
async fn sign_up(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    body: RawBody,
) -> Result<Response, Problem> {
    issues_tokens(&app)?;
    let (email, name, password) = body.parse::<SignUpBody>()?.check()?;
    app.parts.sign_in_limit.check(&address, app.parts.clock.now()).map_err(rate_limited)?;
    if app.parts.mail_hook.is_some() {
        return ask_by_mail(&app, email, name, password).await;
    }
    if app.engine.user_by_email(&email).is_some() {
        // It is durable, and needs no hash to be said.
        return Err(problem(Refusal::EmailTaken.into(), None));
    }
    let password = app.parts.passwords.hash(password).await.map_err(overloaded)?;
    let user = app.engine.sign_up(Profile { email, name, password }).await;
    let user = user.map_err(|error| outcome_found_by_signing_in(problem(error, None)))?;
    Ok(created(&user))
}

fn created(user: &Known) -> Response {
    let location = HeaderValue::from_str(&format!("/api/v1/users/{}", user.id));
    let location = location.expect("an id that was drawn here is letters and digits");
    ([(header::LOCATION, location)], Json(StatusCode::CREATED, UserDocument::of(user))).into_response()
}

/// Orders the mail of a sign-up. The work and the answer are the same whether or not the address has an account.
async fn ask_by_mail(
    app: &App,
    email: Email,
    name: UserName,
    password: Password,
) -> Result<Response, Problem> {
    let now = app.parts.clock.now();
    let mail = app.parts.mail_limit.begin(&email.mailbox(), now)?;
    let password = app.parts.passwords.hash(password).await.map_err(overloaded)?;
    let profile = Profile { email, name, password };

    let asked_for = profile.email.clone();
    let account = app.engine.user_by_email(&asked_for);
    let account = account.and_then(|user| user.profile.map(|standing| (user.id, standing)));
    let (purpose, sign_up) = match account {
        None => (Purpose::SignUp, SignUp { user: new_user_id(), profile, replaces: None }),
        Some((user, standing)) => {
            let replaces = Some(Fingerprint::of(&standing.password));
            let profile = Profile { email: standing.email.clone(), ..profile };
            (Purpose::HasAccount, SignUp { user, profile, replaces })
        }
    };

    let expires_at = now.plus(sign_ups::VALID);
    let token = app.sign_ups.seal(&sign_up, expires_at);
    let email = sign_up.profile.email.to_string();
    let order = Mail { purpose, email, token, expires_at: expires_at.to_string() };

    // An order goes out whole, whether or not its client still waits, and counts unless it surely came to nothing.
    mail.stand();
    let (app, mailbox) = (app.clone(), asked_for.mailbox());
    let sent = tokio::spawn(async move {
        let hook = app.parts.mail_hook.as_ref().ok_or(NotSent::Surely)?;
        let sent = hook.send(&order, now).await;
        if sent == Err(NotSent::Surely) {
            app.parts.mail_limit.give_back(&mailbox);
        }
        sent
    });
    if !matches!(sent.await, Ok(Ok(()))) {
        return Err(Problem::new(Code::Overloaded, "No mail can be sent now; try again in a while.")
            .retry_after(MAIL_RETRY_SECONDS));
    }

    let pending = SignUpPending { email: asked_for.to_string(), expires_at: At(expires_at) };
    Ok(Json(StatusCode::ACCEPTED, pending).into_response())
}

/// Confirm the mail of a sign-up
///
/// Takes the token from the mail and the password of the sign-up. 201 has the new user. 200 means that the address
/// had an account, which now has the password of this sign-up. A repeat is 200 until the account has another
/// password or is deleted: a token works once.
#[utoipa::path(post, path = "/api/v1/verifications", operation_id = "verifySignUp", tag = "Users", request_body = VerifyBody,
    responses((status = 201, description = "The new user, with `Location`", body = UserDocument),
        (status = 200, description = "The user who already had the address", body = UserDocument),
        (status = 401, description = "`unauthenticated`: it isn't the password of the sign-up"),
        (status = 403, description = "`user_suspended`"),
        (status = 404, description = "`not_found`: this server has no mail hook, or issues no tokens"),
        (status = 422, description = "`invalid_request`: the token is no mail's, expired or used"),
        (status = 429, description = "`rate_limited` with `Retry-After`"),
        (status = 503, description = "`overloaded` with `Retry-After`")))]
async fn verify(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    body: RawBody,
) -> Result<Response, Problem> {
    issues_tokens(&app)?;
    if app.parts.mail_hook.is_none() {
        return Err(Problem::new(
            Code::NotFound,
            "This server sends no mails: signing up completes at once.",
        ));
    }

    let VerifyBody { token, password } = body.parse()?;
    let now = app.parts.clock.now();
    app.parts.sign_in_limit.check(&address, now).map_err(rate_limited)?;
    let sign_up = app.sign_ups.open(&token, now).ok_or_else(token_is_over)?;

    // A wrong password counts for the account, as at a sign-in; a right one doesn't.
    let attempt = app.parts.account_limit.begin(&sign_up.profile.email.mailbox(), now)?;
    match app.parts.passwords.check(password, Some(sign_up.profile.password.clone())).await {
        Ok(true) => drop(attempt),
        Ok(false) => {
            attempt.stand();
            return Err(wrong_pair());
        }
        Err(full) => return Err(overloaded(full)),
    }

    complete(&app, sign_up).await.map_err(outcome_found_by_signing_in)
}

/// Completes the sign-up of a token. A repeated token finds its own password at its user, and changes nothing.
async fn complete(app: &App, SignUp { user, profile, replaces }: SignUp) -> Result<Response, Problem> {
    if app.engine.user(&user).is_none() && replaces.is_none() {
        match app.engine.sign_up_as(user.clone(), profile.clone()).await {
            Ok(user) => return Ok(created(&user)),
            // This token, or another mail of the same address, was answered meanwhile.
            Err(EngineError::Refused(engine::Refusal::User(Refusal::EmailTaken | Refusal::IdTaken))) => {}
            Err(error) => return Err(problem(error, None)),
        }
    }

    // Who was deleted has no profile any more.
    let known = app.engine.user(&user).ok_or_else(token_is_over)?;
    let standing = known.profile.as_ref().map(|standing| standing.password.clone());
    let standing = standing.ok_or_else(token_is_over)?;
    if known.status == UserStatus::Suspended {
        return Err(Problem::user_suspended());
    }
    if standing != profile.password && replaces != Some(Fingerprint::of(&standing)) {
        return Err(token_is_over());
    }

    match app.engine.replace_password(user, standing, profile.password).await {
        Ok(user) => Ok(Json(StatusCode::OK, UserDocument::of(&user)).into_response()),
        // An administrator deleted the account meanwhile.
        Err(EngineError::Refused(engine::Refusal::User(Refusal::NoSuchUser))) => Err(token_is_over()),
        Err(error) => Err(problem(error, None)),
    }
}

/// Sign in
///
/// Takes no `Idempotency-Key`. A wrong address and a wrong password are the same 401, and take as long as a right
/// pair. An account may have ten wrong passwords per minute; right ones don't count.
#[utoipa::path(post, path = "/api/v1/sessions", operation_id = "signIn", tag = "Users", request_body = SignInBody,
    responses((status = 201, description = "A token", body = Session),
        (status = 401, description = "`unauthenticated`: a wrong address or password"),
        (status = 403, description = "`user_suspended`: the right password of a suspended user"),
        (status = 404, description = "`not_found`: this server issues no tokens, since it has no secret to sign them with"),
        (status = 422, description = "`invalid_request`"),
        (status = 429, description = "`rate_limited` with `Retry-After`"),
        (status = 503, description = "`overloaded` with `Retry-After`")))]
async fn sign_in(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    body: RawBody,
) -> Result<Json<Session>, Problem> {
    issues_tokens(&app)?;
    let SignInBody { email, password } = body.parse()?;
    let now = app.parts.clock.now();
    let limited = |problem: Problem| count("rate_limited", problem);
    app.parts.sign_in_limit.check(&address, now).map_err(rate_limited).map_err(limited)?;

    // What can't be an address is one that nobody has.
    let address = Email::parse(&email).ok();
    let mailbox = address.as_ref().map(Email::mailbox);
    let account = mailbox.as_deref().unwrap_or(&email);
    let attempt = app.parts.account_limit.begin(account, now).map_err(limited)?;
    let user = address.and_then(|address| app.engine.user_by_email(&address));
    let hash = user.as_ref().and_then(|user| user.profile.as_ref()).map(|profile| profile.password.clone());
    let checked = app.parts.passwords.check(password, hash).await;
    let right = checked.map_err(|full| count("overloaded", overloaded(full)))?;
    let Some(user) = user.filter(|_| right) else {
        attempt.stand();
        return Err(count("wrong_pair", wrong_pair()));
    };
    drop(attempt);

    // As it is now: the check took a while.
    if app.engine.is_barred(&user.id) {
        return Err(count("suspended", Problem::user_suspended()));
    }

    let session = issue(&app, &user.id).ok_or_else(no_tokens)?;
    metrics::counter!("onsale_sign_ins_total", "outcome" => "signed_in").increment(1);
    Ok(Json(StatusCode::CREATED, session))
}

/// The filter of the list of users.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ByEmail {
    /// The address with which the user signed up, compared as at sign-in.
    #[param(value_type = EmailText)]
    email: String,
}

/// Find a user by email address
///
/// The list has one item or none. Users of an outside identity provider have no address here.
#[utoipa::path(get, path = "/api/v1/users", operation_id = "findUsers", tag = "Users", params(ByEmail),
    security(("bearer" = [])),
    responses((status = 200, description = "The user with this address", body = List<UserDocument>),
        (status = 422, description = "`invalid_request`: not an address")))]
async fn find(
    State(app): State<App>,
    _: Auditor,
    Query(ByEmail { email }): Query<ByEmail>,
) -> Result<Json<List<UserDocument>>, Problem> {
    let email =
        Email::parse(&email).map_err(|invalid| Problem::invalid_field("email", invalid.to_string()))?;
    let found = app.engine.user_by_email(&email);
    let items = found.iter().map(UserDocument::of).collect();
    Ok(Json(StatusCode::OK, List::new(items, None::<&String>)))
}

/// Read a user
///
/// Users may read themselves. Administrators may read anyone about whom the engine has a record: who signed up,
/// holds or has bought seats, or was suspended.
#[utoipa::path(get, path = "/api/v1/users/{userId}", operation_id = "readUser", tag = "Users", params(("userId" = String, Path)),
    security(("bearer" = [])),
    responses((status = 200, description = "The user", body = UserDocument),
        (status = 403, description = "`forbidden`: it belongs to another user"),
        (status = 404, description = "`not_found`: the engine has no record of the user")))]
async fn read(
    State(app): State<App>,
    Reader(caller): Reader,
    Path(id): Path<String>,
) -> Result<Json<UserDocument>, Problem> {
    let id = UserId::parse(&id).map_err(|_| Problem::not_found())?;
    if !caller.may_see(&id) {
        return Err(Problem::forbidden());
    }
    if let Some(user) = app.engine.user(&id) {
        return Ok(Json(StatusCode::OK, UserDocument::of(&user)));
    }
    // Of a user of an outside provider nothing may be kept here, and yet they are someone.
    let oneself = caller.user_id == id && !caller.role.may(Right::ReadAll);
    if oneself || acts(&app, &id) {
        Ok(Json(StatusCode::OK, UserDocument::unknown(&id)))
    } else {
        Err(Problem::not_found())
    }
}

/// Suspend a user, let them in again, or delete them
///
/// It counts from the user's next call on, for tokens issued before too. A user of an outside identity provider is
/// named by the `sub` of their tokens. A repeat is 200. Reservations and payments stay.
#[utoipa::path(patch, path = "/api/v1/users/{userId}", operation_id = "setUserStatus", tag = "Users", request_body = StatusBody,
    params(("userId" = String, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 200, description = "The user as they are now", body = UserDocument),
        (status = 404, description = "`not_found`: the engine has no record of the user, so `active` changes nothing"),
        (status = 409, description = "`invalid_transition`: a deleted user stays deleted"),
        (status = 422, description = "`invalid_request`, `idempotency_key_reused`")))]
async fn set_status(
    State(app): State<App>,
    admin: Admin,
    Path(id): Path<String>,
    key: Option<IdempotencyKey>,
    body: Body<StatusBody>,
) -> Result<Response, Problem> {
    let user = UserId::parse(&id).map_err(|_| Problem::not_found())?;
    if user.as_str() == SCRIPTS {
        let detail = "The administrator's token for scripts is no user's: it ends when the setting does.";
        return Err(Problem::new(Code::NotFound, detail));
    }
    let status = UserStatus::from(body.value.status);
    let cause = asked(&app, &admin, &format!("PATCH /users/{id}"), key, &body.raw);
    let acted = app.engine.set_user_status(user, status, cause).await;
    let Done { answer: user, replayed } = acted.map_err(|error| problem(error, None))?;
    Ok(marked(Json(StatusCode::OK, UserDocument::of(&user)), replayed))
}

impl SignUpBody {
    /// Checks every field.
    fn check(self) -> Result<(Email, UserName, Password), Problem> {
        let mut errors = Vec::new();
        let mut wrong =
            |field: &str, detail: String| errors.push(FieldError { field: field.to_owned(), detail });
        let email = Email::parse(&self.email).and_then(Email::deliverable);
        let email = email.map_err(|invalid| wrong("email", invalid.to_string()));
        let name = UserName::parse(&self.name).map_err(|invalid| wrong("name", invalid.to_string()));
        if !self.password.has_right_length() {
            wrong("password", format!("must have {PASSWORD_LEN_MIN} to {PASSWORD_LEN_MAX} characters"));
        }
        match (email, name) {
            (Ok(email), Ok(name)) if errors.is_empty() => Ok((email, name, self.password)),
            (Ok(_) | Err(()), Ok(_) | Err(())) => Err(Problem::invalid(errors)),
        }
    }
}

/// Makes a user's token.
fn issue(app: &App, user: &UserId) -> Option<Session> {
    let (now, seconds) = (app.parts.clock.now(), app.parts.session_seconds);
    let access_token = app.parts.authenticator.issue(user, Role::User, now, seconds)?;
    // A token tells whole seconds.
    let expires_at = Timestamp::from_millis((now.as_millis() / 1_000 + seconds) * 1_000);
    Some(Session { access_token, expires_at: At(expires_at), user_id: user.to_string() })
}

/// Refuses requests that lead to a token if the server can't issue any: then these routes don't exist.
fn issues_tokens(app: &App) -> Result<(), Problem> {
    if app.parts.authenticator.issues_tokens() { Ok(()) } else { Err(no_tokens()) }
}

fn no_tokens() -> Problem {
    Problem::new(Code::NotFound, "Users of this server sign up and in with its identity provider.")
}

fn wrong_pair() -> Problem {
    Problem::new(Code::Unauthenticated, "The address or the password is wrong.")
}

fn overloaded(LineFull: LineFull) -> Problem {
    Problem::overloaded()
}

/// Changes the detail of an unknown outcome: a client without an idempotency key finds out by signing in.
fn outcome_found_by_signing_in(problem: Problem) -> Problem {
    if problem.code() == Code::OutcomeUnknown {
        return Problem::new(
            Code::OutcomeUnknown,
            "It may or may not have happened; signing in finds it out.",
        );
    }
    problem
}

/// Counts a failed sign-in.
fn count(outcome: &'static str, problem: Problem) -> Problem {
    metrics::counter!("onsale_sign_ins_total", "outcome" => outcome).increment(1);
    problem
}
