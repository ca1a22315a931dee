//! The server under load: one that runs already, or one that the run starts and stops.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::{
    child::{Launch, Server},
    clock::unix_seconds,
    target::Target,
    token::Signer,
};

/// Where the load goes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ServerOptions {
    /// Drive a server that runs already on this machine, with its `ONSALE_JWT_SECRET` and
    /// `ONSALE_ADMIN_TOKEN` in this environment and its rate limit off.
    #[arg(long, conflicts_with = "start")]
    pub(crate) url: Option<String>,
    /// Start this server on a free port with an empty data directory, and stop it at the end.
    #[arg(long, value_name = "PATH", default_value = "target/release/onsale")]
    pub(crate) start: PathBuf,
    /// Another setting for the started server; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub(crate) server_env: Vec<(String, String)>,
    /// The started server's threads, and the echo's.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) server_workers: u16,
    /// Where the temporary data directory is made; the disk under it is part of the measurement.
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    pub(crate) scratch: PathBuf,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Returns until when tokens of a run are valid: a day from now, in seconds since 1970.
pub(crate) fn token_exp() -> u64 {
    unix_seconds() + 86_400
}

/// A server that is ready, with what is needed to be let in.
pub(crate) struct Ready {
    pub(crate) target: Target,
    pub(crate) jwt_secret: String,
    pub(crate) admin_token: String,
    /// Unless it ran already.
    pub(crate) server: Option<Server>,
}

impl Ready {
    /// Returns who signs the users' tokens.
    pub(crate) fn signer(&self) -> Signer {
        Signer::new(self.jwt_secret.as_bytes())
    }
}

impl ServerOptions {
    /// Starts the server, or finds the one that runs.
    pub(crate) async fn ready(&self) -> Result<Ready> {
        let Some(url) = &self.url else {
            let launch = self.launch()?;
            let (jwt_secret, admin_token) = (launch.jwt_secret.clone(), launch.admin_token.clone());
            let server = Server::start(launch).await?;
            return Ok(Ready { target: server.target, jwt_secret, admin_token, server: Some(server) });
        };
        let variable = |name| std::env::var(name).with_context(|| format!("with --url, {name} must be set"));
        let target = Target::parse(url).map_err(anyhow::Error::msg).context("--url")?;
        let (jwt_secret, admin_token) = (variable("ONSALE_JWT_SECRET")?, variable("ONSALE_ADMIN_TOKEN")?);
        Ok(Ready { target, jwt_secret, admin_token, server: None })
    }

    /// Says what to start, and with which secrets.
    pub(crate) fn launch(&self) -> Result<Launch> {
        let program = std::path::absolute(&self.start)?;
        if !program.is_file() {
            bail!("{} isn't there: build it with `cargo build --release`, or say --start", program.display());
        }
        // Known secrets: the server is this machine's alone and lives as long as the run.
        let secret = |name: &str| format!("onsale-loadtest-{name}-of-no-value-{}", std::process::id());
        Ok(Launch {
            program,
            workers: self.server_workers.into(),
            jwt_secret: secret("jwt-secret"),
            admin_token: secret("admin-token"),
            settings: self.server_env.clone(),
            scratch: self.scratch.clone(),
        })
    }
}
