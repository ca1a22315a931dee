//! The secrets of `--demo`: made once, at random, and kept beside the data for the next start.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::value::{self, Secret};
use crate::{files, random};

/// The file's name in the data directory.
pub(super) const FILE: &str = "demo-secrets.toml";

/// What `--demo` signs and checks tokens with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoSecrets {
    /// The secret of HS256 tokens.
    pub jwt_secret: Secret,
    /// The administrator's token.
    pub admin_token: Secret,
}

/// Why the demonstration's secrets can't be read or made.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "a path is the file's, a source the system's error")]
pub enum DemoError {
    /// The file can't be read or written.
    #[error("the demonstration's secrets in {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    /// There is no file.
    #[error(
        "there is no {path}. `onsale serve --demo` makes it: name that one's data directory with --data-dir"
    )]
    Missing { path: PathBuf },
    /// The file isn't one that [`demo_secrets`] wrote.
    #[error(
        "the demonstration's secrets in {path} are damaged: remove the file, and the next start makes new ones"
    )]
    Damaged { path: PathBuf },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    jwt_secret: String,
    admin_token: String,
}

/// Returns the secrets of the demonstration in `data_dir`; the first call makes them and writes
/// `demo-secrets.toml`, which only its owner can read.
///
/// # Errors
/// When the file or the directory can't be read or written, is damaged, or there is no randomness.
pub fn demo_secrets(data_dir: &Path) -> Result<DemoSecrets, DemoError> {
    match existing_demo_secrets(data_dir) {
        Err(DemoError::Missing { path }) => {
            let failed = |source| DemoError::Io { path: path.clone(), source };
            files::create_dir_all(data_dir).map_err(failed)?;
            let file = File { jwt_secret: random::token(), admin_token: random::token() };
            write(&path, &file).map_err(failed)?;
            Ok(DemoSecrets {
                jwt_secret: Secret::new(file.jwt_secret),
                admin_token: Secret::new(file.admin_token),
            })
        }
        found => found,
    }
}

/// Returns the secrets that a demonstration in `data_dir` has made. It makes none.
///
/// # Errors
/// When there are none, or the file can't be read or is damaged.
pub fn existing_demo_secrets(data_dir: &Path) -> Result<DemoSecrets, DemoError> {
    let path = data_dir.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(DemoError::Missing { path }),
        Err(source) => return Err(DemoError::Io { path, source }),
    };
    let damaged = || DemoError::Damaged { path: path.clone() };
    let file: File = toml::from_str(&text).map_err(|_| damaged())?;
    Ok(DemoSecrets {
        jwt_secret: value::long_secret(&file.jwt_secret).map_err(|_| damaged())?,
        admin_token: value::long_secret(&file.admin_token).map_err(|_| damaged())?,
    })
}

/// Writes another file and renames it, so that a start that is killed never leaves half a file.
fn write(path: &Path, file: &File) -> io::Result<()> {
    let text = toml::to_string(file).map_err(io::Error::other)?;
    let beside = path.with_extension("toml.new");
    let mut out = files::replace(&beside)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    fs::rename(&beside, path)
}
