//! Where requests go: this machine only.

use std::net::SocketAddr;

/// A server on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target(SocketAddr);

impl Target {
    /// Takes an address of this machine and refuses all others: a load generator that can be
    /// pointed at somebody else's server is a weapon.
    pub(crate) fn new(address: SocketAddr) -> Result<Self, String> {
        if address.ip().to_canonical().is_loopback() && address.port() != 0 {
            Ok(Self(address))
        } else {
            Err(format!("{address} isn't a loopback address with a port; only this machine is loaded"))
        }
    }

    /// Reads `http://127.0.0.1:8080`.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let authority =
            url.strip_prefix("http://").ok_or("the URL must begin with http://")?.trim_end_matches('/');
        let address = match authority.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}"),
            None => authority.to_owned(),
        };
        let address = address.parse().map_err(|_| format!("{authority} isn't an address with a port"))?;
        Self::new(address)
    }

    pub(crate) fn address(self) -> SocketAddr {
        self.0
    }

    /// What `Host` says.
    pub(crate) fn host(self) -> String {
        self.0.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loaded() {
        for url in
            ["http://127.0.0.1:8080", "http://localhost:8080/", "http://127.9.9.9:1", "http://[::1]:80"]
        {
            assert!(Target::parse(url).is_ok(), "{url}");
        }
        for url in [
            "http://10.0.0.1:80",
            "http://0.0.0.0:80",
            "http://example.com:80",
            "https://127.0.0.1:80",
            "http://127.0.0.1",
            "http://127.0.0.1:0",
            "http://127.0.0.1:80@example.com:80",
            "http://localhost:80.example.com:80",
            "http://[::ffff:10.0.0.1]:80",
        ] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }
}
