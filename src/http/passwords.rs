//! Passwords: hashed and checked with argon2id on threads of lower priority.
//!
//! ```text
//! handler → a line of WAITING_MAX → threads of their own, half as many as cores, of lower priority → handler
//! ```
//!
//! A hash takes some 20 ms of a core on purpose. So it never runs on the threads that serve requests. There are fewer
//! hashing threads than cores, and the system runs them when the others have nothing to do: a flood of sign-ins slows
//! only sign-ins. Each thread keeps its working memory (19 MiB), since mapping and clearing it for each password would
//! stop the other threads now and then. A request that finds the line full, or has waited for five seconds, is refused
//! and may come again: nothing has happened by then. A client that leaves makes room for the next.
//!
//! Absent on purpose: the users' hashes, rules of composition (NIST SP 800-63B, section 3.1.1.2: only length), a
//! pepper.
//!
//! Invariants: a check against no hash takes as long as one against a hash; a password is overwritten when it is
//! dropped, and neither it nor a hash is ever shown or logged. (The bytes of the request's body are hyper's.)

use core::fmt;
use core::num::NonZero;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use argon2::password_hash::phc::{self, Output, ParamsString, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde::{Deserialize, Deserializer};
use tokio::sync::oneshot;
use unicode_normalization::{UnicodeNormalization, is_nfc};
use zeroize::Zeroizing;

use super::background;
use crate::clock::Stopwatch;
use crate::domain::users::PasswordHash;
use crate::random;

/// The length of a password, in characters.
pub const PASSWORD_LEN_MIN: usize = 10;
/// The longest, in characters: enough for any phrase, and a bound for what is hashed.
pub const PASSWORD_LEN_MAX: usize = 128;
/// How many passwords wait at most; with 20 ms each, the last of them waits for a second or two.
pub const WAITING_MAX: usize = 64;
/// The longest wait: half of a request's time, so that the request is answered in time.
const PATIENCE: Duration = Duration::from_secs(5);

/// The cost of a password, by OWASP's "Password Storage Cheat Sheet" (argon2id with 19 MiB, two passes, one lane). A
/// hash names its own parameters, so that a change of these concerns only new hashes.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_LEN: usize = 16;
const OUTPUT_LEN: usize = 32;

/// A client's password in Unicode's normalisation form C (RFC 8265, section 4.2.1), so that every keyboard gives the
/// same bytes.
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes a password.
    pub fn new(text: String) -> Self {
        let text = Zeroizing::new(text);
        if is_nfc(&text) {
            return Self(text);
        }
        // As much room as it can need, so that no part is left behind by a string that grew: what grows most in this
        // form triples.
        let mut normal = Zeroizing::new(String::with_capacity(3 * text.len()));
        normal.extend(text.nfc());
        Self(normal)
    }

    /// Tells whether a new password may be this one.
    pub fn has_right_length(&self) -> bool {
        let count = self.0.chars().take(PASSWORD_LEN_MAX + 1).count();
        (PASSWORD_LEN_MIN..=PASSWORD_LEN_MAX).contains(&count)
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Self::new)
    }
}

/// Too many passwords wait, or this one has waited too long: it wasn't checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineFull;

/// The threads that hash, and the line before them. They start with the first password, and end with this.
#[derive(Debug, Default)]
pub struct Passwords {
    line: OnceLock<Option<Arc<Line>>>,
}

impl Drop for Passwords {
    fn drop(&mut self) {
        if let Some(Some(line)) = self.line.get() {
            line.close();
        }
    }
}

/// The waiting passwords, in order.
#[derive(Debug, Default)]
struct Line {
    jobs: Mutex<Jobs>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    is_closed: bool,
}

impl Line {
    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a job at the end; where the line is full, whoever left it makes room first.
    fn push(&self, job: Job) -> Result<(), LineFull> {
        let mut jobs = self.jobs();
        if jobs.waiting.len() >= WAITING_MAX {
            jobs.waiting.retain(|job| !job.is_left());
        }
        if jobs.waiting.len() >= WAITING_MAX {
            return Err(LineFull);
        }
        jobs.waiting.push_back(job);
        jobs.tell();
        self.came.notify_one();
        Ok(())
    }

