//! `onsale import`: venues, concerts and schedules from one file, all or nothing.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Command, value_parser};
use serde::de::IgnoredAny;
use serde_json::Value;

use super::engine_at;
use super::offline::IfMissing;
use super::output::{Failure, count, plain, print};

/// The largest value of `limits.large_body_bytes_max`. The engine refuses a smaller file that is over its limit.
const FILE_LEN_MAX: u64 = 1 << 30;

pub(super) fn command() -> Command {
    let file = Arg::new("file").value_name("FILE").required(true).value_parser(value_parser!(PathBuf)).help(
        "The document: {\"venues\": [...], \"concerts\": [...], \"schedules\": [...]}; - reads standard input",
    );
    Command::new("import")
        .about("Import venues, concerts and schedules, all or nothing")
        .arg(file)
        .args(engine_at::flags())
        .after_help(
            "EXAMPLES\n  onsale import season.json --url http://127.0.0.1:8080 \\\n    \
             --admin-token \"$ONSALE_ADMIN_TOKEN\"\n  \
             onsale import season.json --data-dir ./data\n\n\
             PRINTS\n  how many venues, concerts and schedules the document names. Those that exist unchanged are left alone\n\n\
             EXIT CODES\n  0  imported\n  1  not imported: the reason is on standard error, field by field\n  \
             2  wrong usage or settings",
        )
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let path =
        matches.get_one::<PathBuf>("file").ok_or_else(|| Failure::Usage("a file is needed".to_owned()))?;
    let document = read(path)?;
    let counts = engine_at::post(matches, "/api/v1/import", document, IfMissing::Create)?;
    let number = |name: &str| counts.get(name).and_then(Value::as_u64).unwrap_or_default();
    print(&format!(
        "imported {}, {}, {}\n",
        count(number("venues"), "venue"),
        count(number("concerts"), "concert"),
        count(number("schedules"), "schedule"),
    ))
}

/// Reads a file, and checks that it is JSON: the engine's answer doesn't say at which line it isn't.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let name = plain(&path.display().to_string());
    let unreadable = |error: io::Error| Failure::Failed(format!("{name} can't be read: {error}"));
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().take(FILE_LEN_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
    } else {
        let file = File::open(path).map_err(unreadable)?;
        file.take(FILE_LEN_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    let bytes = of_utf8(bytes).map_err(|encoding| {
        Failure::Failed(format!(
            "{name} is {encoding}, but JSON is UTF-8: save it as UTF-8, or convert it with iconv"
        ))
    })?;
    match serde_json::from_slice::<IgnoredAny>(&bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Failure::Failed(format!("{name} isn't JSON: {error}"))),
    }
}

/// Returns a text's bytes without the byte order mark that editors on Windows write.
///
/// # Errors
/// The name of the text's encoding, if it isn't UTF-8.
fn of_utf8(mut bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    let encoding = match bytes.as_slice() {
        [0xef, 0xbb, 0xbf, ..] => {
            bytes.drain(..3);
            None
        }
        // Without a mark, the zeros give it away: a document begins with a bracket, which is ASCII.
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] | [0, 0, 0, _, ..] | [_, 0, 0, 0, ..] => {
            Some("UTF-32")
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => Some("UTF-16"),
        _ => None,
    };

    if let Some(encoding) = encoding {
        return Err(encoding.to_owned());
    }
    match core::str::from_utf8(&bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => {
            let at = error.valid_up_to();
            let line = bytes[..at].split(|byte| *byte == b'\n').count();
            Err(format!(
                "not UTF-8 from line {line} on (perhaps EUC-KR, also called CP949, or a Windows code page)"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_taken_off_and_another_encoding_is_named() {
        let read = |bytes: &[u8]| of_utf8(bytes.to_vec());
        assert_eq!(read("{\"김\": 1}".as_bytes()).unwrap(), "{\"김\": 1}".as_bytes());
        assert_eq!(read(b"\xef\xbb\xbf{}").unwrap(), b"{}");
        assert_eq!(read(b"").unwrap(), b"");
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
}
