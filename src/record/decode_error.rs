//! Why bytes aren't a record, or a section of a snapshot.

/// Bytes that aren't a record of this format.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The codec doesn't read them.
    #[error("the bytes are not of this format: {0}")]
    Codec(#[from] bincode::Error),
    /// They hold a value that can't be.
    #[error("a field holds a value that cannot be: {0}")]
    Value(&'static str),
}
