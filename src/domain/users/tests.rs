//! The rules of users: by example, and at random against a list that is scanned.

use proptest::prelude::*;
use proptest::sample::Index;

use std::collections::BTreeMap;

use super::*;
use crate::domain::inside::{Inside, reread, said};
use crate::domain::time::Seconds;
use crate::record::{self, Section};

const AT: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const IDS: [&str; 4] = ["u_a", "u_b", "kim", "lee"];
const EMAILS: [&str; 5] =
    ["ann@example.org", "Ann@Example.org", "bob@example.org", "관객@예시.kr", "관객@xn--vv4b11d.kr"];
/// Which mailbox each of them leads to.
const MAILBOXES: [u32; 5] = [0, 0, 1, 2, 2];

fn mailbox_of(email: &str) -> u32 {
    MAILBOXES[EMAILS.iter().position(|other| *other == email).unwrap()]
}

fn id(text: &str) -> UserId {
    UserId::parse(text).unwrap()
}

fn profile(email: &str) -> Arc<Profile> {
    Arc::new(Profile {
        email: Email::parse(email).unwrap(),
        name: UserName::parse("Ann").unwrap(),
        password: PasswordHash::parse("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA").unwrap(),
    })
}

fn sign_up(user: &str, email: &str) -> Command {
    Command::SignUp { id: id(user), profile: profile(email) }
}

fn set(user: &str, status: UserStatus) -> Command {
    Command::SetStatus { user: id(user), status }
}

/// Given what was asked before, tells whether a command has an effect, or why not.
fn asked(before: &[Command], command: &Command) -> Result<bool, Refusal> {
    let mut users = Users::default();
    for command in before {
        let event = users.decide(command).unwrap().unwrap();
        users.apply(&event, AT, None);
        users.check_invariants();
    }
    users.decide(command).map(|event| event.is_some())
}

use UserStatus::{Active, Deleted, Suspended};

#[test]
fn an_address_is_one_users() {
    let ann = sign_up("u_a", "ann@example.org");
    assert_eq!(asked(&[], &ann), Ok(true));
    let again = |email| asked(core::slice::from_ref(&ann), &sign_up("u_b", email));
    for same in ["ann@example.org", "ann@Example.ORG", "  ann@example.org\n", "Ann@example.org"] {
        assert_eq!(again(same), Err(Refusal::EmailTaken), "{same:?}");
    }
    for other in ["ann@example.com", "ann+1@example.org", "a.nn@example.org"] {
        assert_eq!(again(other), Ok(true), "{other}");
    }
    assert_eq!(asked(&[ann], &sign_up("u_a", "bob@example.org")), Err(Refusal::IdTaken));
}

#[test]
fn who_is_suspended_may_be_let_in_again_and_who_is_deleted_never() {
    let ann = || sign_up("u_a", "ann@example.org");
    assert_eq!(asked(&[ann()], &set("u_a", Active)), Ok(false), "it is so already");
    assert_eq!(asked(&[ann(), set("u_a", Suspended)], &set("u_a", Suspended)), Ok(false));
    assert_eq!(asked(&[ann(), set("u_a", Suspended)], &set("u_a", Active)), Ok(true));
    assert_eq!(asked(&[ann(), set("u_a", Suspended)], &set("u_a", Deleted)), Ok(true));
    let deleted = [ann(), set("u_a", Deleted)];
    assert_eq!(asked(&deleted, &set("u_a", Deleted)), Ok(false));
    for status in [Active, Suspended] {
        assert_eq!(asked(&deleted, &set("u_a", status)), Err(Refusal::IsDeleted));
    }
    assert_eq!(asked(&deleted, &sign_up("u_b", "ann@example.org")), Ok(true), "the address is free again");
    assert_eq!(asked(&deleted, &sign_up("u_a", "bob@example.org")), Err(Refusal::IdTaken), "the id isn't");
}

#[test]
fn a_user_of_an_outside_provider_is_remembered_once_they_are_barred() {
    assert_eq!(asked(&[], &set("kim", Active)), Err(Refusal::NoSuchUser));
    assert_eq!(asked(&[], &set("kim", Suspended)), Ok(true));
    assert_eq!(asked(&[], &set("kim", Deleted)), Ok(true));
    assert_eq!(asked(&[set("kim", Suspended)], &set("kim", Active)), Ok(true));
    assert_eq!(asked(&[set("kim", Deleted)], &set("kim", Active)), Err(Refusal::IsDeleted));
}

