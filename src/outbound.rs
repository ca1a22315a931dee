//! Clients of other servers, all made in one way.
//!
//! Invariants: a call is made once, to the URL in the settings, and follows no redirect; a client for plain http needs
//! no root certificates; no proxy of the environment is used.

use core::error::Error;
use core::fmt::Write;
use core::time::Duration;

use axum::body::HttpBody;
use hyper_util::client::legacy::Client as PooledClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use reqwest::{Client, Url, redirect, retry};

/// How long an idle connection is kept: less than servers keep it, so that none is used while it is being closed.
const IDLE: Duration = Duration::from_secs(15);

/// Why a client can't be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutboundError {
    /// The URL can't be used, or has a user, a query or a fragment.
    #[error("must be an http or https URL without user, query and fragment")]
    Url,
    /// TLS can't be set up, usually on a system without root certificates.
    #[error("the client can't be made: {0}")]
    Client(String),
}

/// Makes a client for the URL of a setting, and returns the URL without a slash at its end. It sends nothing.
///
/// # Errors
/// When the URL can't be used, or TLS can't be set up.
pub(crate) fn client(
    setting: &'static str,
    url: &str,
    connect_timeout: Duration,
    timeout: Duration,
) -> Result<(Client, String), OutboundError> {
    let url = Url::parse(url).map_err(|_| OutboundError::Url)?;
    let plain = match url.scheme() {
        "https" => false,
        "http" => true,
        _ => return Err(OutboundError::Url),
    };
    let odd = !url.username().is_empty() || url.password().is_some();
    if odd || url.query().is_some() || url.fragment().is_some() || url.host_str().is_none() {
        return Err(OutboundError::Url);
    }

    let mut builder = Client::builder()
        .connect_timeout(connect_timeout)
        .timeout(timeout)
        .pool_idle_timeout(IDLE)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .http1_only()
        .no_gzip()
        .user_agent(concat!("onsale/", env!("CARGO_PKG_VERSION")));
    if plain {
        if !is_loopback(&url) {
            tracing::warn!(setting, "it is plain http to another machine: secrets travel in the clear");
        }
        // The system's root certificates aren't needed, and a small container has none.
        builder = builder.tls_certs_only([]);
    }
    let client = builder.build().map_err(|error| OutboundError::Client(chain(&error)))?;
    Ok((client, url.as_str().trim_end_matches('/').to_owned()))
}

/// A client of the other nodes of a cluster.
pub(crate) type NodeClient<B> = PooledClient<HttpConnector, B>;

/// Makes a client of other nodes: what it is given goes out as it is, byte for byte of its target, and only what surely wasn't sent is
/// sent again. It speaks plain http, since nodes are in one network.
pub(crate) fn node_client<B>(connect_timeout: Duration, idle_max: usize) -> NodeClient<B>
where
    B: HttpBody + Send + 'static,
    B::Data: Send,
{
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(connect_timeout));
    connector.set_nodelay(true);
    PooledClient::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(idle_max)
        .pool_timer(TokioTimer::new())
        .build(connector)
}

/// Writes an error with its causes: its own text often only says that there was one.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<core::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
