//! Work that takes a core for a while. It runs on its own threads of lower priority, so that requests aren't slowed.

/// How much lower the priority is: the thread gets about a tenth of the time of another that wants it too.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Lowers this thread's priority. On Linux a priority is one thread's (setpriority(2), "C library/kernel differences").
#[cfg(target_os = "linux")]
pub(super) fn lower_priority() {
    use rustix::process::{getpriority_process, setpriority_process};
    let lowered = getpriority_process(None).and_then(|nice| setpriority_process(None, nice + NICE));
    if let Err(error) = lowered {
        tracing::warn!(%error, "work in the background runs with the priority of everything else");
    }
}

/// Elsewhere it would be the process's.
#[cfg(not(target_os = "linux"))]
pub(super) fn lower_priority() {}

/// Runs work on a thread of its own. Returns `None` if no thread can be started, or the work panics.
pub(super) async fn run<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (reply, answer) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        lower_priority();
        // Whoever asked may be gone.
        let _ = reply.send(work());
    });
    if let Err(error) = thread {
        tracing::error!(%error, "a thread for work in the background can't be started");
    }
    answer.await.ok()
}