#[test]
fn nothing_is_kept_of_who_is_deleted_and_no_hash_is_ever_shown() {
    let mut users = Users::default();
    let key = KeyUse { digest: 1, fingerprint: 2 };
    for (command, key) in [
        (sign_up("u_a", "ann@example.org"), None),
        (set("u_a", Suspended), Some(key)),
        (set("u_a", Deleted), None),
    ] {
        let event = users.decide(&command).unwrap().unwrap();
        users.apply(&event, AT, key);
        assert!(!format!("{command:?} {event:?} {users:?}").contains("argon2"));
    }
    let shown = format!("{:?} {users:?}", UsersImage::of(&users));
    assert!(!shown.contains("ann@") && !shown.contains("Ann"), "{shown}");
    let deleted = User { id: id("u_a"), status: Deleted, profile: None, created_at: AT };
    assert_eq!(users.find("u_a"), Some(&deleted));
    let Some(KeyFound::Answered { answer, .. }) = users.find_key(key, AT) else { panic!("a key is kept") };
    assert_eq!(*answer, Answer { user: id("u_a"), status: Suspended });
}

#[test]
fn a_clone_is_apart_from_what_it_was_made_of() {
    let mut users = Users::default();
    users.apply(&users.decide(&sign_up("u_a", "ann@example.org")).unwrap().unwrap(), AT, None);
    let before = users.clone();
    users.apply(&Event::Suspended { user: id("u_a") }, AT, None);
    assert_eq!(before.find("u_a").unwrap().status, Active);
    assert_eq!(users.find("u_a").unwrap().status, Suspended);
    before.check_invariants();
    users.check_invariants();
}

#[test]
fn an_address_is_refused_only_where_it_surely_is_none() {
    for right in [
        "a@b.co",
        "first.last+tag@sub.example.org",
        "o'neil_%$#!&*@xn--bcher-kva.example",
        "관객@예시.한국",
        "a@b-c.de",
        "a@1.2.3.4",
        &format!("{}@example.org", "x".repeat(242)),
    ] {
        assert_eq!(Email::parse(right).map(|email| email.as_str().to_owned()).as_deref(), Ok(right));
    }
    for wrong in [
        "",
        "@",
        "ann",
        "ann@",
        "@example.org",
        "ann@localhost",
        "ann@example..org",
        "ann@.example.org",
        "ann@example.org.",
        "ann@-example.org",
        "ann@example-.org",
        "ann@exa mple.org",
        "an n@example.org",
        "ann@bob@example.org",
        "ann@example.org, bob@example.org",
        "ann@example.org\0",
        "ann@[127.0.0.1]",
        "Ann <ann@example.org>",
        &format!("{}@example.org", "x".repeat(243)),
        &"x".repeat(1 << 20),
    ] {
        assert_eq!(Email::parse(wrong), Err(InvalidProfile::Email), "{:?}", wrong.get(..40));
    }
}

#[test]
fn an_address_is_kept_as_it_is_written_and_one_mailbox_however_that_is() {
    for (written, others) in [
        (
            "Ann.Lee@Example.org",
            &[
                "ann.lee@example.org",
                "ANN.LEE@EXAMPLE.ORG",
                "\"Ann.Lee\"@example.org",
                "\"ann\\.lee\"@example.org",
                "\u{ff21}nn.lee@example.org",
                "ann.lee@\u{ff45}xample.org",
                "a\u{200b}nn.l\u{ad}ee@example.org",
                "ann.lee\u{feff}@example.org",
                "ann\u{ff0e}lee@example.org",
            ][..],
        ),
        (
            "é@BÜCHER.example",
            &["e\u{301}@bu\u{308}cher.example", "É@xn--bcher-kva.example", "é@XN--BCHER-KVA.example"],
        ),
        ("Straße@example.org", &["STRASSE@example.org", "straße@example.org", "STRAẞE@example.org"]),
        ("ΟΔΟΣ@example.org", &["οδος@example.org", "οδοσ@example.org"]),
        ("ofﬁce@example.org", &["office@example.org", "OFFICE@example.org"]),
        ("한@예시.한국", &["\u{1112}\u{1161}\u{11ab}@예시.한국", "한@xn--vv4b11d.xn--3e0b707e"]),
    ] {
        let email = Email::parse(&format!(" {written}")).unwrap();
        assert_eq!(email.as_str(), written, "as it is written");
        for other in others {
            assert_eq!(Email::parse(other).unwrap().mailbox(), email.mailbox(), "{other:?}");
        }
    }
    // These are others', for all that is known here.
    let ann = Email::parse("ann.lee@example.org").unwrap().mailbox();
    for other in
        ["annlee@example.org", "ann.lee+1@example.org", "\u{430}nn.lee@example.org", "ann.lee@examp1e.org"]
    {
        assert_ne!(Email::parse(other).unwrap().mailbox(), ann, "{other:?}");
    }
}

