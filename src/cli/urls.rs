//! The URLs of a server that has just started.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process;

use onsale::config::{Config, LogFormat};

use super::output::{Failure, print};

/// The addresses of the process.
pub(super) struct Urls {
    pub(super) api: SocketAddr,
    /// The address of `/metrics`, if it differs from the API's.
    pub(super) metrics: Option<SocketAddr>,
    /// The URL of the demonstration's gateway.
    pub(super) checkout: Option<String>,
}

impl Urls {
    /// Returns the URL of the API's address, without a slash at the end.
    pub(super) fn base(&self) -> String {
        url(self.api)
    }

    /// Tells whether other machines may reach the API.
    pub(super) fn is_public(&self) -> bool {
        !self.api.ip().is_loopback()
    }

    /// Returns the URL of the demonstration's gateway, if it runs one.
    pub(super) fn checkout(&self) -> Option<&str> {
        self.checkout.as_deref()
    }

    /// Logs what the server is (ready, or standing by), and prints its URLs unless the log is for a program.
    pub(super) fn tell(&self, config: &Config, state: &str) -> Result<(), Failure> {
        let base = self.base();
        let metrics = url(self.metrics.unwrap_or(self.api));
        let (api, version) = (format!("{base}/api/v1"), env!("CARGO_PKG_VERSION"));
        tracing::info!(
            api,
            metrics = format!("{metrics}/metrics"),
            version,
            process = process::id(),
            "{state}"
        );
        if config.log.format == LogFormat::Json {
            return Ok(());
        }
        let pages = if config.server.pages {
            format!("  shop     {base}/\n  ops      {base}/ops\n")
        } else {
            String::new()
        };
        print(&format!(
            "onsale {} is {state}\n{pages}  docs     {base}/docs\n  API      {base}/api/v1\n  \
             ready    {base}/readyz\n  metrics  {metrics}/metrics\n  process  {}\n",
            env!("CARGO_PKG_VERSION"),
            process::id()
        ))
    }
}

/// Returns a URL of an address that works on this machine: an unspecified address becomes the loopback address.
fn url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_reach_all_but_loopback() {
        let is_public =
            |address: &str| Urls { api: address.parse().unwrap(), metrics: None, checkout: None }.is_public();
        assert!(!is_public("127.0.0.1:8080") && !is_public("[::1]:8080"));
        assert!(is_public("0.0.0.0:8080") && is_public("[::]:8080") && is_public("192.0.2.7:8080"));
    }

    #[test]
    fn the_urls_can_be_opened_on_this_machine() {
        let url = |address: &str| url(address.parse().unwrap());
        assert_eq!(url("0.0.0.0:8080"), "http://127.0.0.1:8080");
        assert_eq!(url("[::]:80"), "http://[::1]:80");
        assert_eq!(url("10.0.0.7:8080"), "http://10.0.0.7:8080");
    }
}
