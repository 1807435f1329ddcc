//! Files: a folder with everything below it, or one file.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use pki::{Contents, ContentsError, MAXIMUM_FILE_BYTES};
use secrecy::{ExposeSecret, SecretString};

use crate::{Batch, Found};

/// Files of a batch.
const AT_ONCE: usize = 50;

/// A folder of files in any form: PEM, DER, PKCS#7, PKCS#12, Java key stores.
#[derive(Debug)]
pub struct Folder {
    named: PathBuf,
    root: PathBuf,
    /// Below the root, in order.
    files: Vec<PathBuf>,
    passwords: Vec<SecretString>,
}

impl Folder {
    /// Looks through the folder. Links are not followed. `passwords` are tried in turn on what is encrypted.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn new(root: &Path, passwords: Vec<SecretString>) -> anyhow::Result<Self> {
        let named = root
            .canonicalize()
            .with_context(|| root.display().to_string())?;
        let (mut root, mut files) = (named.clone(), Vec::new());
        if let (true, Some(name)) = (named.is_file(), named.file_name()) {
            files.push(PathBuf::from(name));
            root.pop();
        } else {
            let mut folders = vec![root.clone()];
            while let Some(folder) = folders.pop() {
                let entries =
                    std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
                for entry in entries {
                    let entry = entry?;
                    let kind = entry.file_type()?;
                    if kind.is_dir() {
                        folders.push(entry.path());
                    } else if kind.is_file() {
                        let path = entry.path();
                        files.push(path.strip_prefix(&root).unwrap_or(&path).to_owned());
                    }
                }
            }
        }
        files.sort_by(|one, other| octets_of(one).cmp(octets_of(other)));
        Ok(Self {
            named,
            root,
            files,
            passwords,
        })
    }

    pub(crate) fn name(&self) -> String {
        format!("folder {}", self.named.display())
    }

    pub(crate) async fn batch(&mut self, after: Option<&str>) -> anyhow::Result<Option<Batch>> {
        // The octets of the name, since not all names are texts.
        let after: Option<Vec<u8>> = after.map(serde_json::from_str).transpose()?;
        let from = match after {
            None => 0,
            Some(after) => self
                .files
                .partition_point(|file| octets_of(file) <= after.as_slice()),
        };
        let some = &self.files[from..self.files.len().min(from + AT_ONCE)];
        let Some(last) = some.last() else {
            return Ok(None);
        };
        let mut batch = Batch {
            cursor: serde_json::to_string(octets_of(last))?,
            ..Batch::default()
        };
        for file in some {
            read(&self.root.join(file), &self.passwords, &mut batch);
        }
        Ok(Some(batch))
    }
}

