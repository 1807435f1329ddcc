//! What every store driver has to keep; run for each member of [`ALL`](crate::ALL), in each layout.
//! It is long because a driver has to pass all of it, and its author reads it from top to bottom.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use uuid::Uuid;

use crate::{
    ALL, AllowedPaths, FileSystem, InventoryEntry, Operation, Outcome, Profile, Recovered,
    StoreConfig, StoreDriver, forget, recover,
    testing::{FIRST, FakeHost, ISSUING, SECOND, der},
};

/// Where the key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Inline,
    Separate,
}

const LAYOUTS: [Layout; 2] = [Layout::Inline, Layout::Separate];
const JOB: Uuid = Uuid::from_u128(0x10b);

/// A folder with one store and a service that uses it.
struct Site {
    folder: PathBuf,
    layout: Layout,
    driver: &'static dyn StoreDriver,
    profile: Profile,
}

impl Site {
    fn new(folder: &Path, driver: &'static dyn StoreDriver, layout: Layout) -> Self {
        let profile = Profile {
            test_command: vec!["test".to_owned()],
            reload: vec!["reload".to_owned()],
            probe_address: Some("site:443".to_owned()),
            ..Profile::named("site")
        };
        Self {
            folder: folder.canonicalize().unwrap(),
            layout,
            driver,
            profile,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.join("live/site.pem")
    }

    fn key_path(&self) -> Option<PathBuf> {
        (self.layout == Layout::Separate).then(|| self.folder.join("live/site.key"))
    }

    fn journal(&self) -> PathBuf {
        self.folder.join("state/journal")
    }

    fn config(&self) -> StoreConfig<'_> {
        StoreConfig {
            private_key_path: self.key_path(),
            profile: Some(&self.profile),
            ..StoreConfig::at(self.path())
        }
    }

    fn with<T>(&self, host: &FakeHost, work: impl FnOnce(&Operation<'_>) -> T) -> T {
        work(&Operation {
            job_id: JOB,
            note: "note",
            journal_directory: &self.journal(),
            allowed_paths: &AllowedPaths::new(vec![self.folder.join("live")], Vec::new()),
            file_system: &FileSystem,
            host,
        })
    }

    /// The first identity, put there by the driver itself.
    fn prepare(&self) {
        fs::create_dir_all(self.folder.join("live")).unwrap();
        let host = FakeHost::serving(&self.path());
        let outcome = self.with(&host, |operation| {
            self.driver
                .add(&self.config(), &FIRST.entry(false), operation)
        });
        assert!(matches!(outcome, Outcome::Success(_)), "{outcome:?}");
        forget(&self.journal(), JOB, &FileSystem).unwrap();
    }

    fn inventory(&self) -> Vec<InventoryEntry> {
        let host = FakeHost::serving(&self.path());
        self.with(&host, |operation| {
            self.driver.inventory(&self.config(), operation)
        })
        .unwrap()
    }

    fn alias(&self) -> Option<String> {
        let entries = self.inventory();
        assert!(entries.len() <= 1, "{entries:?}");
        let entry = entries.into_iter().next()?;
        // The flag is only true when the key belongs to the leaf: never a mix.
        assert!(entry.private_key);
        assert_eq!(entry.certificates.last(), Some(&der(ISSUING)));
        Some(entry.alias)
    }

    /// Every file in the live folder with mode and contents.
    fn files(&self) -> Vec<(PathBuf, u32, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(self.folder.join("live"))
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                let mode = path.metadata().unwrap().permissions().mode() & 0o7777;
                let contents = fs::read(&path).unwrap();
                (path, mode, contents)
            })
            .collect();
        files.sort();
        files
    }
}

fn for_each(check: impl Fn(&Site)) {
    for driver in ALL {
        for layout in LAYOUTS {
            let folder = tempfile::tempdir().unwrap();
            let site = Site::new(folder.path(), *driver, layout);
            site.prepare();
            check(&site);
        }
    }
}

