//! What is told of users is durable, survives, and holds from the next look on.

use std::sync::Arc;

use super::*;
use crate::domain::keys::KeyUse;
use crate::domain::users::{PasswordHash, Refusal, UserName};
use crate::engine::EngineConfig;
use crate::journal::MemoryDisk;

fn on(disk: &MemoryDisk, dir: &std::path::Path) -> EngineConfig {
    let mut config = EngineConfig::new(dir);
    config.journal.reserve_bytes = 0;
    config.medium = Some(Arc::new(disk.clone()));
    config
}

fn profile(email: &str) -> Profile {
    Profile {
        email: Email::parse(email).unwrap(),
        name: UserName::parse("Ann").unwrap(),
        password: PasswordHash::parse("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA").unwrap(),
    }
}

fn by_admin(key: Option<KeyUse>) -> Cause {
    Cause { by: By::Admin(UserId::parse("boss").unwrap()), key }
}

fn taken(error: &EngineError) -> bool {
    *error == Refusal::EmailTaken.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_told_of_a_sign_up_or_a_suspension_before_it_is_durable() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), MemoryDisk::new());
    let engine = Engine::open(on(&disk, dir.path())).await.unwrap();
    let bob = engine.sign_up(profile("bob@example.org")).await.unwrap().id;
    disk.hold_syncs();
    let ask = || {
        let engine = engine.clone();
        tokio::spawn(async move { engine.sign_up(profile("ann@example.org")).await })
    };
    let winner = ask();
    tokio::task::block_in_place(|| disk.wait_for_held_sync());
    // The loser's refusal rests on a sign-up that isn't durable yet: it waits with it (V1).
    let loser = ask();
    let suspended = {
        let (engine, bob) = (engine.clone(), bob.clone());
        tokio::spawn(async move { engine.set_user_status(bob, UserStatus::Suspended, by_admin(None)).await })
    };
    tokio::task::yield_now().await;
    assert!(!winner.is_finished() && !loser.is_finished() && !suspended.is_finished());
    assert_eq!(engine.user_by_email(&profile("ann@example.org").email), None);
    assert!(!engine.is_barred(&bob));
    disk.release_syncs();
    let (one, other) = (winner.await.unwrap(), loser.await.unwrap());
    let ann = one.unwrap();
    assert!(taken(&other.unwrap_err()));
    assert_eq!(engine.user_by_email(&profile("ann@example.org").email), Some(ann));
    assert_eq!(suspended.await.unwrap().unwrap().answer.status, UserStatus::Suspended);
    assert!(engine.is_barred(&bob));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_of_users_survives_a_crash_with_and_without_a_snapshot() {
    for snapshot in [false, true] {
        let (dir, disk) = (tempfile::tempdir().unwrap(), MemoryDisk::new());
        let engine = Engine::open(on(&disk, dir.path())).await.unwrap();
        let ann = engine.sign_up(profile("ann@example.org")).await.unwrap();
        let gone = engine.sign_up(profile("gone@example.org")).await.unwrap().id;
        let kim = UserId::parse("kim").unwrap();
        let set = async |user: &UserId, status| {
            engine.set_user_status(user.clone(), status, by_admin(None)).await.unwrap();
        };
        set(&ann.id, UserStatus::Suspended).await;
        set(&kim, UserStatus::Suspended).await;
        if snapshot {
            engine.snapshot().await.unwrap();
        }
        set(&ann.id, UserStatus::Active).await;
        set(&gone, UserStatus::Deleted).await;
        let before = engine.directory.users.read().clone();

        let again = Engine::open(on(&disk.crashed(), dir.path())).await.unwrap();
        assert!(*again.directory.users.read() == before);
        assert_eq!(again.user_by_email(&profile("ann@example.org").email), Some(ann.clone()));
        assert_eq!(
            (again.is_barred(&ann.id), again.is_barred(&gone), again.is_barred(&kim)),
            (false, true, true)
        );
        assert_eq!(again.user_counts(), UserCounts { active: 1, suspended: 1, deleted: 1 });
        assert!(taken(&again.sign_up(profile("ann@EXAMPLE.org")).await.unwrap_err()));
        let anew = again.sign_up(profile("gone@example.org")).await.unwrap().id;
        assert_ne!(anew, gone, "an id works once");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_has_one_effect_and_one_answer_across_a_crash() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), MemoryDisk::new());
    let engine = Engine::open(on(&disk, dir.path())).await.unwrap();
    let ann = engine.sign_up(profile("ann@example.org")).await.unwrap().id;
    let key = |digest, fingerprint| by_admin(Some(KeyUse { digest, fingerprint }));
    let set = async |engine: &Engine, status, cause| engine.set_user_status(ann.clone(), status, cause).await;
    let first = set(&engine, UserStatus::Suspended, key(1, 1)).await.unwrap();
    // It is so already: its key is kept all the same.
    let kept = set(&engine, UserStatus::Suspended, key(2, 2)).await.unwrap();
    set(&engine, UserStatus::Active, by_admin(None)).await.unwrap();
    assert!(!first.replayed && !kept.replayed);
    let engine = Engine::open(on(&disk.crashed(), dir.path())).await.unwrap();
    for (digest, fingerprint) in [(1, 1), (2, 2)] {
        let again = set(&engine, UserStatus::Suspended, key(digest, fingerprint)).await.unwrap();
        assert!(again.replayed);
        assert_eq!(again.answer, first.answer, "the first answer, though the user is active again");
    }
    assert!(!engine.is_barred(&ann));
    let other = set(&engine, UserStatus::Deleted, key(1, 2)).await;
    assert_eq!(other, Err(EngineError::KeyReused));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failed_sync_changes_are_refused_and_reads_go_on() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), MemoryDisk::new());
    let engine = Engine::open(on(&disk, dir.path())).await.unwrap();
    let ann = engine.sign_up(profile("ann@example.org")).await.unwrap();
    disk.fail_sync(1);
    let lost = engine.sign_up(profile("bob@example.org")).await;
    assert_eq!(lost, Err(EngineError::OutcomeUnknown));
    let refused = engine.set_user_status(ann.id.clone(), UserStatus::Suspended, by_admin(None)).await;
    assert_eq!(refused, Err(EngineError::JournalUnavailable));
    assert_eq!(engine.user(&ann.id), Some(ann));
}
