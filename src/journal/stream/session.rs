//! The connection to the log's servers, and every request to them. Nothing else names the client.
//!
//! Requests and answers are JetStream's own JSON: the client's types hide some error codes, and what a code means decides about the log.
//!
//! The connection has a thread of its own, so that a caller who blocks, on whatever runtime, keeps nobody from answering.
//!
//! Absent on purpose: decisions. A request that got no answer is [`NoAnswer`], and the caller knows what that means.

use core::time::Duration;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Event, HeaderMap};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::Instant;

use super::super::lane::{Message, Published};
use super::settings::StreamLogin;

/// How long a server may take to answer a request.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// For how long a server may take nothing until another one is asked to. One that is cut off from the others answers its clients' pings, and
/// can't have anything stored.
const LEAVE_AFTER: Duration = Duration::from_secs(2);
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a server has to show that it is there; one that misses two of these is left for another.
const PING_INTERVAL: Duration = Duration::from_secs(1);
/// The longest pause between two tries to connect again.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_millis(500);
/// The most bytes of messages in one answer of many.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// The code of "the last message of this subject isn't the one that was expected".
const WRONG_LAST_SEQUENCE: u32 = 10071;
/// The codes of "there is no such message".
const NO_MESSAGE: u32 = 10037;
/// The code of "there is no such stream".
pub(super) const NO_STREAM: u32 = 10059;
/// The code of "there is a stream of this name, and it has other settings".
pub(super) const STREAM_NAME_IN_USE: u32 = 10058;
/// The code of "too few servers are there".
const NO_SUITABLE_PEERS: u32 = 10005;
/// The code of "the stream was closed for good".
const SEALED: u32 = 10109;

/// Says why a request has no answer, or which one it is that isn't what was asked for.
#[derive(Clone, Debug)]
pub(super) struct NoAnswer {
    /// The servers' code; nothing where they said nothing.
    pub(super) code: Option<u32>,
    pub(super) what: String,
}

impl NoAnswer {
    #[expect(clippy::needless_pass_by_value, reason = "so that it maps errors by its name")]
    fn new(what: impl ToString) -> Self {
        Self { code: None, what: what.to_string() }
    }
}

/// See the module.
pub(super) struct Session {
    client: Client,
    /// Taken when it ends, since a runtime may not simply be dropped in another.
    runtime: Option<Runtime>,
    handle: Handle,
    /// Since when nothing was said of what was to be stored.
    waits_since: Mutex<Option<Instant>>,
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What a stream has, as the servers describe it.
#[derive(Debug, Deserialize)]
pub(super) struct StreamInfo {
    pub(super) config: Value,
    pub(super) created: String,
    pub(super) state: StreamState,
}

impl StreamInfo {
    /// Returns a fingerprint of when the stream was made.
    pub(super) fn made_at(&self) -> u64 {
        u64::from(crc32fast::hash(self.created.as_bytes()))
    }
}

/// How much is in a stream.
#[derive(Debug, Deserialize)]
pub(super) struct StreamState {
    /// The sequence of the first message that is still there, or of the next one.
    pub(super) first_seq: u64,
    /// The last message's sequence, whether or not it is still there.
    pub(super) last_seq: u64,
    /// Which subjects have messages, of those that were asked about.
    #[serde(default)]
    pub(super) subjects: std::collections::BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Got {
    message: Stored,
}

#[derive(Deserialize)]
struct Stored {
    seq: u64,
    subject: String,
    #[serde(default)]
    data: String,
}

#[derive(Deserialize)]
struct Ack {
    seq: u64,
    #[serde(default)]
    duplicate: bool,
}

/// A message, and when the servers stored it by their clock.
#[derive(Debug)]
pub(super) struct Dated {
    pub(super) message: Message,
    pub(super) stored_at: String,
}

/// What the servers have to find before they take messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    /// The sequence of the whole stream's last message, if that matters.
    pub(super) in_stream: Option<u64>,
    /// The sequence of a subject's last message; 0 where it has none.
    pub(super) last: u64,
    /// Which subject that is, if not the one that is written to.
    pub(super) last_of: Option<&'a str>,
}

impl From<u64> for Expected<'_> {
    /// Expects that the last message of the subject that is written to has a sequence.
    fn from(last: u64) -> Self {
        Self { in_stream: None, last, last_of: None }
    }
}

impl Expected<'_> {
    fn headers(self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(last) = self.in_stream {
            headers.insert("Nats-Expected-Last-Sequence", last.to_string());
        }
        headers.insert("Nats-Expected-Last-Subject-Sequence", self.last.to_string());
        if let Some(subject) = self.last_of {
            headers.insert("Nats-Expected-Last-Subject-Sequence-Subject", subject);
        }
        headers
    }
}

/// A server, as its system account describes it.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) syncs: bool,
}

