//! The header `Host`: whether a request has a valid one, and the names by which a server may be called.
//!
//! A demonstration may only be called by names of the loopback. Otherwise a web page could give its own name the
//! address of this machine, and call as if it came from here (DNS rebinding).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::http::{HeaderMap, HeaderValue, Request, Version, header};

/// The names by which a server may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hosts {
    /// Any.
    Any,
    /// `localhost`, names below it, addresses of loopback, and this address.
    Loopback(IpAddr),
}

impl Hosts {
    /// Says whether a request may call by the names that it has. One without a name, as HTTP/1.0 allows, comes from no
    /// web page.
    pub fn allow<B>(self, request: &Request<B>) -> bool {
        let Self::Loopback(own) = self else { return true };
        let target = request.uri().authority().map(|authority| authority.as_str().as_bytes());
        let named = request.headers().get_all(header::HOST).iter().map(HeaderValue::as_bytes);
        named.chain(target).all(|host| parse(host).is_some_and(|host| host.is_here(own)))
    }
}

/// Returns what is wrong with a request's `Host` (RFC 9112, section 3.2), if anything.
pub fn fault(version: Version, headers: &HeaderMap) -> Option<&'static str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::HTTP_10 => None,
        (None, _) => Some("The request needs the header Host."),
        (Some(_), Some(_)) => Some("The request has the header Host twice."),
        (Some(host), None) if parse(host.as_bytes()).is_none() => {
            Some("The header Host isn't a host with or without a port.")
        }
        (Some(_), None) => None,
    }
}

/// A host as `Host` names it, without its port.
enum Host<'a> {
    /// A name, or an address of IPv4.
    Name(&'a str),
    /// An address of IPv6.
    Address(Ipv6Addr),
}

impl Host<'_> {
    fn is_here(&self, own: IpAddr) -> bool {
        let is_here = |address: IpAddr| address.to_canonical().is_loopback() || address == own;
        match self {
            Self::Address(address) => is_here((*address).into()),
            Self::Name(name) => {
                if let Ok(address) = name.parse::<Ipv4Addr>() {
                    return is_here(address.into());
                }
                let name = name.strip_suffix('.').unwrap_or(name);
                let last = name.rsplit('.').next().unwrap_or(name);
                last.eq_ignore_ascii_case("localhost")
            }
        }
    }
}

/// Reads `uri-host [ ":" port ]` (RFC 3986, section 3.2.2).
fn parse(text: &[u8]) -> Option<Host<'_>> {
    let text = core::str::from_utf8(text).ok()?;
    let is_port = |text: &str| {
        text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()))
    };
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        return is_port(port).then_some(Host::Address(address));
    }
    let end = text.find(':').unwrap_or(text.len());
    let (name, port) = text.split_at(end);
    let is_mark = |byte| {
        matches!(
            byte,
            b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&' | b'\'' | b'('..=b',' | b';' | b'='
        )
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || is_mark(byte);
    (is_port(port) && name.bytes().all(is_name)).then_some(Host::Name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(version: Version, hosts: &[&str]) -> Request<()> {
        let request = Request::builder().version(version);
        hosts.iter().fold(request, |request, host| request.header("host", *host)).body(()).unwrap()
    }

    #[test]
    fn a_request_names_one_host_as_a_host_is_written() {
        let fault = |version, hosts: &[&str]| fault(version, request(version, hosts).headers());
        for right in
            ["", "a", "tickets.example:8080", "a:", "127.0.0.1:80", "[::1]", "[2001:db8::1]:443", "%C3%A9"]
        {
            assert_eq!(fault(Version::HTTP_11, &[right]), None, "{right}");
        }
        for wrong in
            ["a b", "a, b", "a/b", "user@a", "a:b", "a:1:2", "[::1", "[::g]", "[::1]x", "::1", "a#", "a?"]
        {
            assert!(fault(Version::HTTP_11, &[wrong]).is_some(), "{wrong}");
        }
        assert!(fault(Version::HTTP_11, &[]).is_some_and(|what| what.contains("needs")));
        assert_eq!(fault(Version::HTTP_10, &[]), None);
        for version in [Version::HTTP_10, Version::HTTP_11] {
            assert!(fault(version, &["a", "a"]).is_some_and(|what| what.contains("twice")));
        }
    }

    #[test]
    fn loopback_is_called_by_its_names_and_addresses_and_by_no_others() {
        let hosts = Hosts::Loopback("10.0.0.7".parse().unwrap());
        for here in [
            "localhost",
            "LocalHost:8080",
            "localhost.",
            "shop.localhost:1",
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:8080",
            "[::ffff:127.0.0.1]",
            "10.0.0.7:8080",
        ] {
            assert!(hosts.allow(&request(Version::HTTP_11, &[here])), "{here}");
        }
        for elsewhere in [
            "",
            "evil.example",
            "localhost.evil.example",
            "evillocalhost",
            "127.0.0.1.evil.example",
            "10.0.0.8",
            "0.0.0.0:8080",
            "2130706433",
            "[::]",
        ] {
            assert!(!hosts.allow(&request(Version::HTTP_11, &[elsewhere])), "{elsewhere}");
            assert!(Hosts::Any.allow(&request(Version::HTTP_11, &[elsewhere])), "{elsewhere}");
        }
        let absolute = |uri: &str| Request::builder().uri(uri).header("host", "localhost").body(()).unwrap();
        assert!(hosts.allow(&absolute("http://localhost:8080/")));
        assert!(!hosts.allow(&absolute("http://evil.example/")));
        assert!(hosts.allow(&request(Version::HTTP_10, &[])));
    }
}
