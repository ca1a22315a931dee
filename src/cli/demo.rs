//! `--demo`: a theatre and a club with shows in the coming weeks, and commands to paste.
//!
//! The documents are the repository's `demo/charlotte.json` and `demo/under-stage.json`. An import moves their dates by whole weeks, so
//! that days of the week and times of day stay. A show of the club is in its presale, and seats of one of the theatre's are set aside.
//! Absent on purpose: the secrets (`config::demo_secrets`).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use onsale::config::{Config, Secret};
use onsale::domain::ids::{AllotmentId, PhaseId, UserId};
use onsale::domain::schedule::allotments::AllotmentTerms;
use onsale::domain::schedule::codes::{AccessCode, CodeTerms};
use onsale::domain::schedule::{Command, SaleStatus, Schedule};
use onsale::domain::time::{Seconds, Timestamp};
use onsale::domain::venue::Seat;
use onsale::engine::{Engine, ScheduleEntry};
use onsale::http::app::App;
use onsale::http::auth::Role;
use onsale::http::extract::Body;
use onsale::http::json::Json;
use onsale::http::pages::PageSettings;
use onsale::http::problem::Problem;
use onsale::http::request::Site;
use onsale::http::table::{Routes, post};
use onsale::mock_gateway::{DEMO_SECRET, MockConfig, MockGateway, RunningGateway};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::crowd::Crowd;
use super::output::{Failure, count};
use super::token::DEMO_USER;
use super::urls::Urls;
use super::{answer, offline, token};

const THEATRE: &str = include_str!("../../demo/charlotte.json");
const CLUB: &str = include_str!("../../demo/under-stage.json");
/// The phase of the club's first show, and the code that opens it.
const PHASE: &str = "fanclub";
const PRESALE_CODE: &str = "FANCLUB-2026";
/// The allotment in the theatre's first show, its code, and the seats that are set aside.
const ALLOTMENT: &str = "sponsor";
const ALLOTMENT_CODE: &str = "SPONSOR-2026";
const ALLOTTED: [&str; 6] =
    ["1층-B-8-10", "1층-B-8-11", "1층-B-8-12", "1층-B-8-13", "1층-B-8-14", "1층-B-8-15"];
const TOKEN_SECONDS: u64 = 12 * 3_600;
const DAY_MS: u64 = 86_400_000;
const WEEK_MS: u64 = 7 * DAY_MS;
const HOUR_MS: u64 = 3_600_000;
const MINUTE_MS: u64 = 60_000;
/// The first show is at least this far ahead.
const AHEAD_MS: u64 = 3 * DAY_MS;
/// The minutes after which a few sales open, so that one can watch them open.
const SOON_MINUTES: [u64; 3] = [2, 5, 10];

/// Starts a mock gateway for the engine, unless the settings name a gateway.
pub(super) async fn start_gateway(
    config: &mut Config,
    urls: &Urls,
) -> Result<Option<RunningGateway>, Failure> {
    if config.payments.toss_url.is_some() || config.payments.toss_secret.is_some() {
        return Ok(None);
    }
    let webhook_url = format!("{}/api/v1/webhooks/payments/toss", urls.base());
    let seed = getrandom::u64().map_err(Failure::failed)?;
    let mock = MockConfig { webhook_url: Some(webhook_url), seed, ..MockConfig::default() };
    let running = MockGateway::start(mock).await.map_err(Failure::failed)?;
    config.payments.toss_url = Some(running.url().to_owned());
    config.payments.toss_secret = Some(Secret::new(DEMO_SECRET));
    Ok(Some(running))
}

/// Imports the theatre into an empty catalogue.
pub(super) async fn import_into_empty(engine: &Engine, site: Site, config: &Config) -> Result<(), Failure> {
    if engine.catalogue().version() > 0 {
        tracing::info!("the demonstration goes on with the data directory's catalogue");
        return Ok(());
    }
    let document = documents(engine.now()).map_err(Failure::failed)?;
    let document =
        document.ok_or_else(|| Failure::Failed("a document of the demonstration has no dates".to_owned()))?;
    let admin = config.auth.admin_token.as_ref();
    let admin = admin.ok_or_else(|| Failure::Failed("the demonstration has no administrator".to_owned()))?;
    let body = document.to_string().into_bytes();
    let answer = offline::call(site, "/api/v1/import", admin, body).await?;
    answer::success(&answer)?;
    prepare(engine).await
}