impl Session {
    /// Connects to one of the servers. Blocks.
    pub(super) fn connect(
        servers: &[String],
        login: Option<&StreamLogin>,
        ca_file: Option<PathBuf>,
        name: &str,
    ) -> Result<Arc<Self>, String> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("onsale-log")
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let handle = runtime.handle().clone();

        let (servers, login, name) = (servers.join(","), login.cloned(), name.to_owned());
        let connected = run(&handle, async move {
            let mut options = match login {
                None => ConnectOptions::new(),
                Some(StreamLogin::Password { user, password }) => {
                    ConnectOptions::with_user_and_password(user, password)
                }
                Some(StreamLogin::Credentials(path)) => {
                    let read = ConnectOptions::with_credentials_file(&path).await;
                    read.map_err(|error| format!("{}: {error}", path.display()))?
                }
            };
            if let Some(path) = ca_file {
                options = options.add_root_certificates(path);
            }
            let addresses: Vec<async_nats::ServerAddr> = servers
                .split(',')
                .map(str::parse)
                .collect::<Result<_, _>>()
                .map_err(|error: std::io::Error| error.to_string())?;
            let connecting = options
                .name(name)
                .connection_timeout(CONNECT_TIMEOUT)
                .ping_interval(PING_INTERVAL)
                .reconnect_delay_callback(|tries| {
                    let doubled = 1 << u32::try_from(tries).unwrap_or(u32::MAX).min(6);
                    (Duration::from_millis(10) * doubled).min(RECONNECT_PAUSE_MAX)
                })
                .event_callback(|event| async move { note(&event) })
                .connect(addresses);
            connecting.await.map_err(|error| error.to_string())
        });
        match connected {
            Ok(client) => {
                let waits_since = Mutex::default();
                Ok(Arc::new(Self { client, runtime: Some(runtime), handle, waits_since }))
            }
            Err(what) => {
                runtime.shutdown_background();
                Err(what)
            }
        }
    }

    /// Runs a request to its end, whatever thread this is.
    pub(super) fn block<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        run(&self.handle, work)
    }

    /// Runs a request beside everything else.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.handle.spawn(work));
    }

    /// Returns the connected server's name, its version, and the largest message it takes.
    pub(super) fn server(&self) -> (String, String, usize) {
        let info = self.client.server_info();
        (info.server_name, info.version, info.max_payload)
    }

    /// Tells whether there is a connection to one of the servers.
    pub(super) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Sends a request and waits for its one answer.
    pub(super) async fn request(
        &self,
        subject: &str,
        headers: Option<HeaderMap>,
        payload: Bytes,
    ) -> Result<async_nats::Message, NoAnswer> {
        // While there is no connection, the client would keep requests and send all of them later.
        if !self.is_connected() {
            return Err(NoAnswer::new("not connected"));
        }
        let mut request = async_nats::Request::new().payload(payload).timeout(Some(ANSWER_TIMEOUT));
        if let Some(headers) = headers {
            request = request.headers(headers);
        }
        self.client.send_request(subject.to_owned(), request).await.map_err(NoAnswer::new)
    }

    /// Calls JetStream.
    pub(super) async fn call<T: DeserializeOwned>(&self, api: &str, body: &Value) -> Result<T, NoAnswer> {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let answer = self.request(&format!("$JS.API.{api}"), None, body).await?;
        read(&answer.payload)
    }

    /// Describes a stream, with the subjects that match a filter.
    pub(super) async fn info(&self, stream: &str, subjects: Option<&str>) -> Result<StreamInfo, NoAnswer> {
        let body = subjects.map_or(Value::Null, |filter| json!({ "subjects_filter": filter }));
        self.call(&format!("STREAM.INFO.{stream}"), &body).await
    }

    /// Deletes a subject's messages before a sequence, or all of them.
    pub(super) async fn purge(
        &self,
        stream: &str,
        subject: &str,
        before: Option<u64>,
    ) -> Result<(), NoAnswer> {
        let body = match before {
            Some(sequence) => json!({ "filter": subject, "seq": sequence }),
            None => json!({ "filter": subject }),
        };
        self.call::<Value>(&format!("STREAM.PURGE.{stream}"), &body).await.map(drop)
    }

    /// Reads the last message of the subjects that match, from the stream's leader.
    pub(super) async fn last(&self, stream: &str, subject: &str) -> Result<Option<Message>, NoAnswer> {
        self.get(stream, &json!({ "last_by_subj": subject })).await
    }

    /// Reads the first message of the subjects that match, at a sequence or behind it, from the stream's leader.
    pub(super) async fn first_from(
        &self,
        stream: &str,
        subject: &str,
        sequence: u64,
    ) -> Result<Option<Message>, NoAnswer> {
        self.get(stream, &json!({ "next_by_subj": subject, "seq": sequence })).await
    }

    async fn get(&self, stream: &str, body: &Value) -> Result<Option<Message>, NoAnswer> {
        match self.call::<Got>(&format!("STREAM.MSG.GET.{stream}"), body).await {
            Ok(Got { message: Stored { seq, subject, data } }) => {
                let bytes = STANDARD.decode(data).map_err(NoAnswer::new)?;
                Ok(Some(Message { sequence: seq, subject, bytes: bytes.into() }))
            }
            Err(NoAnswer { code: Some(NO_MESSAGE), .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads a subject's next messages from any server that has the stream: one that is behind gives fewer.
    pub(super) async fn many_from(
        &self,
        stream: &str,
        subject: &str,
        sequence: u64,
        count: u32,
    ) -> Result<Vec<(u64, Bytes)>, NoAnswer> {
        let (found, is_whole) = self.batch_from(stream, subject, sequence, count).await?;
        if found.is_empty() && !is_whole {
            return Err(NoAnswer::new("no answer in time"));
        }
        // What came is whole, and in order.
        Ok(found.into_iter().map(|Dated { message, .. }| (message.sequence, message.bytes)).collect())
    }

    /// Reads all messages of a subject from one server that has the stream: as it has them, and it may be behind.
    pub(super) async fn all_of(
        &self,
        stream: &str,
        subject: &str,
        count: u32,
    ) -> Result<Vec<Dated>, NoAnswer> {
        match self.batch_from(stream, subject, 1, count).await? {
            (found, true) if found.len() < usize::try_from(count).unwrap_or(usize::MAX) => Ok(found),
            (_, true) => Err(NoAnswer::new(format!("there are {count} messages or more"))),
            (_, false) => Err(NoAnswer::new("not all of them in time")),
        }
    }

    /// Asks one server for a subject's next messages; tells whether it said that these are all.
    async fn batch_from(
        &self,
        stream: &str,
        subject: &str,
        sequence: u64,
        count: u32,
    ) -> Result<(Vec<Dated>, bool), NoAnswer> {
        if !self.is_connected() {
            return Err(NoAnswer::new("not connected"));
        }
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(inbox.clone()).await.map_err(NoAnswer::new)?;
        let body =
            json!({ "next_by_subj": subject, "seq": sequence, "batch": count, "max_bytes": BATCH_BYTES_MAX });
        self.client
            .publish_with_reply(format!("$JS.API.DIRECT.GET.{stream}"), inbox, Bytes::from(body.to_string()))
            .await
            .map_err(NoAnswer::new)?;

        let mut found = Vec::new();
        loop {
            let answer = tokio::time::timeout(ANSWER_TIMEOUT, answers.next()).await;
            let Ok(Some(answer)) = answer else { return Ok((found, false)) };
            if let Some(status) = answer.status {
                return match status.as_u16() {
                    // The end of the messages, or none at all.
                    204 | 404 => Ok((found, true)),
                    _ => Err(NoAnswer::new(format!("status {status}"))),
                };
            }
            let headers = answer.headers.unwrap_or_default();
            let text = |name| headers.get(name).map(|text| text.as_str().to_owned());
            let sequence = text("Nats-Sequence").and_then(|text| text.parse().ok());
            let sequence = sequence.ok_or_else(|| NoAnswer::new("a message without its sequence"))?;
            let subject = text("Nats-Subject").unwrap_or_default();
            let stored_at = text("Nats-Time-Stamp").unwrap_or_default();
            let message = Message { sequence, subject, bytes: answer.payload };
            found.push(Dated { message, stored_at });
        }
    }

    /// Appends messages to a subject, all or none, if the stream has what is expected.
    ///
    /// No message carries an id for deduplication: servers look for that before they look at anything else, and would tell a writer who was
    /// deposed that it is well.
    pub(super) async fn publish(
        &self,
        subject: &str,
        expected: impl Into<Expected<'_>>,
        messages: &[Bytes],
    ) -> Published {
        let mut batch = (messages.len() > 1).then(|| crate::random::name(""));
        let expected = expected.into();
        self.leave_a_server_that_takes_nothing().await;
        let mut answer = Err(NoAnswer::new("nothing to publish"));
        for (index, message) in messages.iter().enumerate() {
            let mut headers = if index == 0 { expected.headers() } else { HeaderMap::new() };
            let is_last = index + 1 == messages.len();
            if let Some(batch) = &mut batch {
                headers.insert("Nats-Batch-Id", batch.as_str());
                headers.insert("Nats-Batch-Sequence", (index + 1).to_string());
                if is_last {
                    headers.insert("Nats-Batch-Commit", "1");
                }
            }
            if is_last {
                answer = self.request(subject, Some(headers), message.clone()).await;
            } else if self.is_connected() {
                let sent =
                    self.client.publish_with_headers(subject.to_owned(), headers, message.clone()).await;
                if let Err(error) = sent {
                    return Published::Unknown(error.to_string());
                }
            } else {
                return Published::Unknown("not connected".to_owned());
            }
        }

        let published = match answer.and_then(|answer| read::<Ack>(&answer.payload)) {
            Ok(Ack { duplicate: true, .. }) => Published::Unknown("taken for a duplicate".to_owned()),
            Ok(Ack { seq, .. }) => Published::At(seq),
            Err(NoAnswer { code: Some(WRONG_LAST_SEQUENCE), .. }) => Published::Behind,
            Err(NoAnswer { code: Some(SEALED), what }) => Published::Refused(what),
            Err(NoAnswer { what, .. }) => Published::Unknown(what),
        };
        if !matches!(published, Published::Unknown(_)) {
            *self.waits_since() = None;
        }
        published
    }

    fn waits_since(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.waits_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects to another server where this one has stored nothing for a while. It may be the same again, and is left again then.
    ///
    /// It is looked at before something is sent: whoever sent the last may not have waited for its answer.
    pub(super) async fn leave_a_server_that_takes_nothing(&self) {
        let is_over = {
            let mut since = self.waits_since();
            let is_over = since.get_or_insert_with(Instant::now).elapsed() >= LEAVE_AFTER;
            if is_over {
                *since = Some(Instant::now());
            }
            is_over
        };
        if is_over && self.is_connected() {
            let (server, ..) = self.server();
            tracing::warn!(%server, "this server of the log stores nothing; connecting to another one");
            // Who can't ask for it is about to connect anyway.
            drop(self.client.force_reconnect().await);
        }
    }

    /// Publishes one message and waits until it is stored; whoever asked may publish it again.
    pub(super) async fn store(&self, subject: &str, message: Bytes) -> Result<u64, NoAnswer> {
        let answer = self.request(subject, None, message).await?;
        read::<Ack>(&answer.payload).map(|ack| ack.seq)
    }

    /// Asks all servers how they are set up, of a session with the system account; one of them is known to be there.
    pub(super) async fn servers(&self, known: &str) -> Result<Vec<Server>, NoAnswer> {
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(inbox.clone()).await.map_err(NoAnswer::new)?;
        self.client
            .publish_with_reply("$SYS.REQ.SERVER.PING.JSZ", inbox, Bytes::from_static(b"{}"))
            .await
            .map_err(NoAnswer::new)?;

        // Nobody says how many there are: those that are well answer about when the known one does.
        let (mut found, mut patience) = (Vec::new(), ANSWER_TIMEOUT * 2);
        while let Ok(Some(answer)) = tokio::time::timeout(patience, answers.next()).await {
            if answer.status.is_some() {
                break;
            }
            let told: Value = serde_json::from_slice(&answer.payload).map_err(NoAnswer::new)?;
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            if told["server"]["name"] == known {
                patience = ANSWER_TIMEOUT / 3;
            }
            // One that keeps no streams has no settings of theirs.
            if told["data"]["config"].is_object() {
                found.push(Server {
                    name: text(&told["server"]["name"]),
                    version: text(&told["server"]["ver"]),
                    syncs: told["data"]["config"]["sync_always"].as_bool() == Some(true),
                });
            }
        }
        if found.is_empty() { Err(NoAnswer::new("no server answers it")) } else { Ok(found) }
    }
}

fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, NoAnswer> {
    let answer: Value = serde_json::from_slice(payload).map_err(NoAnswer::new)?;
    if let Some(error) = answer.get("error") {
        let code = error["err_code"].as_u64().and_then(|code| u32::try_from(code).ok());
        // While there is no leader, or servers don't know one another yet, they will do it in a moment.
        let code = code.filter(|code| error["code"].as_u64() != Some(503) && *code != NO_SUITABLE_PEERS);
        let what = error["description"].as_str().unwrap_or("refused without a word").to_owned();
        return Err(NoAnswer { code, what });
    }
    serde_json::from_value(answer).map_err(NoAnswer::new)
}

/// Runs a future on the session's own thread, and waits for it on this one.
fn run<T: Send + 'static>(handle: &Handle, work: impl Future<Output = T> + Send + 'static) -> T {
    let (done, result) = std::sync::mpsc::sync_channel(1);
    handle.spawn(async move {
        // The caller waits.
        let _ = done.send(work.await);
    });
    result.recv().expect("the session's thread outlives its callers")
}

fn note(event: &Event) {
    match event {
        Event::Connected => tracing::info!("connected to a server of the log"),
        Event::Disconnected => tracing::warn!("the connection to the log's server is lost; trying again"),
        Event::LameDuckMode | Event::Draining | Event::Closed => tracing::info!(%event, "the log's server"),
        Event::SlowConsumer(_) | Event::ServerError(_) | Event::ClientError(_) => {
            tracing::warn!(%event, "the log's server");
        }
    }
}