#[test]
fn names_agree_with_capabilities() {
    for driver in ALL {
        let name = driver.short_name();
        for capability in driver.capabilities() {
            assert!(
                capability.starts_with(&format!("CertStores.{name}.")),
                "{capability}"
            );
        }
    }
}

#[test]
fn an_added_identity_is_in_the_inventory_and_closed_to_others() {
    for_each(|site| {
        assert_eq!(site.alias(), Some(FIRST.thumbprint()));
        let secret = site.key_path().unwrap_or_else(|| site.path());
        assert_eq!(
            secret.metadata().unwrap().permissions().mode() & 0o777,
            0o600
        );
    });
}

#[test]
fn adding_the_same_again_is_a_warning_and_a_different_one_is_refused() {
    for_each(|site| {
        let before = site.files();
        let host = FakeHost::serving(&site.path());
        let add = |entry| {
            site.with(&host, |operation| {
                site.driver.add(&site.config(), &entry, operation)
            })
        };
        assert!(matches!(add(FIRST.entry(false)), Outcome::Warning(_)));
        let outcome = add(SECOND.entry(false));
        let Outcome::Failure {
            message,
            rolled_back: false,
            ..
        } = outcome
        else {
            panic!("{outcome:?}")
        };
        assert!(message.contains(&FIRST.thumbprint()), "{message}");
        assert_eq!(site.files(), before);
        assert_eq!(host.commands(), [""; 0]);
        assert_eq!(recover(&site.journal(), &FileSystem).unwrap(), []);
    });
}

#[test]
fn overwrite_replaces_the_identity_after_test_reload_and_proof() {
    for_each(|site| {
        let modes: Vec<u32> = site.files().iter().map(|(_, mode, _)| *mode).collect();
        let host = FakeHost::serving(&site.path());
        let outcome = site.with(&host, |operation| {
            site.driver
                .add(&site.config(), &SECOND.entry(true), operation)
        });
        let thumbprint = SECOND.thumbprint();
        assert!(
            matches!(&outcome, Outcome::Success(message) if message.contains(&format!("site:443 serves {thumbprint}"))),
            "{outcome:?}"
        );
        assert_eq!(host.commands(), ["test", "reload"]);
        assert_eq!(site.alias(), Some(thumbprint));
        assert_eq!(
            site.files()
                .iter()
                .map(|(_, mode, _)| *mode)
                .collect::<Vec<_>>(),
            modes
        );
        let found = recover(&site.journal(), &FileSystem).unwrap();
        assert_eq!(
            found,
            [Recovered::Finished {
                job_id: JOB,
                note: "note".to_owned(),
                outcome
            }]
        );
        assert_eq!(site.alias(), Some(SECOND.thumbprint()));
    });
}

#[test]
fn a_failing_test_reload_or_proof_brings_the_old_files_back() {
    for_each(|site| {
        let before = site.files();
        let serving = || FakeHost::serving(&site.path());
        for (host, says, commands, proved) in [
            (
                serving().fail("test"),
                "the test command (test)",
                vec!["test"],
                false,
            ),
            (
                serving().fail("reload"),
                "the reload (reload)",
                vec!["test", "reload", "reload"],
                false,
            ),
            (
                serving().deaf(),
                "instead of",
                vec!["test", "reload", "reload"],
                true,
            ),
        ] {
            let outcome = site.with(&host, |operation| {
                site.driver
                    .add(&site.config(), &SECOND.entry(true), operation)
            });
            let Outcome::Failure {
                message,
                rolled_back,
                expected_thumbprint,
                served_thumbprint,
            } = &outcome
            else {
                panic!("{outcome:?}")
            };
            assert!(message.contains(says), "{message}");
            assert!(rolled_back);
            assert_eq!(
                expected_thumbprint.as_deref(),
                Some(SECOND.thumbprint().as_str())
            );
            assert_eq!(*served_thumbprint, proved.then(|| FIRST.thumbprint()));
            assert_eq!(host.commands(), commands);
            assert_eq!(site.files(), before);
            let found = recover(&site.journal(), &FileSystem).unwrap();
            assert!(
                matches!(&found[..], [Recovered::Finished { outcome: known, .. }] if *known == outcome)
            );
        }
    });
}

