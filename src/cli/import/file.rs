//! A file as its text: UTF-8, and no longer than can be read.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::cli::output::{Failure, plain};

/// Reads a file, or standard input for `-`.
pub(super) fn read(path: &Path, len_max: u64) -> Result<String, Failure> {
    let name = plain(&path.display().to_string());
    let unreadable = |error: io::Error| Failure::Failed(format!("{name} can't be read: {error}"));
    let mut bytes = Vec::new();
    // One byte more than may be there tells a longer file from one that just fits.
    if path == Path::new("-") {
        io::stdin().lock().take(len_max + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    } else {
        let file = File::open(path).map_err(unreadable)?;
        file.take(len_max + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    }

    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > len_max {
        return Err(Failure::Failed(format!("{name} is longer than {len_max} bytes")));
    }
    of_utf8(bytes).map_err(|encoding| {
        Failure::Failed(format!(
            "{name} is {encoding}, but files to import are UTF-8: save it as UTF-8, or convert it with iconv"
        ))
    })
}

/// Returns a text without the byte order mark that editors on Windows write.
///
/// # Errors
/// The name of the text's encoding, if it isn't UTF-8.
fn of_utf8(mut bytes: Vec<u8>) -> Result<String, String> {
    let encoding = match bytes.as_slice() {
        [0xef, 0xbb, 0xbf, ..] => {
            bytes.drain(..3);
            None
        }
        // Without a mark, the zeros give it away: a document begins with a character of ASCII.
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] | [0, 0, 0, _, ..] | [_, 0, 0, 0, ..] => {
            Some("UTF-32")
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => Some("UTF-16"),
        _ => None,
    };

    if let Some(encoding) = encoding {
        return Err(encoding.to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].split(|byte| *byte == b'\n').count();
        format!("not UTF-8 from line {line} on (perhaps EUC-KR, also called CP949, or a Windows code page)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_taken_off_and_another_encoding_is_named() {
        let read = |bytes: &[u8]| of_utf8(bytes.to_vec());
        assert_eq!(read("{\"김\": 1}".as_bytes()).unwrap(), "{\"김\": 1}");
        assert_eq!(read(b"\xef\xbb\xbf{}").unwrap(), "{}");
        assert_eq!(read(b"").unwrap(), "");
        for (bytes, encoding) in [
            (&b"\xff\xfe{\0}\0"[..], "UTF-16"),
            (b"\xfe\xff\0{\0}", "UTF-16"),
            (b"{\0}\0", "UTF-16"),
            (b"\0{\0}", "UTF-16"),
            (b"\xff\xfe\0\0{\0\0\0", "UTF-32"),
            (b"{\0\0\0}\0\0\0", "UTF-32"),
            // Gim, in the encoding of old Korean systems.
            (b"{\n\"\xb1\xe8\": 1}", "not UTF-8 from line 2 on (perhaps EUC-KR"),
        ] {
            let told = read(bytes).unwrap_err();
            assert!(told.starts_with(encoding), "{bytes:?}: {told}");
        }
    }

    #[test]
    fn a_file_of_the_longest_length_is_read_and_one_byte_more_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), "12345");
        assert!(read(&path, 4).unwrap_err().to_string().contains("longer than 4 bytes"));
    }
}
