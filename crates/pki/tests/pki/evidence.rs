//! Revocation lists and OCSP answers of OpenSSL, the report's form, and the bounds of the search.

use std::process::Command;

use pki::ocsp::{self, CertificateStatus, OcspAnswer};
use pki::validation::{Demand, Evidence, Outcome, Report, Test, validate};
use pki::{Certificate, RevocationList};

use crate::forge::*;
use crate::support::*;

struct Scene {
    root: Party,
    responder: Party,
    root_certificate: Certificate,
    leaf: Certificate,
}

fn scene() -> Scene {
    let (root, responder) = (party("CN=Root"), party("CN=Responder"));
    Scene {
        root_certificate: authority(None, &[]).serial(1).sign(&root, &root),
        leaf: leaf(&[]).serial(9).sign(&party("CN=end.example"), &root),
        root,
        responder,
    }
}

fn now() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// The days of a validity around now, counted from the start of the tests' time.
fn around_now() -> (i64, i64) {
    let today = (now() - START) / DAY;
    (today - 5, today + 5)
}

impl Scene {
    /// OpenSSL as responder; `index` is its database. It answers with the time of now.
    fn answer(&self, test: &str, index: &str, signer: (&Certificate, &Party)) -> Vec<u8> {
        let files = directory(test);
        let file = |name: &str, content: &[u8]| write(&files, name, content);
        let request = ocsp::request(&self.leaf, &self.root_certificate).unwrap();
        let answer = files.join("answer.der");
        let output = Command::new("openssl")
            .args(["ocsp", "-index", &file("index.txt", index.as_bytes())])
            .args([
                "-CA",
                &file("root.pem", pem(&self.root_certificate).as_bytes()),
            ])
            .args(["-rsigner", &file("signer.pem", pem(signer.0).as_bytes())])
            .args([
                "-rkey",
                &file("key.pem", signer.1.key.to_pkcs8_pem().as_bytes()),
            ])
            .args(["-reqin", &file("request.der", &request)])
            .args(["-respout", answer.to_str().unwrap(), "-ndays", "2"])
            .output()
            .unwrap();
        std::fs::read(&answer)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }

    fn judge(&self, lists: &[RevocationList], answers: &[OcspAnswer], at: i64) -> Report {
        let evidence = Evidence {
            revocation_lists: lists,
            ocsp_answers: answers,
        };
        let demand = Demand {
            at,
            ..Demand::default()
        };
        validate(
            &self.leaf,
            &[],
            std::slice::from_ref(&self.root_certificate),
            &evidence,
            &demand,
        )
    }
}

fn revocation(report: &Report) -> (Outcome, String) {
    let check = report.path[0]
        .checks
        .iter()
        .find(|check| check.test == Test::Revocation)
        .unwrap();
    (check.outcome, check.reason.clone())
}

const GOOD: &str = "V\t991231235959Z\t\t09\tunknown\t/CN=end.example\n";
const REVOKED: &str =
    "R\t991231235959Z\t260102000000Z,keyCompromise\t09\tunknown\t/CN=end.example\n";

