//! Two validators that are not ours: OpenSSL and the JDK.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::chains::Case;
use crate::support::*;

/// What each validator says of each case: `ok`, or the reason against it.
pub(crate) type Verdicts = BTreeMap<String, String>;

/// Writes the cases for both, a folder each.
pub(crate) fn write_cases(cases: &[Case]) -> PathBuf {
    let files = directory("chains");
    for case in cases {
        let folder = files.join(case.name);
        std::fs::create_dir_all(&folder).unwrap();
        let all =
            |certificates: &[pki::Certificate]| certificates.iter().map(pem).collect::<String>();
        write(&folder, "leaf.pem", pem(&case.leaf));
        write(&folder, "roots.pem", all(&case.roots));
        if !case.intermediates.is_empty() {
            write(&folder, "untrusted.pem", all(&case.intermediates));
        }
        if let Some(lists) = &case.lists {
            let text: String = lists
                .iter()
                .map(|list| pki::pem::encode("X509 CRL", list))
                .collect();
            write(&folder, "crls.pem", text);
        }
        if let Some(usage) = case.usage {
            write(&folder, "usage", usage);
        }
    }
    files
}

pub(crate) fn openssl_verdicts(files: &Path, cases: &[Case], at_ms: i64) -> Verdicts {
    cases
        .iter()
        .map(|case| {
            let folder = files.join(case.name);
            let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
            let mut command = Command::new("openssl");
            command.args([
                "verify",
                "-no-CApath",
                "-no-CAstore",
                "-policy_check",
                "-policy",
                "2.5.29.32.0",
                "-attime",
                &(at_ms / 1000).to_string(),
            ]);
            command.args(["-CAfile", &file("roots.pem")]);
            if folder.join("untrusted.pem").exists() {
                command.args(["-untrusted", &file("untrusted.pem")]);
            }
            if folder.join("crls.pem").exists() {
                command.args(["-crl_check_all", "-CRLfile", &file("crls.pem")]);
            }
            if case.usage.is_some() {
                command.args(["-purpose", "sslserver"]);
            }
            let output = command
                .arg(file("leaf.pem"))
                .output()
                .expect("the tests need the openssl command");
            let verdict = if output.status.success() {
                "ok".to_owned()
            } else {
                String::from_utf8_lossy(&output.stderr).replace('\n', " ")
            };
            (case.name.to_owned(), verdict)
        })
        .collect()
}

/// The JDK, in one run: starting it takes longer than all cases.
pub(crate) fn java_verdicts(files: &Path, at_ms: i64) -> Verdicts {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pki/Judge.java");
    let output = Command::new("java")
        .arg("-XX:TieredStopAtLevel=1")
        .arg(program)
        .arg(files)
        .arg(at_ms.to_string())
        .output()
        .expect("the tests need the java command");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, verdict)| (name.to_owned(), verdict.to_owned()))
        .collect()
}
