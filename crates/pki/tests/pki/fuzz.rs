//! Every decoder of foreign octets under random ones: no panic, no long run. In CI as a property test; at length by
//! `cargo xtask fuzz TARGET --seconds N`, which runs the ignored test below.
//!
//! Inputs are made by mutation. There is no instrumentation on stable Rust, so what guides the loop is what a decoder answers: an input
//! that brings a new error text or a new kind of result is kept and mutated further.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use pki::ocsp::OcspAnswer;
use pki::pkcs12::{self, Encryption};
use pki::validation::{Demand, Evidence, validate};
use pki::{
    Certificate, CertificateRequest, Contents, DistinguishedName, KeyInfo, KeySpec, PrivateKey,
    RevocationList, SanKind, SubjectAlternativeName, jks, pkcs7,
};
use proptest::prelude::*;

use crate::forge::*;
use crate::support::*;

/// Longer than any input may take, tests without optimization and on a busy machine included.
const TOO_LONG: Duration = Duration::from_secs(20);

/// Most inputs that are kept.
const KEPT: usize = 20_000;

/// A decoder: its name, what it does, and good inputs. It answers with what it made of the octets.
struct Target {
    name: &'static str,
    run: fn(&[u8]) -> String,
    seeds: fn(&Seeds) -> Vec<Vec<u8>>,
}

const TARGETS: [Target; 14] = [
    Target {
        name: "certificate",
        run: certificate,
        seeds: |seeds| seeds.certificates.clone(),
    },
    Target {
        name: "request",
        run: |octets| {
            outcome(CertificateRequest::from_pem_or_der(octets), |_| {
                String::new()
            })
        },
        seeds: |seeds| vec![seeds.request.clone()],
    },
    Target {
        name: "revocation-list",
        run: revocation_list_of,
        seeds: |seeds| vec![seeds.list.clone()],
    },
    Target {
        name: "ocsp",
        run: |octets| outcome(OcspAnswer::from_der(octets), |answer| status(&answer)),
        seeds: |seeds| seeds.answers.clone(),
    },
    Target {
        name: "pem",
        run: |octets| {
            format!(
                "{} {}",
                pki::pem::parse(octets).len(),
                pki::pem::certificates(octets).len()
            )
        },
        seeds: |seeds| vec![seeds.pem.clone()],
    },
    Target {
        name: "pkcs7",
        run: |octets| {
            outcome(pkcs7::certificates_from_pkcs7(octets), |found| {
                found.len().to_string()
            })
        },
        seeds: |seeds| vec![seeds.pkcs7.clone()],
    },
    Target {
        name: "pkcs12",
        run: |octets| {
            outcome(pkcs12::from_pkcs12(octets, "pw"), |found| {
                format!("{:?}", found.friendly_name)
            })
        },
        seeds: |seeds| vec![seeds.pkcs12.clone()],
    },
    Target {
        name: "jks",
        run: |octets| {
            outcome(jks::from_jks(octets, Some("pw")), |_| String::new())
                + &outcome(jks::from_jks(octets, None), |found| found.len().to_string())
        },
        seeds: |seeds| vec![seeds.jks.clone()],
    },
    Target {
        name: "name",
        run: name_of,
        seeds: |seeds| seeds.names.clone(),
    },
    Target {
        name: "name-text",
        run: |octets| {
            outcome(
                DistinguishedName::parse(&String::from_utf8_lossy(octets)),
                |name| outcome(name.to_der(), |_| String::new()),
            )
        },
        seeds: |_| vec![b"CN=a\\, b+UID=x,O=\"c\",2.5.4.3=#0c0161".to_vec()],
    },
    Target {
        name: "key",
        run: |octets| {
            outcome(PrivateKey::from_pkcs8_der(octets), |key| {
                format!("{:?}", key.key_info())
            }) + &outcome(
                PrivateKey::from_pem(&String::from_utf8_lossy(octets)),
                |_| String::new(),
            )
        },
        seeds: |seeds| seeds.keys.clone(),
    },
    Target {
        name: "encrypted-key",
        run: |octets| {
            outcome(PrivateKey::from_encrypted_pkcs8_der(octets, "pw"), |_| {
                String::new()
            })
        },
        seeds: |seeds| vec![seeds.encrypted_key.clone()],
    },
    Target {
        name: "contents",
        run: |octets| {
            outcome(Contents::read(octets, Some("pw")), |found| {
                format!("{} {}", found.certificates.len(), found.keys.len())
            })
        },
        seeds: |seeds| {
            vec![
                seeds.pem.clone(),
                seeds.pkcs7.clone(),
                seeds.pkcs12.clone(),
                seeds.jks.clone(),
                seeds.certificates[0].clone(),
            ]
        },
    },
    Target {
        name: "validation",
        run: validation,
        seeds: |seeds| seeds.certificates.clone(),
    },
];