/// Makes one document of the theatre and the club, with the dates of a start at `now`; `None` where one has no dates.
fn documents(now: Timestamp) -> Result<Option<Value>, serde_json::Error> {
    let (mut theatre, mut club): (Value, Value) =
        (serde_json::from_str(THEATRE)?, serde_json::from_str(CLUB)?);
    let moved = move_dates(&mut theatre, now, opening_at_the_theatre)
        .and_then(|()| move_dates(&mut club, now, opening_at_the_club))
        .and_then(|()| add_presale(&mut club, now));
    if moved.is_none() {
        return Ok(None);
    }

    for name in ["venues", "concerts", "schedules"] {
        let items = club.get_mut(name).and_then(Value::as_array_mut).map(core::mem::take);
        let all = theatre.get_mut(name).and_then(Value::as_array_mut);
        if let Some((all, items)) = all.zip(items) {
            all.extend(items);
        }
    }
    Ok(Some(theatre))
}

/// Makes the code of the presale, and sets seats aside for who brings another.
async fn prepare(engine: &Engine) -> Result<(), Failure> {
    let now = engine.now();
    let code = |text: &str| AccessCode::parse(text).map_err(Failure::failed);
    let presale = engine.schedules().into_iter().find(|entry| entry.read().phase_at(now).is_some());
    let sponsored = engine.schedules().into_iter().find(|entry| {
        let schedule = entry.read();
        schedule.sale_at(now) == SaleStatus::Open && entry.layout().seat(ALLOTTED[0]).is_some()
    });

    if let Some(entry) = presale {
        let phase = PhaseId::parse(PHASE).map_err(Failure::failed)?;
        let terms = CodeTerms { phases: Box::new([phase]), ..CodeTerms::default() };
        let command = Command::PutCode { code: code(PRESALE_CODE)?, terms: Arc::new(terms) };
        engine.act(&entry, command, None).await.map_err(Failure::failed)?;
    }

    if let Some(entry) = sponsored {
        let id = AllotmentId::parse(ALLOTMENT).map_err(Failure::failed)?;
        let mut seats: Vec<Seat> = ALLOTTED.iter().filter_map(|seat| entry.layout().seat(seat)).collect();
        seats.sort_unstable();
        let starts_at = entry.read().plan().starts_at.as_millis();
        let terms = AllotmentTerms {
            id: id.clone(),
            name: "후원사".to_owned(),
            reason: Some("초대석".to_owned()),
            seats: seats.into(),
            areas: [].into(),
            release_at: Some(Timestamp::from_millis(starts_at.saturating_sub(DAY_MS))),
            life: 0,
        };
        let set = Command::SetAllotment { terms: Arc::new(terms) };
        let terms = CodeTerms { allotment: Some(id), ..CodeTerms::default() };
        let put = Command::PutCode { code: code(ALLOTMENT_CODE)?, terms: Arc::new(terms) };
        for command in [set, put] {
            engine.act(&entry, command, None).await.map_err(Failure::failed)?;
        }
    }
    Ok(())
}

/// Makes the demonstration's site: the application's, and what its pages may do beside it.
///
/// With secrets that aren't the demonstration's own, a token of one click could be good elsewhere: then there is none.
pub(super) fn site(app: App, urls: &Urls, has_own_secrets: bool) -> Site {
    let has_proxies = !app.parts.trusted_proxies.is_empty();
    let checkout_url = urls.checkout().map(|url| format!("{url}/checkout"));
    if !has_own_secrets {
        return app.site_with(PageSettings { checkout_url, ..PageSettings::default() }, Routes::new());
    }
    // Only who is at this machine becomes the operator.
    let demo_operators = !urls.is_public() && !has_proxies;
    let settings = PageSettings { checkout_url, demo_fans: true, demo_operators };
    app.site_with(settings, sessions(demo_operators))
}

