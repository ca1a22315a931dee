//! What a service manager such as systemd is told: that the engine is ready, what it does until then, and that it stops.
//!
//! The protocol is `sd_notify`'s: lines of text in a datagram to the socket that `NOTIFY_SOCKET` names. Without that variable nobody
//! is told. Absent on purpose: the watchdog (the metrics say more than a sign of life), and descriptors that are handed over.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;

/// The variable that names the socket.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Says that requests are answered from now on: a unit of `Type=notify` has started.
pub(super) fn tell_ready() {
    tell("READY=1\nSTATUS=ready");
}

/// Says what the engine does before it is ready; `systemctl status` shows it.
pub(super) fn tell_status(status: &str) {
    tell(&format!("STATUS={status}"));
}

/// Says that the engine stops as asked.
pub(super) fn tell_stopping() {
    tell("STOPPING=1\nSTATUS=stopping");
}

/// Tells the manager, if there is one. It may have gone: that is no reason not to sell.
fn tell(text: &str) {
    let Some(socket) = env::var_os(SOCKET).filter(|socket| !socket.is_empty()) else { return };
    if let Err(error) = send(&socket, text) {
        tracing::warn!(%error, "the service manager can't be told: {SOCKET} names no socket that takes it");
    }
}

/// Sends one datagram to a path, or to a name of Linux's own when it begins with `@`.
fn send(socket: &OsStr, text: &str) -> io::Result<()> {
    let sender = UnixDatagram::unbound()?;
    // A manager that doesn't read must not stop the engine.
    sender.set_nonblocking(true)?;
    match socket.as_bytes().strip_prefix(b"@") {
        #[cfg(target_os = "linux")]
        Some(name) => {
            use std::os::linux::net::SocketAddrExt;
            use std::os::unix::net::SocketAddr;
            sender.send_to_addr(text.as_bytes(), &SocketAddr::from_abstract_name(name)?)?;
        }
        #[cfg(not(target_os = "linux"))]
        Some(_) => return Err(io::ErrorKind::Unsupported.into()),
        None => drop(sender.send_to(text.as_bytes(), socket)?),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Receives one datagram.
    fn received(socket: &UnixDatagram) -> String {
        let mut text = [0; 256];
        let length = socket.recv(&mut text).unwrap();
        String::from_utf8(text[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_manager_is_told_at_a_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str(), "READY=1").unwrap();
        assert_eq!(received(&manager), "READY=1");
        drop(manager);
        assert!(
            send(path.as_os_str(), "READY=1").is_err(),
            "a manager that has gone is an error, and no more"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_manager_is_told_at_a_name_without_a_file() {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::SocketAddr;
        let name = format!("onsale-test-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        send(OsStr::new(&format!("@{name}")), "STOPPING=1").unwrap();
        assert_eq!(received(&manager), "STOPPING=1");
    }
}