    /// Waits for the next job that someone waits for; nothing once the line is closed.
    fn pop(&self) -> Option<Job> {
        let mut jobs = self.jobs();
        loop {
            while let Some(job) = jobs.waiting.pop_front() {
                if !job.is_left() {
                    jobs.tell();
                    return Some(job);
                }
            }
            jobs.tell();
            if jobs.is_closed {
                return None;
            }
            jobs = self.came.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn close(&self) {
        self.jobs().is_closed = true;
        self.came.notify_all();
    }
}

impl Jobs {
    /// Says in the metrics how many wait.
    fn tell(&self) {
        let waiting = u32::try_from(self.waiting.len()).expect("WAITING_MAX bounds it");
        metrics::gauge!("onsale_passwords_waiting").set(waiting);
    }
}

/// A password in the line.
#[derive(Debug)]
enum Job {
    Hash { password: Password, salt: [u8; SALT_LEN], reply: oneshot::Sender<PasswordHash> },
    Check { password: Password, against: Option<PasswordHash>, reply: oneshot::Sender<bool> },
}

impl Passwords {
    /// Hashes a password, with a salt of its own.
    ///
    /// # Errors
    /// [`LineFull`].
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, LineFull> {
        let salt = random::bytes();
        self.ask(|reply| Job::Hash { password, salt, reply }).await
    }

    /// Tells whether a hash was made of this password. No password is right where there is no hash, which takes as long
    /// to say.
    ///
    /// # Errors
    /// [`LineFull`].
    pub async fn check(&self, password: Password, against: Option<PasswordHash>) -> Result<bool, LineFull> {
        self.ask(|reply| Job::Check { password, against, reply }).await
    }

    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Result<T, LineFull> {
        let line = self.line.get_or_init(start).as_ref().ok_or(LineFull)?;
        let (reply, answer) = oneshot::channel();
        line.push(job(reply))?;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) | Err(_) => Err(LineFull),
        }
    }
}

/// Starts the threads. Returns `None` if the system can't start one.
fn start() -> Option<Arc<Line>> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let line = Arc::<Line>::default();
    let mut started = false;
    for _ in 0..(cores / 2).max(1) {
        let line = Arc::clone(&line);
        let thread = std::thread::Builder::new().name("onsale-password".to_owned());
        match thread.spawn(move || work(&line)) {
            Ok(_) => started = true,
            Err(error) => tracing::error!(%error, "a thread for passwords can't be started"),
        }
    }
    started.then_some(line)
}

fn work(line: &Line) {
    background::lower_priority();
    let mut memory = Vec::new();
    while let Some(job) = line.pop() {
        job.run(&mut memory);
    }
}

impl Job {
    /// Tells whether nobody waits for it any more.
    fn is_left(&self) -> bool {
        match self {
            Self::Hash { reply, .. } => reply.is_closed(),
            Self::Check { reply, .. } => reply.is_closed(),
        }
    }

    fn run(self, memory: &mut Vec<Block>) {
        match self {
            Self::Hash { password, salt, reply } => answer(reply, || hash(&password, &salt, memory)),
            Self::Check { password, against, reply } => {
                answer(reply, || check(&password, against.as_ref(), memory));
            }
        }
    }
}

/// Counts before it answers, so that a client that has its answer finds it in the metrics.
fn answer<T>(reply: oneshot::Sender<T>, work: impl FnOnce() -> T) {
    let watch = Stopwatch::start();
    let done = work();
    metrics::histogram!("onsale_password_hash_seconds").record(watch.elapsed());
    let _ = reply.send(done);
}

fn params() -> Params {
    Params::new(MEMORY_KIB, PASSES, LANES, Some(OUTPUT_LEN)).expect("argon2 allows what OWASP asks for")
}

fn hash(password: &Password, salt: &[u8; SALT_LEN], memory: &mut Vec<Block>) -> PasswordHash {
    let mut output = [0; OUTPUT_LEN];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params());
    let derived = derive(&argon2, password, salt, &mut output, memory);
    derived.expect("a salt and an output of these lengths are allowed");
    written(salt, &output)
}

/// Writes a hash as a PHC string.
fn written(salt: &[u8; SALT_LEN], output: &[u8; OUTPUT_LEN]) -> PasswordHash {
    let text = phc::PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params()).expect("three numbers fit"),
        salt: Some(Salt::new(salt).expect("16 bytes are a salt")),
        hash: Some(Output::new(output).expect("32 bytes are a hash")),
    };
    PasswordHash::parse(&text.to_string()).expect("it is one of argon2")
}

fn check(password: &Password, against: Option<&PasswordHash>, memory: &mut Vec<Block>) -> bool {
    static NOBODYS: OnceLock<PasswordHash> = OnceLock::new();
    let nobodys = || NOBODYS.get_or_init(|| written(&[0; SALT_LEN], &[0; OUTPUT_LEN]));
    let same = is_of(password, against.unwrap_or_else(nobodys), memory);
    if same.is_none() {
        tracing::error!("a password's hash can't be read: nobody can sign in with it");
    }
    same == Some(true) && against.is_some()
}

