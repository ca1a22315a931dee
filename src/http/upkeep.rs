//! Tasks beside the requests: watching the key file, and sweeping the limits.

use core::time::Duration;

use tokio_util::sync::CancellationToken;

use super::HttpParts;
use super::rate_limit::SWEEP_SECONDS;

impl HttpParts {
    /// Starts both; they end with `shutdown`.
    pub fn spawn_upkeep(&self) {
        let shutdown = self.shutdown.clone();
        tokio::spawn(self.authenticator.clone().watch_keys(shutdown.clone()));
        tokio::spawn(sweep_regularly(self.clone(), shutdown));
    }
}

/// Sweeps the limits of `http` until it shuts down.
async fn sweep_regularly(http: HttpParts, shutdown: CancellationToken) {
    let mut rounds = tokio::time::interval(Duration::from_secs(SWEEP_SECONDS));
    while shutdown.run_until_cancelled(rounds.tick()).await.is_some() {
        let now = http.clock.now();
        http.rate_limit.sweep(now);
        http.read_limit.sweep(now);
        http.sign_in_limit.sweep(now);
        http.account_limit.limiter.sweep(now);
        http.code_limit.sweep(now);
        http.mail_limit.limiter.sweep(now);
        http.notice_limit.sweep(now);
    }
}
