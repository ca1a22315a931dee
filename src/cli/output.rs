//! Output of commands, and their failures with exit codes.

use core::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// Why a command didn't do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The arguments or the settings are wrong: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The command was tried and failed: exit code 1.
    #[error("{0}")]
    Failed(String),
    /// Another process has taken over what this one did: exit code 3, so that no service manager starts it again to take it back.
    #[error("{0}")]
    TakenOver(String),
    /// One of them, already written to the log: nothing more is printed.
    #[error("exit code {0}")]
    Logged(u8),
}

impl Failure {
    /// Makes a failure of wrong settings, one line each.
    pub(super) fn settings(error: impl Display) -> Self {
        Self::Usage(format!("the settings are wrong\n{error}"))
    }

    /// Makes a failure of an error while the command ran.
    pub(super) fn failed(error: impl Display) -> Self {
        Self::Failed(error.to_string())
    }

    /// Writes the failure to the log, for a server whose log a program reads.
    pub(super) fn logged(self) -> Self {
        let code = self.code();
        tracing::error!(reason = %self, code, "onsale can't go on");
        Self::Logged(code)
    }

    /// Prints the failure on standard error, and returns the exit code of the process.
    pub(super) fn tell(&self) -> ExitCode {
        match self {
            Self::Usage(_) | Self::Failed(_) | Self::TakenOver(_) => complain(&format!("onsale: {self}\n")),
            Self::Logged(_) => {}
        }
        ExitCode::from(self.code())
    }

    const fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
            Self::TakenOver(_) => 3,
            Self::Logged(code) => *code,
        }
    }
}

/// Writes to standard output. A reader that has closed the pipe (`| head`) is no error.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Failed(format!("standard output can't be written: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes to standard error. If that fails too, there is nowhere to report it.
pub(super) fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Returns the text with its control characters replaced, so that it can't steer a terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Returns a count with its word: `1 venue`, `2 venues`.
pub(super) fn count(count: u64, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_shown_without_what_a_terminal_would_obey() {
        assert_eq!(plain("1층\u{1b}[31m\n"), "1층\u{fffd}[31m\u{fffd}");
    }

    #[test]
    fn a_count_has_its_word() {
        assert_eq!([count(0, "venue"), count(1, "venue")], ["0 venues", "1 venue"]);
    }
}
