//! The text form of a key ring, and the file it is kept in.
//!
//! ```text
//! chancery-sealing-key v1
//! 66687aadf862bd77 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
//! ```
//!
//! A line per key, newest first: the first one seals, the others only open. Empty lines and lines
//! that begin with `#` are skipped.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::key::{Key, KeyId};
use crate::{Error, Result};

/// Longest key file that is read, in bytes; some seven hundred keys.
pub const MAX_KEY_FILE_BYTES: u64 = 64 * 1024;

const HEADER: &str = "chancery-sealing-key v1";

/// Keys in the order of the text, at least one.
pub(crate) fn parse(text: &str) -> Result<Vec<Key>> {
    let wrong = |line, reason| Err(Error::KeyText { line, reason });
    let mut keys: Vec<Key> = Vec::new();
    let mut seen_header = false;
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        if !seen_header {
            if content != HEADER {
                return wrong(line, "the first line must be \"chancery-sealing-key v1\"");
            }
            seen_header = true;
            continue;
        }
        let Some((id, encoded)) = content.split_once(char::is_whitespace) else {
            return wrong(line, "expected a key id, a blank and the key in base64");
        };
        let Ok(id) = id.parse::<KeyId>() else {
            return wrong(line, "the key id is not sixteen hexadecimal digits");
        };
        let Some(key) = Key::from_base64(encoded.trim()) else {
            return wrong(line, "the key is not the base64 of 32 bytes");
        };
        if key.id() != id {
            return wrong(line, "the key does not have the id in front of it");
        }
        if keys.iter().any(|other| other.id() == id) {
            return wrong(line, "the key stands in an earlier line already");
        }
        keys.push(key);
    }
    if keys.is_empty() {
        return wrong(text.lines().count().max(1), "there is no key");
    }
    Ok(keys)
}

pub(crate) fn is_key_file(text: &str) -> bool {
    text.trim_start().starts_with(HEADER)
}

pub(crate) fn print(keys: &[Key]) -> Zeroizing<String> {
    // Sized in advance, so that growing leaves no copy of a key behind in freed memory.
    let mut text = Zeroizing::new(String::with_capacity(HEADER.len() + 1 + keys.len() * 64));
    text.push_str(HEADER);
    text.push('\n');
    for key in keys {
        text.push_str(&key.id().to_string());
        text.push(' ');
        text.push_str(&key.to_base64());
        text.push('\n');
    }
    text
}

pub(crate) fn read(path: &Path) -> Result<Vec<Key>> {
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(io)?;
    // Asked of the open file, not of the path, which could be exchanged in between.
    let metadata = file.metadata().map_err(io)?;
    refuse_open_permissions(path, &metadata)?;
    if metadata.len() > MAX_KEY_FILE_BYTES {
        return Err(io(io::Error::other("the file is too long for a key file")));
    }
    let mut text = Zeroizing::new(String::with_capacity(MAX_KEY_FILE_BYTES as usize));
    file.take(MAX_KEY_FILE_BYTES)
        .read_to_string(&mut text)
        .map_err(io)?;
    parse(&text).map_err(|source| Error::KeyFile {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

/// Writes a file that must not be there yet.
pub(crate) fn create(path: &Path, keys: &[Key]) -> Result<()> {
    let mut file = private_file(path)?;
    let written = write_through(&mut file, keys).and_then(|()| sync_folder(path));
    written.map_err(|source| {
        // An unfinished key file would stand in the way of the next attempt.
        drop(fs::remove_file(path));
        Error::Io {
            path: path.to_owned(),
            source,
        }
    })
}

/// Replaces a file so that at any moment either the old or the new content is there in full.
pub(crate) fn replace(path: &Path, keys: &[Key]) -> Result<()> {
    let temporary = sibling(path);
    let mut file = private_file(&temporary)?;
    let written = write_through(&mut file, keys)
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| sync_folder(path));
    written.map_err(|source| {
        drop(fs::remove_file(&temporary));
        Error::Io {
            path: path.to_owned(),
            source,
        }
    })
}

fn sibling(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}

fn write_through(file: &mut File, keys: &[Key]) -> io::Result<()> {
    file.write_all(print(keys).as_bytes())?;
    file.sync_all()
}

/// The new name is durable only when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => {
            let folder = if folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                folder
            };
            File::open(folder)?.sync_all()
        }
        _ => Ok(()),
    }
}

/// A new file that only its owner may read.
fn private_file(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => Error::Exists {
            path: path.to_owned(),
        },
        _ => Error::Io {
            path: path.to_owned(),
            source,
        },
    })
}

#[cfg(unix)]
fn refuse_open_permissions(path: &Path, metadata: &fs::Metadata) -> Result<()> {
    let mode = std::os::unix::fs::MetadataExt::mode(metadata) & 0o7777;
    if mode & 0o077 != 0 {
        return Err(Error::Permissions {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

/// Other systems keep the rights elsewhere; there the folder's rights have to do.
#[cfg(not(unix))]
fn refuse_open_permissions(_: &Path, _: &fs::Metadata) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO_KEY: &str = "66687aadf862bd77 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    #[test]
    fn prints_what_it_reads() {
        let keys = [Key::generate().unwrap(), Key::generate().unwrap()];
        let read = parse(&print(&keys)).unwrap();
        assert_eq!(
            read.iter().map(Key::id).collect::<Vec<_>>(),
            keys.each_ref().map(Key::id)
        );
        assert_eq!(
            print(&parse(&format!("# kept offline\n\n{HEADER}\r\n  {ZERO_KEY} \n\n")).unwrap())
                .as_str(),
            format!("{HEADER}\n{ZERO_KEY}\n")
        );
    }

    #[test]
    fn names_the_wrong_line() {
        for (text, line, words) in [
            (String::new(), 1, "no key"),
            ("hello".to_owned(), 1, "first line"),
            (format!("{HEADER}\n"), 1, "no key"),
            (format!("{HEADER}\n\nfoo\n"), 3, "expected a key id"),
            (format!("{HEADER}\nfoo bar\n"), 2, "sixteen"),
            (format!("{HEADER}\n66687aadf862bd77 AAAA\n"), 2, "32 bytes"),
            (
                format!("{HEADER}\n{ZERO_KEY}\n{ZERO_KEY}\n"),
                3,
                "earlier line",
            ),
            (
                format!("{HEADER}\n{}\n", ZERO_KEY.replace("6668", "6669")),
                2,
                "does not have the id",
            ),
        ] {
            match parse(&text) {
                Err(Error::KeyText {
                    line: found,
                    reason,
                }) => {
                    assert_eq!(found, line, "{text:?}: {reason}");
                    assert!(reason.contains(words), "{text:?}: {reason}");
                }
                Err(other) => panic!("{text:?}: {other}"),
                Ok(_) => panic!("{text:?} was accepted"),
            }
        }
    }
}