fn outcome<T, E: std::fmt::Display>(
    result: Result<T, E>,
    summary: impl FnOnce(T) -> String,
) -> String {
    match result {
        Ok(value) => format!("ok {}", summary(value)),
        Err(error) => error.to_string(),
    }
}

fn certificate(octets: &[u8]) -> String {
    let Ok(reading) = Certificate::read(octets) else {
        return outcome(Certificate::read(octets), |_| String::new());
    };
    let read = &reading.certificate;
    assert_eq!(read.der(), octets);
    let _ = (
        read.thumbprint(),
        read.is_self_issued(),
        read.subject_name().to_der(),
        read.common_name().is_some(),
    );
    let _ = (
        KeyInfo::of_spki(read.spki_der()),
        pki::build_chain(read, std::slice::from_ref(read)),
    );
    reading
        .warnings
        .iter()
        .map(|warning| warning.part)
        .collect::<Vec<_>>()
        .join(",")
}

fn revocation_list_of(octets: &[u8]) -> String {
    outcome(RevocationList::from_pem_or_der(octets), |list| {
        format!(
            "{} {:?} {:?}",
            list.length().min(9),
            list.entry(&[9]),
            list.verify_signed_by(&seeds().parsed)
        )
    })
}

fn status(answer: &OcspAnswer) -> String {
    format!(
        "{:?}",
        answer.status_of(&seeds().parsed, &seeds().parsed, START)
    )
}

fn name_of(octets: &[u8]) -> String {
    outcome(DistinguishedName::from_der(octets), |name| {
        let text = name.to_string();
        if let Ok(again) = DistinguishedName::parse(&text) {
            let _ = again.to_der();
        }
        format!(
            "{} {}",
            name.entries().count().min(9),
            name.to_der().is_ok()
        )
    })
}

/// The octets as leaf, as intermediate and as root.
fn validation(octets: &[u8]) -> String {
    let Ok(reading) = Certificate::read(octets) else {
        return "unread".to_owned();
    };
    let pool = [reading.certificate.clone(), seeds().parsed.clone()];
    let demand = Demand {
        at: START + DAY,
        ..Demand::default()
    };
    let one = validate(&pool[0], &pool, &pool[1..], &Evidence::default(), &demand);
    let other = validate(
        &seeds().leaf,
        &pool,
        &pool[..1],
        &Evidence::default(),
        &demand,
    );
    let summary = |report: &pki::validation::Report| {
        let findings: Vec<_> = report
            .findings()
            .map(|(_, check)| format!("{} {}", check.test, check.reason))
            .collect();
        let _ = report.chain_statuses();
        findings.join(";")
    };
    summary(&one) + &summary(&other)
}

/// Good inputs, made once.
struct Seeds {
    certificates: Vec<Vec<u8>>,
    parsed: Certificate,
    leaf: Certificate,
    request: Vec<u8>,
    list: Vec<u8>,
    answers: Vec<Vec<u8>>,
    pem: Vec<u8>,
    pkcs7: Vec<u8>,
    pkcs12: Vec<u8>,
    jks: Vec<u8>,
    names: Vec<Vec<u8>>,
    keys: Vec<Vec<u8>>,
    encrypted_key: Vec<u8>,
}