/// Headers of a request that came through a proxy: whoever asks may then be anywhere.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// Makes the route by which the pages make their reader a fan, or the operator, in one click.
fn sessions(has_operators: bool) -> Routes<App> {
    let session = async move |State(app): State<App>, headers: HeaderMap, body: Body<SessionBody>| {
        let is_forwarded = FORWARDED.iter().any(|name| headers.contains_key(*name));
        let role = match body.value.role {
            SessionRole::User => Role::User,
            SessionRole::Admin if has_operators && !is_forwarded => Role::Admin,
            SessionRole::Admin => return Err(Problem::forbidden()),
        };
        let number = getrandom::u32().map_err(|_| Problem::overloaded())?;
        let user_id = format!("{}-{number:08x}", if role == Role::Admin { "operator" } else { "fan" });
        let user = UserId::parse(&user_id).map_err(|_| Problem::not_found())?;

        let now = app.engine.now();
        let token = app.parts.authenticator.issue(&user, role, now, TOKEN_SECONDS);
        let access_token = token.ok_or_else(Problem::forbidden)?;
        let expires_at = now.plus_millis(TOKEN_SECONDS * 1_000).to_string();
        Ok(Json(StatusCode::CREATED, Session { access_token, expires_at, user_id }))
    };
    Routes::new().route("/demo/sessions", post(session))
}

/// Who one wants to be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionBody {
    role: SessionRole,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum SessionRole {
    User,
    Admin,
}

/// A token, as a sign-in answers it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    access_token: String,
    expires_at: String,
    user_id: String,
}

/// Returns the commands to try first, with their tokens.
pub(super) fn greeting(
    engine: &Engine,
    config: &Config,
    urls: &Urls,
    crowd: Option<&Crowd>,
) -> Result<String, Failure> {
    let user = UserId::parse(DEMO_USER).map_err(Failure::failed)?;
    let token = token::issue(config, &user, Role::User, TOKEN_SECONDS)?;
    let admin = config.auth.admin_token.as_ref().map_or("", |token| token.expose());
    let base = urls.base();
    let api = format!("{base}/api/v1");
    let warning = if urls.is_public() {
        "\n  Other machines can reach this address, and users charge their balance without paying: not for real sales.\n"
    } else {
        ""
    };
    let crowd = crowd.map(|crowd| crowd.greeting(&base)).unwrap_or_default();

    let now = engine.now();
    let schedules = engine.schedules();
    let is_open = |status| status == SaleStatus::Open;
    let queues = |entry: &ScheduleEntry| entry.read().plan().policy.queue.is_some();
    let on_sale: Vec<_> = schedules.iter().filter(|entry| is_open(entry.read().sale_at(now))).collect();
    // The commands use the open sale without a waiting room that has the most seats left. They name numbered seats.
    let has_areas = |entry: &ScheduleEntry| !entry.layout().areas().is_empty();
    let plain = on_sale.iter().filter(|entry| !queues(entry) && !has_areas(entry));
    let shown = plain.max_by_key(|entry| {
        let schedule = entry.read();
        (schedule.counts().available, schedule.plan().starts_at)
    });
    let shown = shown.map(|entry| (entry.id(), entry.concert()));

    let opens = count(u64::try_from(on_sale.len()).unwrap_or(u64::MAX), "sale");
    let all = count(u64::try_from(schedules.len()).unwrap_or(u64::MAX), "schedule");
    let soon = schedules.iter().filter(|entry| opens_soon(&entry.read(), now)).count();
    let dir = config.server.data_dir.display();
    let show = shown.map(|(id, _)| format!("  SHOW='{id}'\n")).unwrap_or_default();
    let presale = presale(&schedules, now);
    let presale_id = presale.map(|entry| format!("  PRESALE='{}'\n", entry.id())).unwrap_or_default();
    let by_code = by_code(&schedules, presale, now);
    let gateway = urls.checkout().map(|url| format!("; GATEWAY='{url}'")).unwrap_or_default();
    // Said last, since the commands fill a terminal.
    let open = if config.server.pages {
        format!(
            "Open {base}/ and buy as a fan, {base}/ops and run the sales, or {base}/docs and try the API.\n"
        )
    } else {
        String::new()
    };
    let hold = match shown {
        Some((_, concert)) => hold_and_pay(concert, urls),
        None => format!("  No sale without a waiting room is open any more: empty {dir} to begin anew.\n"),
    };

    Ok(format!(
        "\nThe demonstration: {all}, {opens} open now, {soon} in a few minutes{warning}

Try it in another terminal: paste these variables first, then the commands one after the other

  API='{api}'; SERVER={server}{gateway}
{show}{presale_id}  ADMIN='{admin}'
  TOKEN='{token}'    # user {DEMO_USER}, for 12 hours

{hold}
{by_code}{crowd}{open}Stop it with Ctrl-C; the next start goes on with the same data and tokens ({dir}).
",
        server = std::process::id(),
    ))
}