#[test]
fn what_no_mail_server_takes_signs_up_no_more() {
    let deliverable = |text: &str| Email::parse(text).unwrap().deliverable().is_ok();
    for right in ["ann@example.org", "o'neil_%$#!&*@example.org", "\"ann,lee\"@example.org", "관객@예시.한국"]
    {
        assert!(deliverable(right), "{right}");
    }
    for wrong in [
        "ann(work)@example.org",
        "mailto:ann@example.org",
        "ann,lee@example.org",
        "an\"n@example.org",
        "\"\"@example.org",
    ] {
        assert!(!deliverable(wrong), "{wrong}");
    }
}

#[test]
fn of_those_who_share_a_mailbox_since_before_each_is_found_by_what_they_wrote() {
    let mut users = Users::default();
    let emails = ["ann@example.org", "Ann@example.org", "ANN@example.org"];
    for (number, (user, email)) in (0..).zip(IDS.into_iter().zip(emails)) {
        // A journal of a former version says so, whatever would be decided now.
        let event = Event::SignedUp { id: id(user), profile: profile(email) };
        users.apply(&event, AT.plus(Seconds::new(number)), None);
        users.check_invariants();
    }
    let find =
        |users: &Users, email| users.find_by_email(&Email::parse(email).unwrap()).map(|user| user.id.clone());
    for (user, email) in IDS.into_iter().zip(emails) {
        assert_eq!(find(&users, email), Some(id(user)), "{email}");
    }
    assert_eq!(find(&users, "Ann@EXAMPLE.org"), Some(id("u_b")), "a domain's case never counted");
    assert_eq!(find(&users, "aNN@example.org"), Some(id("u_a")), "who signed up first");
    assert_eq!(users.decide(&sign_up("lee", "aNN@example.org")), Err(Refusal::EmailTaken));

    let restored = UsersImage::of(&users).restore();
    restored.check_invariants();
    assert_eq!(find(&restored, "aNN@example.org"), Some(id("u_a")));
    for (user, left) in [("u_a", Some("u_b")), ("kim", Some("u_b")), ("u_b", None)] {
        users.apply(&Event::Deleted { user: id(user) }, AT, None);
        users.check_invariants();
        assert_eq!(find(&users, "aNN@example.org"), left.map(id), "without {user}");
    }
    assert!(users.decide(&sign_up("lee", "aNN@example.org")).is_ok());
}

#[test]
fn names_that_look_the_same_are_the_same() {
    // Hangul as macOS writes it, letter by letter.
    let name = UserName::parse("\u{1112}\u{1161}\u{11ab}").unwrap();
    assert_eq!(name.as_str(), "한");
    assert_eq!(UserName::parse(" Ann  Lee ").unwrap().as_str(), "Ann  Lee");
}

#[test]
fn a_name_has_1_to_100_characters_and_a_hash_is_one_of_argon2() {
    assert!(UserName::parse(&"한".repeat(100)).is_ok());
    for wrong in ["", "  ", "a\nb", "\u{7}", &"한".repeat(101), &"x".repeat(1 << 20)] {
        assert_eq!(UserName::parse(wrong), Err(InvalidProfile::Name));
    }
    let long = format!("$argon2id${}", "x".repeat(256));
    for wrong in ["", "password", "$2b$12$x", "$argon2id$v=19 $", &long] {
        assert_eq!(PasswordHash::parse(wrong), Err(InvalidProfile::Hash));
    }
}

