//! The users' part of the format.

use super::super::users::USERS_PER_SECTION;
use super::*;
use crate::domain::users::{
    Answer, Email, Event, PasswordHash, Profile, User, UserName, UserStatus, UsersImage,
};

/// Writes the users' section, in its parts.
pub(super) fn written(image: UsersImage) -> Vec<Vec<u8>> {
    super::written(&Section::Users(Box::new(image)))
}

fn profile(number: usize) -> Arc<Profile> {
    Arc::new(Profile {
        email: Email::parse(&format!("관객-{number}@example.org")).unwrap(),
        name: UserName::parse("김철수").unwrap(),
        password: PasswordHash::parse("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA").unwrap(),
    })
}

fn id(text: &str) -> UserId {
    UserId::parse(text).unwrap()
}

/// An event of every kind.
pub(super) fn events() -> Vec<Event> {
    vec![
        Event::SignedUp { id: id("u_abc"), profile: profile(1) },
        Event::Suspended { user: id("앤 <ann@example.org>") },
        Event::Reinstated { user: id("kim") },
        Event::Deleted { user: id("lee") },
        Event::KeyKept { user: id("park") },
        Event::PasswordReplaced { user: id("u_abc"), password: profile(1).password.clone() },
    ]
}

pub(super) fn kind(event: &Event) -> usize {
    match event {
        Event::SignedUp { .. } => 0,
        Event::Suspended { .. } => 1,
        Event::Reinstated { .. } => 2,
        Event::Deleted { .. } => 3,
        Event::KeyKept { .. } => 4,
        Event::PasswordReplaced { .. } => 5,
    }
}

/// An image with something in every field.
pub(super) fn image() -> UsersImage {
    let user = |(text, status, profile)| User { id: id(text), status, profile, created_at: AT };
    let statuses = UserStatus::ALL;
    let users = [
        ("a", UserStatus::Active, Some(profile(1))),
        ("b", UserStatus::Suspended, Some(profile(2))),
        ("c", UserStatus::Suspended, None),
        ("d", UserStatus::Deleted, None),
    ];
    let keys = (1..).zip(statuses).map(|(version, status)| {
        let key = KeyUse { digest: u128::from(version), fingerprint: 7 };
        (key, version, AT, Answer { user: id("b"), status })
    });
    UsersImage { users: users.map(user).into(), keys: keys.collect(), version: 9, last_instant: AT }
}

#[test]
fn the_users_sections_are_read_as_they_were_written() {
    let many = (0..=2 * USERS_PER_SECTION).map(|number| User {
        id: id(&format!("u_{number:06}")),
        status: UserStatus::Active,
        profile: Some(profile(number)),
        created_at: AT,
    });
    let many = UsersImage { users: many.collect(), ..image() };
    assert_eq!(written(many.clone()).len(), 4);
    for image in [image(), many, UsersImage::default()] {
        let mut sections = read(written(image.clone()));
        let Some(Section::Users(image_read)) = sections.pop() else { panic!("another section") };
        assert_eq!((&*image_read, sections.len()), (&image, 0));
        image_read.restore().check_invariants();
    }
}

#[test]
fn a_user_that_cannot_be_is_refused() {
    let refuse = |event: &Event, from: &[u8], to: &[u8]| {
        let mut bytes = Vec::new();
        encode_fact(&mut bytes, 1, AT, None, FactRef::User(event));
        let at = bytes.windows(from.len()).position(|window| window == from).expect("it is in there");
        bytes[at..at + from.len()].copy_from_slice(to);
        assert!(matches!(decode(&bytes), Err(DecodeError::Value(_))), "{event:?}");
    };
    let [signed_up, suspended, ..] = &events()[..] else { panic!("there are samples") };
    refuse(signed_up, b"@example", b".example");
    refuse(signed_up, "김철수".as_bytes(), "김철\0\0\0".as_bytes());
    refuse(signed_up, b"$argon2", b"$bcrypt");
    refuse(signed_up, b"u_abc", b"u_a\nc");
    refuse(suspended, b"<ann", b"\nann");
    // A status that is none, and a profile of someone deleted.
    let status = |number: u8| {
        let image = image();
        let mut sections = written(image);
        // Of the first user: the section's kind, how many there are, the id's length and the id stand before it.
        sections[0][4 + 8 + 8 + 1] = number;
        decode_sections(sections).next().unwrap()
    };
    assert!(status(1).is_ok());
    for wrong in [2, 3] {
        assert!(matches!(status(wrong), Err(DecodeError::Value(_))), "{wrong}");
    }
}

#[test]
fn a_damaged_section_of_users_is_refused_or_is_another_one_and_never_a_panic() {
    let standing = written(image());
    for (which, bytes) in standing.iter().enumerate() {
        for damaged in damaged(bytes) {
            let mut sections = standing.clone();
            sections[which] = damaged;
            if let Ok(read) = decode_sections(sections).collect::<Result<Vec<_>, _>>() {
                assert!(read != [Section::Users(Box::new(image()))]);
            }
        }
    }
}