fn octets_of(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

fn read(path: &Path, passwords: &[SecretString], batch: &mut Batch) {
    let place = path.display().to_string();
    let octets = match std::fs::metadata(path) {
        Ok(about) if about.len() > MAXIMUM_FILE_BYTES as u64 => {
            batch.skip(place, format!("it has more than {MAXIMUM_FILE_BYTES} octets; split it, or send it as a stream: docs/import.md"));
            return;
        }
        Ok(_) => std::fs::read(path),
        Err(error) => Err(error),
    };
    let contents = octets
        .map_err(anyhow::Error::from)
        .and_then(|octets| open(&octets, passwords));
    match contents {
        Err(error) => batch.skip(place, error),
        Ok(contents) => {
            if !contents.keys.is_empty() {
                let count = contents.keys.len();
                batch.skip(&place, format!("{count} private keys stay where they are; POST /Certificates/Import takes a certificate with its key"));
            }
            let found = contents.certificates.into_iter().map(|found| {
                let place = match found.place.as_str() {
                    "file" => place.clone(),
                    inside => format!("{place}, {inside}"),
                };
                Found::plain(found.certificate.der().to_vec(), place)
            });
            batch.found.extend(found);
        }
    }
}

fn open(octets: &[u8], passwords: &[SecretString]) -> anyhow::Result<Contents> {
    let mut last = match Contents::read(octets, None) {
        Ok(contents) => return Ok(contents),
        Err(
            error @ (ContentsError::PasswordNeeded { .. } | ContentsError::WrongPassword { .. }),
        ) => error,
        Err(error) => bail!("{error}"),
    };
    for password in passwords
        .iter()
        .map(ExposeSecret::expose_secret)
        .chain([""])
    {
        match Contents::read(octets, Some(password)) {
            Ok(contents) => return Ok(contents),
            Err(error @ ContentsError::WrongPassword { .. }) => last = error,
            Err(error) => bail!("{error}"),
        }
    }
    bail!("{last}")
}

#[cfg(test)]
mod tests {
    use pki::pkcs12::Encryption;

    use super::*;

    fn read_all(folder: &mut Folder) -> Batch {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let mut all = Batch::default();
        while let Some(batch) = {
            let after = Some(all.cursor.clone()).filter(|cursor| !cursor.is_empty());
            runtime.block_on(folder.batch(after.as_deref())).unwrap()
        } {
            all.found.extend(batch.found);
            all.skipped.extend(batch.skipped);
            all.cursor = batch.cursor;
        }
        all
    }

    #[test]
    fn names_that_are_no_texts_are_passed_once() {
        use std::os::unix::ffi::OsStrExt as _;
        let folder = tempfile::tempdir().unwrap();
        // A batch ends in the middle of names that look the same as texts.
        let names = (0..=AT_ONCE as u8 + 20).map(|number| [b'\xe9', number + 128]);
        let others = [*b"a1", *b"\xff\xfe", *b"zz"];
        let names: Vec<[u8; 2]> = names.chain(others).collect();
        for name in &names {
            let path = folder.path().join(std::ffi::OsStr::from_bytes(name));
            std::fs::write(path, "no certificate").unwrap();
        }
        let all = read_all(&mut Folder::new(folder.path(), Vec::new()).unwrap());
        assert_eq!(all.skipped.len(), names.len());
    }

    #[test]
    fn everything_below_a_folder_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let key = pki::PrivateKey::generate(pki::KeySpec::EcP256).unwrap();
        let name = pki::DistinguishedName::parse("CN=a").unwrap();
        let serial = pki::Serial::from_random(&[7; 16]);
        let root = pki::Issuer::self_signed_root(&name, key.clone(), 0, 86_400_000_000, &serial);
        let certificate = root.unwrap().certificate().clone();
        let write = |name: &str, octets: &[u8]| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, octets).unwrap();
        };
        let pem = pki::pem::encode("CERTIFICATE", certificate.der());
        let pfx = pki::pkcs12::to_pkcs12(
            &key,
            std::slice::from_ref(&certificate),
            "a",
            "right",
            Encryption::Modern,
        )
        .unwrap();
        write("a.pem", pem.as_bytes());
        write("b/c/d.der", certificate.der());
        write("b/e.pfx", &pfx);
        write("b/notes.txt", b"nothing of interest");
        for index in 0..60 {
            write(&format!("many/{index}.pem"), pem.as_bytes());
        }
        let passwords = vec!["wrong".into(), "right".into()];
        let all = read_all(&mut Folder::new(folder.path(), passwords).unwrap());
        assert_eq!(all.found.len(), 63);
        assert!(all.found.iter().all(|found| found.der == certificate.der()));
        let reasons: Vec<&str> = all
            .skipped
            .iter()
            .map(|skipped| skipped.reason.as_str())
            .collect();
        assert_eq!(reasons.len(), 2, "{reasons:?}");
        assert!(reasons[0].contains("1 private keys stay"));

        let all = read_all(&mut Folder::new(folder.path(), Vec::new()).unwrap());
        assert_eq!(all.found.len(), 62);
        let locked = all.skipped.iter().find(|one| one.place.ends_with("e.pfx"));
        assert!(locked.unwrap().reason.contains("password"));
        let mut one = Folder::new(&folder.path().join("a.pem"), Vec::new()).unwrap();
        assert_eq!(read_all(&mut one).found.len(), 1);
    }
}