#[test]
fn a_drawn_id_is_a_users_and_shows_five_bits_of_each_byte() {
    assert_eq!(drawn_id(&[0; USER_ID_RANDOM_LEN]).as_str(), "u_aaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_eq!(drawn_id(&[0xff; USER_ID_RANDOM_LEN]).as_str(), "u_77777777777777777777777777");
    let mut random = [32; USER_ID_RANDOM_LEN];
    random[25] = 1;
    assert_eq!(drawn_id(&random).as_str(), "u_aaaaaaaaaaaaaaaaaaaaaaaaab");
}

/// A user as the model sees them.
#[derive(Debug, Clone, PartialEq)]
struct Person {
    id: &'static str,
    email: Option<&'static str>,
    status: UserStatus,
    since: Timestamp,
}

/// What may be asked at random, by numbers.
#[derive(Debug, Clone)]
enum Wish {
    SignUp(Index, Index),
    Set(Index, UserStatus),
}

fn wish() -> impl Strategy<Value = Wish> {
    let status = prop::sample::select(UserStatus::ALL.to_vec());
    prop_oneof![
        (any::<Index>(), any::<Index>()).prop_map(|(id, email)| Wish::SignUp(id, email)),
        (any::<Index>(), status).prop_map(|(id, status)| Wish::Set(id, status)),
    ]
}

/// The model: a list that is scanned. Returns whether a wish has an effect, or why not.
fn judge(people: &mut Vec<Person>, wish: &Wish, now: Timestamp) -> Result<bool, Refusal> {
    match wish {
        Wish::SignUp(id, email) => {
            let (id, email) = (*id.get(&IDS), *email.get(&EMAILS));
            let mailbox = |person: &Person| person.email.map(mailbox_of);
            if people.iter().any(|person| mailbox(person) == Some(mailbox_of(email))) {
                return Err(Refusal::EmailTaken);
            }
            if people.iter().any(|person| person.id == id) {
                return Err(Refusal::IdTaken);
            }
            people.push(Person { id, email: Some(email), status: Active, since: now });
            Ok(true)
        }
        Wish::Set(id, status) => {
            let id = *id.get(&IDS);
            let Some(person) = people.iter_mut().find(|person| person.id == id) else {
                if *status == Active {
                    return Err(Refusal::NoSuchUser);
                }
                people.push(Person { id, email: None, status: *status, since: now });
                return Ok(true);
            };
            if person.status == *status {
                return Ok(false);
            }
            if person.status == Deleted {
                return Err(Refusal::IsDeleted);
            }
            person.status = *status;
            if *status == Deleted {
                person.email = None;
            }
            Ok(true)
        }
    }
}

fn command(wish: &Wish) -> Command {
    match wish {
        Wish::SignUp(id, email) => {
            let (id, email): (&&str, &&str) = (id.get(&IDS), email.get(&EMAILS));
            sign_up(id, email)
        }
        Wish::Set(id, status) => {
            let id: &&str = id.get(&IDS);
            set(id, *status)
        }
    }
}

proptest! {
    #[test]
    fn every_decision_and_state_is_the_models(wishes in prop::collection::vec(wish(), 1..60)) {
        let (mut users, mut people) = (Users::default(), Vec::new());
        let (mut now, mut events) = (AT, 0);
        for wish in &wishes {
            now = now.plus(Seconds::new(1));
            let expected = judge(&mut people, wish, now);
            let decided = users.decide(&command(wish));
            prop_assert_eq!(decided.as_ref().map(Option::is_some).map_err(|refusal| *refusal), expected);
            if let Ok(Some(event)) = decided {
                users.apply(&event, now, None);
                events += 1;
            }
            users.check_invariants();
            prop_assert_eq!(users.version(), events);
            for person in &people {
                let user = users.find(person.id).unwrap();
                let email = user.profile.as_ref().map(|profile| profile.email.as_str().to_owned());
                prop_assert_eq!(email.as_deref(), person.email);
                prop_assert_eq!((user.status, user.created_at), (person.status, person.since));
            }
            prop_assert_eq!(users.iter().count(), people.len());
            for email in EMAILS {
                let mailbox = |person: &&Person| person.email.map(mailbox_of) == Some(mailbox_of(email));
                let expected = people.iter().find(mailbox).map(|person| person.id);
                let found = users.find_by_email(&Email::parse(email).unwrap());
                prop_assert_eq!(found.map(|user| user.id.as_str()), expected);
            }
            let counted = UserStatus::ALL.map(|status| users.counts().of(status));
            let count = |status| people.iter().filter(|person| person.status == status).count();
            prop_assert_eq!(counted.map(|count| usize::try_from(count).unwrap()), UserStatus::ALL.map(count));
        }
        let again = UsersImage::of(&users).restore();
        again.check_invariants();
        prop_assert!(again == users && again.last_instant() == users.last_instant());
    }

    #[test]
    fn any_text_is_refused_or_is_an_address_that_is_read_as_itself(text: String, tail in "[a-zA-Z가-힣\u{300}-\u{310}.@ -]{0,20}") {
        for text in [text.clone(), format!("{text}@{tail}.org")] {
            if let Ok(email) = Email::parse(&text) {
                prop_assert_eq!(Email::parse(email.as_str()), Ok(email.clone()));
                prop_assert_eq!(Email::kept(email.as_str()), Ok(email.clone()));
                let (upper, lower) = (text.to_uppercase(), text.to_lowercase());
                for same in [Email::parse(&upper), Email::parse(&lower)].into_iter().flatten() {
                    prop_assert_eq!(same.mailbox(), email.mailbox());
                }
                // What a mailbox is written as leads to itself.
                if let Ok(again) = Email::kept(&email.mailbox()) {
                    prop_assert_eq!(again.mailbox(), email.mailbox());
                }
            }
        }
    }
}

/// Says what is in each field of the users; which table one stands in is each process's own.
fn inside(users: &Users) -> Inside {
    let Users { shards, hasher: _, counts, keys, version, last_instant } = users;
    let (mut known, mut addresses) = (BTreeMap::new(), BTreeMap::new());
    for shard in shards {
        let Shard { users, by_mailbox } = &**shard;
        known.extend(users);
        addresses.extend(by_mailbox.iter().map(|(mailbox, owners)| (&**mailbox, owners)));
    }
    let keys = keys.inside();
    said![known, addresses, counts, keys, version, last_instant]
}

proptest! {
    // Days go by, so that keys are forgotten.
    #[test]
    fn whenever_the_process_was_restarted_what_comes_is_as_if_it_never_was(
        steps in prop::collection::vec(
            (wish(), 0..40_000_u32, prop::option::weighted(0.5, 0..4_u128), prop::bool::weighted(0.3)),
            1..80,
        ),
    ) {
        let (mut users, mut follower, mut now) = (Users::default(), Users::default(), AT);
        for (wish, pause, digest, restart) in &steps {
            now = now.plus(Seconds::new(*pause));
            let command = command(wish);
            let key = digest.map(|digest| KeyUse { digest, fingerprint: 7 });
            let key = key.filter(|key| users.find_key(*key, now).is_none());
            let decided = users.decide(&command);
            prop_assert_eq!(&follower.decide(&command), &decided);
            let kept = key.map(|_| Event::KeyKept { user: command.user().clone() });
            if let Some(event) = decided.ok().and_then(|decided| decided.or(kept)) {
                let mut bytes = Vec::new();
                record::encode_fact(&mut bytes, users.version() + 1, now, key, record::FactRef::User(&event));
                let read = record::decode(&bytes).unwrap();
                let record::Fact::User(event) = read.fact else { panic!("another stream's") };
                users.apply(&event, read.at, read.key);
                follower.apply(&event, read.at, read.key);
            }
            prop_assert_eq!(inside(&follower), inside(&users), "R1");
            if *restart {
                let image = UsersImage::of(&follower);
                follower = reread(&Section::Users(Box::new(image))).users;
                prop_assert_eq!(inside(&follower), inside(&users), "R1: an image is the state");
            }
        }
    }
}