#[test]
fn answers_of_a_responder() {
    let mut scene = scene();
    let (from, to) = around_now();
    scene.root_certificate = authority(None, &[])
        .serial(1)
        .days(from, to)
        .sign(&scene.root, &scene.root);
    scene.leaf = leaf(&[])
        .serial(9)
        .days(from, to)
        .sign(&party("CN=end.example"), &scene.root);
    let delegate = |extensions: &[Vec<u8>], days: (i64, i64)| {
        leaf(extensions)
            .serial(5)
            .days(days.0, days.1)
            .sign(&scene.responder, &scene.root)
    };
    let signing = extended_key_usage(&["1.3.6.1.5.5.7.3.9"]);
    let named = delegate(std::slice::from_ref(&signing), (from, to));
    let not_named = delegate(&[], (from, to));
    let expired = delegate(&[signing], (from, from + 1));
    let issuer = (&scene.root_certificate, &scene.root);
    for (test, index, signer, expected) in [
        ("ocsp-good", GOOD, issuer, Outcome::Passed),
        ("ocsp-revoked", REVOKED, issuer, Outcome::Failed),
        ("ocsp-unknown", "", issuer, Outcome::NotChecked),
        (
            "ocsp-delegated",
            GOOD,
            (&named, &scene.responder),
            Outcome::Passed,
        ),
        (
            "ocsp-delegated-revoked",
            REVOKED,
            (&named, &scene.responder),
            Outcome::Failed,
        ),
        (
            "ocsp-not-delegated",
            GOOD,
            (&not_named, &scene.responder),
            Outcome::NotChecked,
        ),
        (
            "ocsp-responder-expired",
            GOOD,
            (&expired, &scene.responder),
            Outcome::NotChecked,
        ),
    ] {
        let der = scene.answer(test, index, signer);
        let answer = OcspAnswer::from_der(&der).unwrap();
        let report = scene.judge(&[], std::slice::from_ref(&answer), now());
        let (outcome, reason) = revocation(&report);
        assert_eq!(outcome, expected, "{test}: {reason}");
        assert_eq!(report.valid, expected != Outcome::Failed, "{test}");
        if expected == Outcome::Failed {
            assert!(reason.contains("key compromise"), "{reason}");
        }
        for late in [now() + 4 * DAY, now() - 4 * DAY] {
            assert!(
                answer
                    .status_of(&scene.leaf, &scene.root_certificate, late)
                    .is_err(),
                "{test}"
            );
        }
        // Of another certificate it says nothing.
        assert_eq!(
            answer.status_of(&scene.root_certificate, &scene.root_certificate, now()),
            Ok(None)
        );
        for at in (0..der.len()).step_by(11) {
            let mut changed = der.clone();
            changed[at] ^= 0x10;
            if let Ok(changed) = OcspAnswer::from_der(&changed)
                && expected != Outcome::Passed
            {
                let status = changed.status_of(&scene.leaf, &scene.root_certificate, now());
                assert!(
                    !matches!(status, Ok(Some(CertificateStatus::Good))),
                    "{test} {at}"
                );
            }
        }
        for length in 0..der.len() {
            assert!(
                OcspAnswer::from_der(&der[..length]).is_err(),
                "{test} {length}"
            );
        }
    }
    // A responder that refuses.
    assert!(
        OcspAnswer::from_der(&[0x30, 3, 0x0a, 1, 6])
            .unwrap_err()
            .to_string()
            .contains("status 06")
    );
}

#[test]
fn lists_of_openssl_and_of_ours() {
    let scene = scene();
    let list =
        RevocationList::from_der(&revocation_list(&scene.root, (0, 30), &[4, 9], &[])).unwrap();
    let text = openssl(&["crl", "-inform", "DER", "-noout", "-text"], list.der());
    assert!(
        text.contains("Serial Number: 09") && text.contains("Key Compromise"),
        "{text}"
    );
    assert_eq!((list.length(), list.number()), (2, Some("07")));
    assert_eq!(
        (list.this_update(), list.next_update()),
        (START, Some(START + 30 * DAY))
    );
    assert_eq!(list.issuer().to_string(), "CN=Root");
    assert_eq!(list.entry(&[9]).unwrap().reason, Some(1));
    assert_eq!(list.entry(&[0, 9]).unwrap().at, START);
    assert_eq!(list.entry(&[8]), None);
    let pem = pki::pem::encode("X509 CRL", list.der());
    assert_eq!(
        RevocationList::from_pem_or_der(pem.as_bytes())
            .unwrap()
            .der(),
        list.der()
    );
    assert_eq!(
        revocation(&scene.judge(std::slice::from_ref(&list), &[], START + DAY)).0,
        Outcome::Failed
    );
    for length in 0..list.der().len() {
        assert!(
            RevocationList::from_der(&list.der()[..length]).is_err(),
            "{length}"
        );
    }
    // Evidence against it outweighs evidence for it, in either order.
    let good = RevocationList::from_der(&revocation_list(&scene.root, (0, 30), &[], &[])).unwrap();
    for lists in [[good.clone(), list.clone()], [list, good]] {
        assert_eq!(
            revocation(&scene.judge(&lists, &[], START + DAY)).0,
            Outcome::Failed
        );
    }
    let delta = extension("2.5.29.27", true, &element(2, &[&[1]]));
    let delta =
        RevocationList::from_der(&revocation_list(&scene.root, (0, 30), &[], &[delta])).unwrap();
    let (outcome, reason) = revocation(&scene.judge(&[delta], &[], START + DAY));
    assert_eq!(outcome, Outcome::NotChecked);
    assert!(reason.contains("delta"), "{reason}");
    let point = |url: &str| {
        let name = element(
            0xa0,
            &[&element(0xa0, &[&element(0x86, &[url.as_bytes()])])],
        );
        let list = revocation_list(
            &scene.root,
            (0, 30),
            &[],
            &[extension("2.5.29.28", true, &element(0x30, &[&name]))],
        );
        RevocationList::from_der(&list).unwrap()
    };
    let (outcome, reason) = revocation(&scene.judge(&[point("http://other/")], &[], START + DAY));
    assert_eq!(
        (outcome, reason.contains("another distribution point")),
        (Outcome::NotChecked, true)
    );
}