#[test]
fn removal_knows_the_alias_in_any_case_and_absence_is_a_warning() {
    for_each(|site| {
        let before = site.files();
        let host = FakeHost::serving(&site.path());
        let remove = |alias: &str| {
            site.with(&host, |operation| {
                site.driver.remove(&site.config(), alias, operation)
            })
        };
        for absent in [SECOND.thumbprint(), String::new()] {
            assert!(matches!(remove(&absent), Outcome::Warning(_)));
        }
        assert_eq!(site.files(), before);
        let outcome = remove(&FIRST.thumbprint().to_lowercase());
        assert!(matches!(outcome, Outcome::Success(_)), "{outcome:?}");
        assert_eq!(site.inventory(), []);
        for (path, _, contents) in site.files() {
            assert_eq!(contents, b"", "{path:?}");
        }
        assert!(matches!(remove(&FIRST.thumbprint()), Outcome::Warning(_)));
    });
}

#[test]
fn a_service_that_goes_on_with_a_removed_certificate_gets_its_files_back() {
    for_each(|site| {
        let before = site.files();
        let host = FakeHost::serving(&site.path()).deaf();
        let outcome = site.with(&host, |operation| {
            site.driver
                .remove(&site.config(), &FIRST.thumbprint(), operation)
        });
        assert!(
            matches!(
                outcome,
                Outcome::Failure {
                    rolled_back: true,
                    ..
                }
            ),
            "{outcome:?}"
        );
        assert_eq!(site.files(), before);
    });
}

#[test]
fn creating_makes_an_empty_store_once() {
    for_each(|site| {
        let store = StoreConfig {
            path: site.folder.join("live/new.pem"),
            ..site.config()
        };
        let host = FakeHost::serving(&site.path());
        let create = || site.with(&host, |operation| site.driver.create(&store, operation));
        assert!(matches!(create(), Outcome::Success(_)));
        assert!(matches!(create(), Outcome::Warning(_)));
        assert_eq!(fs::read(&store.path).unwrap(), b"");
    });
}

#[test]
fn paths_that_are_not_allowed_are_refused_by_name() {
    for_each(|site| {
        let outside = site.folder.join("outside.pem");
        fs::copy(site.path(), &outside).unwrap();
        let stores = [
            StoreConfig {
                path: outside.clone(),
                ..site.config()
            },
            StoreConfig {
                private_key_path: Some(outside.clone()),
                ..site.config()
            },
        ];
        let host = FakeHost::serving(&site.path());
        for store in stores {
            site.with(&host, |operation| {
                assert!(site.driver.inventory(&store, operation).is_err());
                for outcome in [
                    site.driver.add(&store, &SECOND.entry(true), operation),
                    site.driver.remove(&store, &FIRST.thumbprint(), operation),
                    site.driver.create(&store, operation),
                ] {
                    let Outcome::Failure { message, .. } = outcome else {
                        panic!("{outcome:?}")
                    };
                    assert!(message.contains("outside.pem"), "{message}");
                }
            });
        }
    });
}

/// What is interrupted, in a child process.
const SCENARIOS: [&str; 4] = ["replace", "refused by proof", "remove", "recover"];
const CHILD: &str = "CHANCERY_TEST_CHILD";
const STEPS_MAX: usize = 200;

/// Kills the process before each file step of each operation, then before each step of the recovery, and looks.
#[test]
fn a_kill_at_any_file_step_leaves_the_old_or_the_new_identity() {
    for driver in 0..ALL.len() {
        for layout in 0..LAYOUTS.len() {
            for scenario in 0..SCENARIOS.len() - 1 {
                let steps = (1..STEPS_MAX)
                    .take_while(|step| interrupted(driver, layout, scenario, *step))
                    .count();
                assert!(
                    (10..STEPS_MAX - 1).contains(&steps),
                    "{steps} steps are not to be believed"
                );
            }
        }
    }
}

