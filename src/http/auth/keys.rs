//! The keys that check tokens: HS256 secrets, and the public keys of a JWKS file.
//!
//! Invariant: a key is used with its own algorithm alone. The token's header only selects among
//! keys; a header whose algorithm isn't the selected key's is refused, so a public key can't be
//! taken for a secret, and `none` can't be said at all.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};

use crate::config::AuthConfig;

/// The largest key file, in bytes: a provider's has a few thousand.
const FILE_LEN_MAX: u64 = 1 << 20;

/// A JWKS file that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file can't be read.
    #[error("the key file {path} can't be read: {source}")]
    Read {
        /// Where it should be.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file isn't a JWK set.
    #[error("the key file {path} isn't a JWK set (RFC 7517): {source}")]
    Format {
        /// Which file.
        path: PathBuf,
        /// Where it differs.
        source: serde_json::Error,
    },
    /// No key in the file can check a token.
    #[error("the key file {path} has no key for RS256, ES256 or EdDSA signatures")]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// Two keys have the same id.
    #[error("the key file {path} has two keys with the same kid, or several and one without")]
    Ambiguous {
        /// Which file.
        path: PathBuf,
    },
}

/// A key and how it is used.
pub(super) struct Key {
    id: Option<String>,
    pub(super) decoding: DecodingKey,
    pub(super) validation: Validation,
}

/// The claims that a token must have, besides `sub` and `exp`.
#[derive(Debug, Clone, Default)]
pub(super) struct Expectations {
    pub(super) issuer: Option<String>,
    pub(super) audience: Option<String>,
}

impl Expectations {
    /// Takes them from the settings.
    pub(super) fn of(config: &AuthConfig) -> Self {
        Self { issuer: config.jwt_issuer.clone(), audience: config.jwt_audience.clone() }
    }

    /// Makes the rules for one algorithm. `exp` and `nbf` aren't among them: jsonwebtoken would
    /// read the clock of the system, so they are checked against the clock that is given.
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.required_spec_claims.clear();
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".to_owned());
        }
        if let Some(audience) = &self.audience {
            validation.set_audience(&[audience]);
            validation.required_spec_claims.insert("aud".to_owned());
        } else {
            // Nobody said which audience is ours, so a token may name any.
            validation.validate_aud = false;
        }
        validation
    }

    pub(super) fn hs256(&self, secret: &[u8]) -> Key {
        Key {
            id: None,
            decoding: DecodingKey::from_secret(secret),
            validation: self.validation(Algorithm::HS256),
        }
    }
}

/// The public keys of a JWKS file as of its last load.
#[derive(Default)]
pub(super) struct KeySet {
    keys: Vec<Key>,
}

impl KeySet {
    /// Picks the key that a token's header names, if its algorithm is the key's own. A token
    /// without `kid` is checked with the only key, if there is one only.
    pub(super) fn select(&self, header: &Header) -> Option<&Key> {
        let key = match (&header.kid, self.keys.as_slice()) {
            (Some(kid), keys) => keys.iter().find(|key| key.id.as_ref() == Some(kid)),
            (None, [only]) => Some(only),
            (None, _) => None,
        }?;
        key.validation.algorithms.contains(&header.alg).then_some(key)
    }

    /// Reads a JWK set. Keys for encryption and of other algorithms are passed over.
    pub(super) fn parse(bytes: &[u8], path: &Path, expectations: &Expectations) -> Result<Self, KeysError> {
        let path = || path.to_owned();
        let set: JwkSet =
            serde_json::from_slice(bytes).map_err(|source| KeysError::Format { path: path(), source })?;
        let mut keys: Vec<Key> = Vec::new();
        for jwk in &set.keys {
            let Some(algorithm) = algorithm_of(jwk) else {
                continue;
            };
            let Ok(decoding) = DecodingKey::from_jwk(jwk) else {
                continue;
            };
            let id = jwk.common.key_id.clone();
            if keys.iter().any(|key| key.id == id) {
                return Err(KeysError::Ambiguous { path: path() });
            }
            keys.push(Key { id, decoding, validation: expectations.validation(algorithm) });
        }
        if keys.is_empty() {
            return Err(KeysError::Empty { path: path() });
        }
        Ok(Self { keys })
    }
}

/// Returns the algorithm of a key: its `alg`, or the one that its type allows; `None` for a key that can't check
/// tokens. A symmetric key in a file of public keys is a mistake and isn't used.
fn algorithm_of(jwk: &Jwk) -> Option<Algorithm> {
    if jwk.common.public_key_use == Some(PublicKeyUse::Encryption) {
        return None;
    }
    let natural = if matches!(jwk.algorithm, AlgorithmParameters::RSA(_)) {
        Algorithm::RS256
    } else if let AlgorithmParameters::EllipticCurve(key) = &jwk.algorithm {
        if key.curve != EllipticCurve::P256 {
            return None;
        }
        Algorithm::ES256
    } else if let AlgorithmParameters::OctetKeyPair(key) = &jwk.algorithm {
        if key.curve != EllipticCurve::Ed25519 {
            return None;
        }
        Algorithm::EdDSA
    } else {
        return None;
    };
    match jwk.common.key_algorithm {
        None => Some(natural),
        Some(named) => (named == KeyAlgorithm::from(natural)).then_some(natural),
    }
}

/// A JWKS file, as it was read last.
pub(super) struct KeyFile {
    path: PathBuf,
    /// By which a change is found: a file that is replaced may have the same length and time.
    content: Vec<u8>,
    keys: KeySet,
}

impl KeyFile {
    /// Reads the file.
    pub(super) fn load(path: &Path, expectations: &Expectations) -> Result<Self, KeysError> {
        let content = read(path)?;
        let keys = KeySet::parse(&content, path, expectations)?;
        Ok(Self { path: path.to_owned(), content, keys })
    }

    /// Returns the keys in it.
    pub(super) fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// Says whether the file has another content by now.
    pub(super) fn changed(&self) -> Result<bool, KeysError> {
        Ok(read(&self.path)? != self.content)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, KeysError> {
    let unreadable = |source| KeysError::Read { path: path.to_owned(), source };
    // A pipe would have its reader wait for a writer, and every later reload with it.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(unreadable(io::Error::other("it isn't a file")));
    }

    let mut content = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(FILE_LEN_MAX + 1).read_to_end(&mut content).map_err(unreadable)?;
    if u64::try_from(content.len()).is_ok_and(|len| len > FILE_LEN_MAX) {
        let source = io::Error::other(format!("it has more than {FILE_LEN_MAX} bytes"));
        return Err(unreadable(source));
    }
    Ok(content)
}