#[test]
fn the_report_names_every_check_and_every_flag_once() {
    let scene = scene();
    let report = scene.judge(&[], &[], START + DAY);
    assert!(report.valid);
    let subjects: Vec<_> = report
        .path
        .iter()
        .map(|judgement| judgement.certificate.subject())
        .collect();
    assert_eq!(subjects, ["CN=end.example", "CN=Root"]);
    for judgement in &report.path {
        let tests: Vec<_> = judgement.checks.iter().map(|check| check.test).collect();
        let mut distinct = tests.clone();
        distinct.dedup();
        assert_eq!(tests, distinct);
        assert!(
            judgement
                .checks
                .iter()
                .all(|check| !check.reason.is_empty())
        );
    }
    let status = |report: &Report, name: &str| {
        let all = report.chain_statuses();
        let found: Vec<_> = all
            .into_iter()
            .filter(|status| status.name == name)
            .collect();
        assert_eq!(found.len(), 1, "{name}");
        found[0].clone()
    };
    assert_eq!(
        status(&report, "RevocationStatusUnknown").outcome,
        Outcome::NotChecked
    );
    assert_eq!(status(&report, "Revoked").outcome, Outcome::Passed);
    assert_eq!(status(&report, "UntrustedRoot").outcome, Outcome::Passed);

    let late = scene.judge(&[], &[], START + 200 * DAY);
    let expired = status(&late, "NotTimeValid");
    assert_eq!(
        (expired.outcome, expired.reason.as_str()),
        (Outcome::Failed, "CN=end.example: it has expired")
    );

    let evidence = Evidence::default();
    let demand = Demand {
        at: START + DAY,
        ..Demand::default()
    };
    let alone = validate(&scene.leaf, &[], &[], &evidence, &demand);
    assert!(!alone.valid);
    assert_eq!(status(&alone, "PartialChain").outcome, Outcome::Failed);
    assert_eq!(status(&alone, "UntrustedRoot").outcome, Outcome::Passed);
    let root_alone = validate(&scene.root_certificate, &[], &[], &evidence, &demand);
    assert_eq!(
        status(&root_alone, "UntrustedRoot").outcome,
        Outcome::Failed
    );
    let root = std::slice::from_ref(&scene.root_certificate);
    assert!(validate(&scene.root_certificate, &[], root, &evidence, &demand).valid);
    let demanding = Demand {
        revocation_required: true,
        ..demand
    };
    assert!(!validate(&scene.leaf, &[], root, &evidence, &demanding).valid);
}

#[test]
fn what_cannot_be_verified_is_never_valid() {
    let scene = scene();
    let ed448 = element(0x30, &[&oid("1.3.101.113")]);
    let forged = Forge {
        inner_algorithm: Some(ed448.clone()),
        outer_algorithm: Some(ed448),
        ..leaf(&[])
    };
    let forged = forged.sign(&party("CN=end.example"), &scene.root);
    let demand = Demand {
        at: START + DAY,
        ..Demand::default()
    };
    let report = validate(
        &forged,
        &[],
        std::slice::from_ref(&scene.root_certificate),
        &Evidence::default(),
        &demand,
    );
    assert!(!report.valid);
    assert_eq!(report.path.len(), 2, "the path is shown all the same");
    assert_eq!(report.outcome(Test::Signature), Outcome::NotChecked);
}

#[test]
fn a_mesh_of_authorities_does_not_make_it_long() {
    // Twelve authorities of the same name certified each other; none is known.
    let parties: Vec<Party> = (0..12).map(|_| party("CN=Mesh")).collect();
    let mut mesh = Vec::new();
    for subject in &parties {
        for issuer in &parties {
            mesh.push(authority(None, &[]).sign(subject, issuer));
        }
    }
    let end = leaf(&[]).sign(&party("CN=end.example"), &parties[0]);
    let demand = Demand {
        at: START + DAY,
        ..Demand::default()
    };
    let other = party("CN=Other");
    let roots = [authority(None, &[]).sign(&other, &other)];
    let started = std::time::Instant::now();
    let report = validate(&end, &mesh, &roots, &Evidence::default(), &demand);
    assert!(!report.valid);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}