/// Tells whether a hash is of this password, by the parameters that the hash names. Returns `None` if it isn't a hash.
fn is_of(password: &Password, hash: &PasswordHash, memory: &mut Vec<Block>) -> Option<bool> {
    let hash = phc::PasswordHash::new(hash.expose()).ok()?;
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
    let version = hash.version.map_or(Ok(Version::default()), Version::try_from).ok()?;
    let argon2 = Argon2::new(algorithm, version, Params::try_from(&hash).ok()?);
    let (salt, expected) = (hash.salt?, hash.hash?);
    let mut output = vec![0; expected.len()];
    derive(&argon2, password, &salt, &mut output, memory)?;
    Some(verify_slices_are_equal(&output, expected.as_bytes()).is_ok())
}

fn derive(
    argon2: &Argon2<'_>,
    password: &Password,
    salt: &[u8],
    output: &mut [u8],
    memory: &mut Vec<Block>,
) -> Option<()> {
    if memory.len() < argon2.params().block_count() {
        memory.resize(argon2.params().block_count(), Block::default());
    }
    argon2.hash_password_into_with_memory(password.bytes(), salt, output, &mut memory[..]).ok()
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn password(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_is_right_for_its_own_hash_alone() {
        let passwords = Passwords::default();
        let hash = passwords.hash(password("correct horse")).await.unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "OWASP's parameters are in it");
        let other = passwords.hash(password("correct horse")).await.unwrap();
        assert_ne!(hash.expose(), other.expose(), "each has a salt of its own");
        for (text, against, right) in [
            ("correct horse", Some(&hash), true),
            ("correct horse", Some(&other), true),
            ("correct horsf", Some(&hash), false),
            ("", Some(&hash), false),
            ("correct horse", None, false),
        ] {
            assert_eq!(passwords.check(password(text), against.cloned()).await, Ok(right), "{text}");
        }
    }

    #[test]
    fn a_hash_of_other_parameters_is_checked_by_its_own() {
        // From the reference implementation's own test (src/test.c of github.com/P-H-C/phc-winner-argon2).
        let text = "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc";
        let hash = PasswordHash::parse(text).unwrap();
        let mut memory = Vec::new();
        assert!(check(&password("password"), Some(&hash), &mut memory));
        assert!(!check(&password("Password"), Some(&hash), &mut memory));
        let broken = PasswordHash::parse("$argon2id$v=19$nonsense").unwrap();
        assert!(!check(&password("password"), Some(&broken), &mut memory));
    }

    #[test]
    fn a_password_has_10_to_128_characters_however_they_are_typed() {
        for right in ["0123456789", "한국어 비밀번호 입니다", &"é".repeat(128), &"e\u{301}".repeat(128)]
        {
            assert!(password(right).has_right_length(), "{right}");
        }
        for wrong in ["", "012345678", &"e\u{301}".repeat(9), &"é".repeat(129), &"x".repeat(60_000)] {
            assert!(!password(wrong).has_right_length());
        }
        assert_eq!(password("\u{1112}\u{1161}\u{11ab}").bytes(), "한".as_bytes());
        assert_eq!(format!("{:?}", password("secret")), "Password(..)");
    }

    #[tokio::test]
    async fn who_finds_the_line_full_is_told_at_once_and_who_left_it_costs_nothing() {
        // A line before no thread.
        let line = Arc::<Line>::default();
        let passwords = Passwords { line: OnceLock::from(Some(Arc::clone(&line))) };
        let mut waiting: Vec<_> =
            (0..WAITING_MAX).map(|_| Box::pin(passwords.check(password("0123456789"), None))).collect();
        for one in &mut waiting {
            assert!(one.now_or_never().is_none());
        }
        assert_eq!(passwords.check(password("0123456789"), None).await, Err(LineFull));

        // One leaves, and makes room for one.
        drop(waiting.remove(7));
        assert!(Box::pin(passwords.hash(password("0123456789"))).as_mut().now_or_never().is_none());
        assert_eq!(line.jobs().waiting.len(), WAITING_MAX);
        drop(waiting);
        line.close();
        assert!(line.pop().is_none(), "nobody is worked for who left");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_too_long_is_told_to_come_back() {
        let passwords = Passwords { line: OnceLock::from(Some(Arc::default())) };
        assert_eq!(passwords.check(password("0123456789"), None).await, Err(LineFull));
    }
}