fn seeds() -> &'static Seeds {
    static SEEDS: OnceLock<Seeds> = OnceLock::new();
    SEEDS.get_or_init(|| {
        let root = party("CN=Root,O=Fuzz");
        let constraints = name_constraints(
            &[(0x82, b"example.com"), (0x87, &[10, 0, 0, 0, 255, 0, 0, 0])],
            &[(0x81, b"evil.example")],
        );
        let parsed = authority(Some(1), &[constraints]).sign(&root, &root);
        let names = alternative_names(&[
            (0x82, b"a.example.com"),
            (0x81, b"a@b.example"),
            (0x86, b"https://a/"),
            (0x87, &[10, 0, 0, 1]),
            (0xa4, &dn("CN=d")),
        ]);
        let end = party("CN=end+UID=x,O=Fuzz,E=a@b");
        let leaf = leaf(&[
            names,
            extended_key_usage(&["1.3.6.1.5.5.7.3.1"]),
            key_usage(0x80),
        ])
        .sign(&end, &root);
        let issuer = crate::support::root(KeySpec::Ed25519);
        let sans = [
            SubjectAlternativeName::dns("a.example"),
            SubjectAlternativeName::new(SanKind::UserPrincipalName, "u@x"),
        ];
        let issued = issue(
            &issuer,
            subject("CN=a,O=b", &sans, &end.key),
            &server_profile(),
        )
        .unwrap();
        let request = CertificateRequest::create(&name("CN=a"), &sans, &end.key).unwrap();
        let chain = [leaf.clone(), parsed.clone()];
        let entry = jks::Entry {
            alias: "a".into(),
            created: START,
            key: Some(end.key.clone()),
            certificates: chain.iter().map(|one| one.der().to_vec()).collect(),
            is_key: true,
        };
        let encrypted = openssl(
            &[
                "pkcs8",
                "-topk8",
                "-v2",
                "aes-256-cbc",
                "-iter",
                "1",
                "-passout",
                "pass:pw",
            ],
            end.key.to_pkcs8_pem().as_bytes(),
        );
        Seeds {
            certificates: vec![
                leaf.der().to_vec(),
                parsed.der().to_vec(),
                issued.der().to_vec(),
            ],
            list: revocation_list(
                &root,
                (0, 30),
                &[1, 9],
                &[extension(
                    "2.5.29.28",
                    true,
                    &element(0x30, &[&element(0x81, &[&[0xff]])]),
                )],
            ),
            answers: vec![ocsp_answer(&parsed), vec![0x30, 3, 0x0a, 1, 6]],
            request: request.der().to_vec(),
            pem: format!(
                "comment\n{}{}{}",
                pem(&leaf),
                end.key.to_pkcs8_pem().as_str(),
                encrypted
            )
            .into_bytes(),
            pkcs7: pkcs7::certificates_to_pkcs7_der(&chain).unwrap(),
            pkcs12: pkcs12::to_pkcs12(
                &end.key,
                &chain,
                "a",
                "pw",
                Encryption::ModernForRandomPassword,
            )
            .unwrap(),
            jks: jks::to_jks(&[entry], "pw").unwrap(),
            names: vec![end.name.clone(), dn("CN=ü,2.5.4.3=#1e020041")],
            keys: vec![
                end.key.to_pkcs8_der().to_vec(),
                PrivateKey::generate(KeySpec::Ed25519)
                    .unwrap()
                    .to_pkcs8_der()
                    .to_vec(),
                end.key.to_pkcs8_pem().as_bytes().to_vec(),
            ],
            encrypted_key: pki::pem::parse(encrypted.as_bytes()).remove(0).der,
            parsed,
            leaf,
        }
    })
}

/// An answer about a certificate by itself, in form; its signature is not good.
fn ocsp_answer(about: &Certificate) -> Vec<u8> {
    let request = pki::ocsp::request(about, about).unwrap();
    // OCSPRequest, TBSRequest, the list, Request: the CertID is what is left.
    let id = &request[8..];
    let time = element(0x18, &[b"20260101000000Z"]);
    let single = element(
        0x30,
        &[
            id,
            &element(0x80, &[]),
            &time,
            &element(0xa0, &[&element(0x18, &[b"20270101000000Z"])]),
        ],
    );
    let data = element(
        0x30,
        &[
            &element(0xa2, &[&element(4, &[&[0; 20]])]),
            &time,
            &element(0x30, &[&single]),
        ],
    );
    let basic = element(
        0x30,
        &[
            &data,
            &ecdsa(),
            &element(3, &[&[0; 9]]),
            &element(0xa0, &[&element(0x30, &[about.der()])]),
        ],
    );
    let bytes = element(
        0x30,
        &[&oid("1.3.6.1.5.5.7.48.1.1"), &element(4, &[&basic])],
    );
    element(0x30, &[&element(0x0a, &[&[0]]), &element(0xa0, &[&bytes])])
}

/// xorshift64*: the same seed gives the same run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 16).unwrap() % limit.max(1)
    }

    fn octet(&mut self) -> u8 {
        const TELLING: [u8; 16] = [
            0, 1, 0x7f, 0x80, 0x81, 0x84, 0xff, 0x30, 0x31, 0x02, 0x03, 0x04, 0x06, 0xa0, b'-',
            b'\n',
        ];
        if self.below(2) == 0 {
            TELLING[self.below(TELLING.len())]
        } else {
            self.next().to_le_bytes()[7]
        }
    }
}