/// Returns the commands that look at schedules, hold seats and pay for them.
fn hold_and_pay(concert: &str, urls: &Urls) -> String {
    let pay = urls.checkout().map_or("", |_| PAY_BY_CARD);
    format!(
        r#"  # the schedules of this show; those with "status":"open" are on sale
  curl -sw '\n' "$API/concerts/{concert}/schedules"

  # hold the two best seats
  curl -sw '\n' -X POST "$API/reservations" -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
    -d "{{\"scheduleId\":\"$SHOW\",\"bestAvailable\":{{\"count\":2}}}}"

  # see the reservation
  curl -sw '\n' "$API/reservations" -H "Authorization: Bearer $TOKEN"
{pay}"#
    )
}

/// Finds the open sale that a code belongs to, where there still is one.
fn with_code<'s>(
    schedules: &'s [Arc<ScheduleEntry>],
    code: &str,
    now: Timestamp,
) -> Option<&'s Arc<ScheduleEntry>> {
    schedules.iter().find(|entry| {
        let schedule = entry.read();
        let is_there = schedule.codes().is_some_and(|codes| codes.find(code).is_some());
        is_there && schedule.sale_at(now) == SaleStatus::Open
    })
}

/// Finds the sale that is in its presale.
fn presale(schedules: &[Arc<ScheduleEntry>], now: Timestamp) -> Option<&Arc<ScheduleEntry>> {
    with_code(schedules, PRESALE_CODE, now).filter(|entry| entry.read().phase_at(now).is_some())
}

/// Returns the commands that buy by a code: in a phase before the general sale, and out of an allotment. What is over has none.
fn by_code(schedules: &[Arc<ScheduleEntry>], presale: Option<&Arc<ScheduleEntry>>, now: Timestamp) -> String {
    let in_phase = presale.map(|entry| {
        let opens = entry.read().plan().sales_open_at;
        let opens = opens.map(|at| format!("; everyone else can from {at} on")).unwrap_or_default();
        let area = entry.layout().areas().first().map_or("", |area| &area.id);
        format!(
            r#"  # a presale: who brings its code holds two places of the standing room now{opens}
  curl -sw '\n' -X POST "$API/reservations" -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
    -d "{{\"scheduleId\":\"$PRESALE\",\"code\":\"{PRESALE_CODE}\",\"areas\":[{{\"areaId\":\"{area}\",\"count\":2}}]}}"

"#
        )
    });

    let aside = with_code(schedules, ALLOTMENT_CODE, now).and_then(|entry| {
        let terms = entry.read().allotment(ALLOTMENT)?;
        Some((entry.id(), terms.release_at))
    });
    let aside = aside.map(|(id, release_at)| {
        let until = release_at.map(|at| format!(" until {at}")).unwrap_or_default();
        format!(
            r#"  # seats that are set aside for a sponsor{until}: blocked for others, and not for the sponsor's code
  curl -sw '\n' -X POST "$API/reservations" -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
    -d '{{"scheduleId":"{id}","code":"{ALLOTMENT_CODE}","bestAvailable":{{"count":2}}}}'

"#
        )
    });
    in_phase.into_iter().chain(aside).collect()
}

