//! What the tests of this crate share: authorities, subjects, and OpenSSL as the reader that is not ours.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pki::{
    Certificate, CertificateProfile, DistinguishedName, Issuer, KeySpec, PrivateKey, Serial,
    Subject, SubjectAlternativeName,
};

/// 2026-01-01T00:00:00Z in milliseconds.
pub(crate) const START: i64 = 1_767_225_600_000;
pub(crate) const DAY: i64 = 86_400_000;

pub(crate) fn name(text: &str) -> DistinguishedName {
    DistinguishedName::parse(text).unwrap()
}

pub(crate) fn serial(number: u8) -> Serial {
    Serial::from_random(&[number; 16])
}

pub(crate) fn root(spec: KeySpec) -> Issuer {
    let key = PrivateKey::generate(spec).unwrap();
    Issuer::self_signed_root(
        &name("CN=Test Root,O=Chancery"),
        key,
        START,
        START + 3650 * DAY,
        &serial(1),
    )
    .unwrap()
}

pub(crate) fn server_profile() -> CertificateProfile {
    CertificateProfile {
        basic_constraints: Some((false, None)),
        key_usage: 128 | 32,
        extended_key_usages: vec!["1.3.6.1.5.5.7.3.1".into(), "1.3.6.1.5.5.7.3.2".into()],
        crl_distribution_points: vec!["http://crl.example/root.crl".into()],
        ocsp_urls: vec!["http://ocsp.example".into()],
        ca_issuers_urls: vec!["http://crl.example/root.cer".into()],
    }
}

pub(crate) fn authority_profile(path_length: Option<u8>) -> CertificateProfile {
    CertificateProfile {
        basic_constraints: Some((true, path_length)),
        key_usage: 2 | 4,
        ..CertificateProfile::default()
    }
}

pub(crate) fn subject(text: &str, sans: &[SubjectAlternativeName], key: &PrivateKey) -> Subject {
    Subject {
        name: name(text),
        sans: sans.to_vec(),
        spki_der: key.spki_der(),
    }
}

pub(crate) fn issue(
    issuer: &Issuer,
    subject: Subject,
    profile: &CertificateProfile,
) -> pki::Result<Certificate> {
    issuer
        .prepare(subject, profile, serial(7), START + DAY, START + 90 * DAY)?
        .sign(issuer)
}

/// Runs OpenSSL, which the tests require, and returns what it wrote.
pub(crate) fn openssl(arguments: &[&str], input: &[u8]) -> String {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tests need the openssl command");
    // OpenSSL may end without reading its input.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {errors}");
    format!("{}{errors}", String::from_utf8_lossy(&output.stdout))
}

/// A directory for one test, empty at its start.
pub(crate) fn directory(test: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

pub(crate) fn write(directory: &Path, file: &str, content: impl AsRef<[u8]>) -> String {
    let path = directory.join(file);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

pub(crate) fn pem(certificate: &Certificate) -> String {
    pki::pem::encode("CERTIFICATE", certificate.der())
}