/// A few changes at random places; `other` gives a piece to put in.
fn mutate(input: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut octets = input.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(octets.len() + 1);
        let end = octets.len().min(at + 1 + random.below(16));
        match random.below(8) {
            0 => octets.truncate(at),
            1 => drop(octets.drain(at..end)),
            2 => octets.insert(at, random.octet()),
            3 => {
                let piece = octets[at..end].to_vec();
                octets.splice(at..at, piece);
            }
            4 => {
                let from = random.below(other.len() + 1);
                let to = other.len().min(from + 1 + random.below(64));
                octets.splice(at..end, other[from..to].iter().copied());
            }
            5 if at < octets.len() => octets[at] ^= 1 << random.below(8),
            _ if at < octets.len() => octets[at] = random.octet(),
            _ => octets.push(random.octet()),
        }
    }
    octets
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_decoder_panics_or_takes_long(seed in 1..u64::MAX, noise in prop::collection::vec(any::<u8>(), 0..200)) {
        for target in &TARGETS {
            let inputs = (target.seeds)(seeds());
            let mut random = Random(seed);
            let (one, other) = (&inputs[random.below(inputs.len())], &inputs[random.below(inputs.len())]);
            let started = Instant::now();
            (target.run)(&mutate(one, other, &mut random));
            (target.run)(&noise);
            prop_assert!(started.elapsed() < TOO_LONG, "{}", target.name);
        }
    }
}

#[test]
fn good_inputs_are_accepted() {
    let refused = ["pem", "validation", "certificate"];
    for target in TARGETS
        .iter()
        .filter(|target| !refused.contains(&target.name))
    {
        let text = (target.run)(&(target.seeds)(seeds())[0]);
        assert!(text.contains("ok"), "{}: {text}", target.name);
    }
    assert_eq!(certificate(&seeds().certificates[0]), "");
    assert!(
        status(&OcspAnswer::from_der(&seeds().answers[0]).unwrap()).contains("Err"),
        "it is about the certificate"
    );
}

/// Run by `cargo xtask fuzz`: `PKI_FUZZ_TARGET`, `PKI_FUZZ_SECONDS`, `PKI_FUZZ_SEED`, and `PKI_FUZZ_FOLDER`, where inputs that were
/// kept stay for the next run and findings are left.
#[test]
#[ignore = "runs as long as it is told, by cargo xtask fuzz"]
fn at_length() {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let wanted = variable("PKI_FUZZ_TARGET");
    let target = TARGETS
        .iter()
        .find(|target| target.name == wanted)
        .unwrap_or_else(|| {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            panic!(
                "there is no target `{wanted}`; there are {}",
                names.join(", ")
            )
        });
    let seconds: u64 = variable("PKI_FUZZ_SECONDS")
        .parse()
        .expect("PKI_FUZZ_SECONDS is a number");
    let mut random = Random(variable("PKI_FUZZ_SEED").parse().unwrap_or(1).max(1));
    let folder = Path::new(&variable("PKI_FUZZ_FOLDER")).join(target.name);
    std::fs::create_dir_all(&folder).unwrap();
    let mut corpus = (target.seeds)(seeds());
    for file in std::fs::read_dir(&folder).unwrap().flatten() {
        if file.file_name().to_string_lossy().starts_with("kept-") {
            corpus.push(std::fs::read(file.path()).unwrap());
        }
    }
    let current = watch(&folder);
    let mut seen = HashSet::new();
    let (started, mut runs) = (Instant::now(), 0u64);
    while started.elapsed() < Duration::from_secs(seconds) {
        let (one, other) = (random.below(corpus.len()), random.below(corpus.len()));
        let input = mutate(&corpus[one], &corpus[other], &mut random);
        *current.lock().unwrap() = Some((Instant::now(), input.clone()));
        let answer = std::panic::catch_unwind(|| (target.run)(&input));
        *current.lock().unwrap() = None;
        let Ok(answer) = answer else {
            let file = folder.join(format!("finding-{runs}"));
            std::fs::write(&file, &input).unwrap();
            panic!(
                "{} panics after {runs} runs; the input is in {}",
                target.name,
                file.display()
            );
        };
        runs += 1;
        let kind: String = answer
            .chars()
            .filter(|character| !character.is_ascii_digit())
            .take(200)
            .collect();
        if corpus.len() < KEPT && input.len() < 100_000 && seen.insert(kind) {
            std::fs::write(folder.join(format!("kept-{}", corpus.len())), &input).unwrap();
            corpus.push(input);
        }
    }
    eprintln!(
        "{}: {runs} runs in {seconds} s, {} inputs kept, nothing found",
        target.name,
        corpus.len()
    );
}

type Current = Arc<Mutex<Option<(Instant, Vec<u8>)>>>;

/// Ends the program when an input takes too long, and leaves the input behind.
fn watch(folder: &Path) -> Current {
    let current = Current::default();
    let (watched, folder) = (Arc::clone(&current), folder.to_owned());
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            if let Some((since, input)) = &*watched.lock().unwrap()
                && since.elapsed() > TOO_LONG
            {
                let file = folder.join("finding-long");
                std::fs::write(&file, input).unwrap();
                eprintln!(
                    "an input takes longer than {TOO_LONG:?}; it is in {}",
                    file.display()
                );
                std::process::exit(1);
            }
        }
    });
    current
}