/// The commands that pay for the newest hold at the mock gateway, on its page or without it.
const PAY_BY_CARD: &str = r#"
  # pay for them by card: start a payment, agree at the checkout (or open the page that is printed, and click), confirm
  api() { curl -s -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' "$@"; }
  of() { grep -o "\"$1\":\"*[^\",}]*" | head -1 | sed 's/.*[:"]//'; }
  HELD=$(api "$API/reservations?status=held&limit=1"); ID=$(echo "$HELD" | of reservationId); WON=$(echo "$HELD" | of amount)
  ORDER=$(api "$API/payments" -H "Idempotency-Key: $RANDOM" -d "{\"reservationId\":\"$ID\",\"method\":\"card\"}" | of orderId)
  echo "$GATEWAY/checkout?orderId=$ORDER&amount=$WON"
  KEY=$(api "$GATEWAY/checkout" -d "{\"orderId\":\"$ORDER\",\"amount\":$WON}" | of paymentKey)
  api "$API/payments/$ORDER/confirm" -d "{\"paymentKey\":\"$KEY\"}"; echo
"#;

fn opens_soon(schedule: &Schedule, now: Timestamp) -> bool {
    let soon = now.plus(Seconds::new(900));
    schedule.plan().sales_open_at.is_some_and(|at| at > now && at <= soon)
}

/// Moves every schedule by the same number of weeks, so that the first is at least three days ahead of `now`, and sets when its sale opens,
/// by its place in the list and its start. An id that names its day names the new one.
fn move_dates(
    document: &mut Value,
    now: Timestamp,
    opening: fn(usize, Timestamp, Timestamp) -> u64,
) -> Option<()> {
    let now_ms = now.as_millis();
    let schedules = document.get_mut("schedules")?.as_array_mut()?;
    let instant = |schedule: &Value, name: &str| Timestamp::parse(schedule.get(name)?.as_str()?).ok();
    let starts: Option<Vec<_>> = schedules.iter().map(|schedule| instant(schedule, "startsAt")).collect();
    let first = starts?.into_iter().min()?.as_millis();

    // The same day of the week in this week, or in the next one if that is too early.
    let weekday = first % WEEK_MS;
    let earliest = now_ms + AHEAD_MS;
    let to = earliest - earliest % WEEK_MS + weekday;
    let to = if to < earliest { to + WEEK_MS } else { to };
    let moved = |at: Timestamp| Timestamp::from_millis((at.as_millis() + to).saturating_sub(first));

    for (index, schedule) in schedules.iter_mut().enumerate() {
        let (starts_at, ends_at) = (instant(schedule, "startsAt")?, instant(schedule, "endsAt")?);
        let new_start = moved(starts_at);
        let id = schedule.get("scheduleId")?.as_str()?.replace(&day(starts_at), &day(new_start));
        let members = [
            ("scheduleId", id),
            ("startsAt", new_start.to_string()),
            ("endsAt", moved(ends_at).to_string()),
            ("salesOpenAt", Timestamp::from_millis(opening(index, now, new_start)).to_string()),
        ];
        let schedule = schedule.as_object_mut()?;
        for (name, text) in members {
            schedule.insert(name.to_owned(), Value::String(text));
        }
    }

    Some(())
}

/// Spreads the openings: every other sale of the theatre is open, three open within minutes, the rest in the days after.
fn opening_at_the_theatre(index: usize, now: Timestamp, starts_at: Timestamp) -> u64 {
    let now = now.as_millis();
    let place = u64::try_from(index / 2).unwrap_or_default();
    match (index % 2, SOON_MINUTES.get(index / 2)) {
        (0, _) => now - DAY_MS,
        (_, Some(minutes)) => now + minutes * MINUTE_MS,
        (_, None) => (now + DAY_MS + place * HOUR_MS).min(starts_at.as_millis() - DAY_MS),
    }
}

/// The club's first sale is general in two days, behind its presale; the next is open, and the last opens tomorrow.
fn opening_at_the_club(index: usize, now: Timestamp, _: Timestamp) -> u64 {
    let now = now.as_millis();
    match index {
        0 => now + 2 * DAY_MS,
        1 => now - DAY_MS,
        _ => now + DAY_MS,
    }
}

/// Gives the first sale of a document a phase, which opened an hour ago and closes in a day.
fn add_presale(document: &mut Value, now: Timestamp) -> Option<()> {
    let now = now.as_millis();
    let phase = serde_json::json!({
        "phaseId": PHASE, "name": "팬클럽 선예매",
        "opensAt": Timestamp::from_millis(now - HOUR_MS).to_string(),
        "closesAt": Timestamp::from_millis(now + DAY_MS).to_string(),
    });
    let policy = document.get_mut("schedules")?.get_mut(0)?.get_mut("policy")?.as_object_mut()?;
    policy.insert("phases".to_owned(), Value::Array(vec![phase]));
    Some(())
}

/// Returns an instant's date in Seoul, where the theatre is, as the ids write it. Korea has no summer time.
fn day(at: Timestamp) -> String {
    let text = at.plus(Seconds::new(9 * 3_600)).to_string();
    text.split('T').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn moved(now: &str) -> Vec<Value> {
        let mut document: Value = serde_json::from_str(THEATRE).unwrap();
        move_dates(&mut document, Timestamp::parse(now).unwrap(), opening_at_the_theatre).unwrap();
        document["schedules"].as_array().unwrap().clone()
    }

    fn instants(schedules: &[Value], name: &str) -> Vec<Timestamp> {
        schedules.iter().map(|schedule| Timestamp::parse(schedule[name].as_str().unwrap()).unwrap()).collect()
    }

    #[test]
    fn whenever_it_starts_the_shows_lie_ahead_and_keep_their_day_and_time() {
        let before: Value = serde_json::from_str(THEATRE).unwrap();
        let before = instants(before["schedules"].as_array().unwrap(), "startsAt");
        for now in [
            "2026-11-21T02:30:00Z",
            "2027-02-07T00:00:00Z",
            "2031-05-01T12:00:00.123Z",
            "2040-02-29T23:59:59Z",
        ] {
            let schedules = moved(now);
            let (starts, ends) = (instants(&schedules, "startsAt"), instants(&schedules, "endsAt"));
            let now = Timestamp::parse(now).unwrap();
            let first = starts.iter().min().unwrap();
            assert!(*first >= now.plus_millis(AHEAD_MS) && *first < now.plus_millis(AHEAD_MS + WEEK_MS));
            for ((start, end), before) in starts.iter().zip(&ends).zip(&before) {
                assert_eq!(start.as_millis() % WEEK_MS, before.as_millis() % WEEK_MS);
                assert!(end > start);
            }
        }
    }

    #[test]
    fn half_of_the_sales_are_open_a_few_open_soon_and_the_rest_later() {
        let schedules = moved("2026-11-21T02:30:00Z");
        let now = Timestamp::parse("2026-11-21T02:30:00Z").unwrap();
        let opens = instants(&schedules, "salesOpenAt");
        let open = opens.iter().filter(|at| **at <= now).count();
        let soon = opens.iter().filter(|at| **at > now && at.millis_since(now) <= 10 * MINUTE_MS).count();
        assert_eq!((open, soon), (schedules.len().div_ceil(2), SOON_MINUTES.len()));
        for (opens, starts) in opens.iter().zip(instants(&schedules, "startsAt")) {
            assert!(*opens < starts);
        }
    }

    #[test]
    fn a_show_of_the_club_is_in_its_presale_the_next_is_open_and_the_last_is_to_come() {
        let now = Timestamp::parse("2026-11-21T02:30:00Z").unwrap();
        let document = documents(now).unwrap().unwrap();
        let schedules = document["schedules"].as_array().unwrap();
        let club: Vec<&Value> =
            schedules.iter().filter(|schedule| schedule["concertId"] == "live-night-1").collect();
        let at = |value: &Value| Timestamp::parse(value.as_str().unwrap()).unwrap();
        let opens: Vec<bool> = club.iter().map(|schedule| at(&schedule["salesOpenAt"]) <= now).collect();
        assert_eq!(opens, [false, true, false]);

        let phase = &club[0]["policy"]["phases"][0];
        assert!(at(&phase["opensAt"]) < now && now < at(&phase["closesAt"]));
        assert!(at(&phase["closesAt"]) <= at(&club[0]["salesOpenAt"]));
        assert!(at(&club[0]["salesOpenAt"]) < at(&club[0]["startsAt"]));
        assert!(club[1..].iter().all(|schedule| schedule["policy"].get("phases").is_none()));
    }

    #[test]
    fn an_id_names_the_day_on_which_the_show_is_now() {
        let schedules = moved("2026-11-21T02:30:00Z");
        let ids: BTreeSet<&str> =
            schedules.iter().map(|schedule| schedule["scheduleId"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), schedules.len());
        for (id, starts) in ids.iter().zip(&schedules) {
            assert!(id.contains("2026-1") || id.contains("2027-0"), "{id} {starts}");
        }
        for schedule in &schedules {
            let start = Timestamp::parse(schedule["startsAt"].as_str().unwrap()).unwrap();
            assert!(schedule["scheduleId"].as_str().unwrap().contains(&day(start)));
        }
    }
}