/// False when the operation came to its end before this step.
fn interrupted(driver: usize, layout: usize, scenario: usize, step: usize) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path(), ALL[driver], LAYOUTS[layout]);
    site.prepare();
    let before = site.files();
    let finished = child(&site, [driver, layout, scenario], step);
    let recovery = [driver, layout, SCENARIOS.len() - 1];
    assert!(
        (1..STEPS_MAX).any(|step| child(&site, recovery, step)),
        "the recovery has no end"
    );

    let found = recover(&site.journal(), &FileSystem).unwrap();
    let context = format!(
        "{} {:?} step {step}: {found:?}",
        SCENARIOS[scenario], site.layout
    );
    match &found[..] {
        [] | [Recovered::Restored { .. }] => {
            assert!(!finished, "{context}");
            assert_eq!(site.alias(), Some(FIRST.thumbprint()), "{context}");
            assert_eq!(site.files(), before, "{context}");
        }
        [
            Recovered::Finished {
                outcome: Outcome::Success(_),
                ..
            },
        ] => {
            let new = (SCENARIOS[scenario] == "replace").then(|| SECOND.thumbprint());
            assert_eq!(site.alias(), new, "{context}");
        }
        [
            Recovered::Finished {
                outcome:
                    Outcome::Failure {
                        rolled_back: true, ..
                    },
                ..
            },
        ] => {
            assert_eq!(SCENARIOS[scenario], "refused by proof", "{context}");
            assert_eq!(site.files(), before, "{context}");
        }
        _ => panic!("{context}"),
    }
    assert_eq!(
        site.files().len(),
        before.len(),
        "{context}: temporary files are left"
    );
    forget(&site.journal(), JOB, &FileSystem).unwrap();
    assert_eq!(
        fs::read_dir(site.journal()).unwrap().count(),
        0,
        "{context}"
    );
    !finished
}

/// Runs a scenario in a process of its own that dies at the step; true if it came to its end.
fn child(site: &Site, [driver, layout, scenario]: [usize; 3], step: usize) -> bool {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "conformance::child_of_the_kill_test"])
        .env(
            CHILD,
            format!("{driver} {layout} {scenario} {}", site.folder.display()),
        )
        .env("CHANCERY_KILL_AT_FILE_STEP", step.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    // A failed assertion gives a code; a kill gives none.
    assert!(
        status.success() || status.code().is_none(),
        "the child failed by itself: {status}"
    );
    status.success()
}

#[test]
fn child_of_the_kill_test() {
    let Ok(what) = std::env::var(CHILD) else {
        return;
    };
    let mut words = what.splitn(4, ' ');
    let mut number = || words.next().unwrap().parse::<usize>().unwrap();
    let (driver, layout, scenario) = (number(), number(), number());
    let site = Site::new(
        Path::new(words.next().unwrap()),
        ALL[driver],
        LAYOUTS[layout],
    );
    let host = FakeHost::serving(&site.path());
    let replace = |host: &FakeHost| {
        site.with(host, |operation| {
            site.driver
                .add(&site.config(), &SECOND.entry(true), operation)
        })
    };
    match SCENARIOS[scenario] {
        "replace" => assert!(matches!(replace(&host), Outcome::Success(_))),
        "refused by proof" => assert!(matches!(replace(&host.deaf()), Outcome::Failure { .. })),
        "remove" => {
            let outcome = site.with(&host, |operation| {
                site.driver
                    .remove(&site.config(), &FIRST.thumbprint(), operation)
            });
            assert!(matches!(outcome, Outcome::Success(_)));
        }
        _ => {
            recover(&site.journal(), &FileSystem).unwrap();
        }
    }
}
