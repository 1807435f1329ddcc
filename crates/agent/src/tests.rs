//! Whole sessions against a server made of files.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use agent_protocol::{CompleteStatus, InventoryItemStatus};
use tokio::{runtime::Builder, sync::watch};
use zeroize::Zeroizing;

use crate::{
    Error, Result, Turn,
    runner::Runner,
    testing::{ADD, AGENT_ID, DAY, INVENTORY, NOW, World},
    transport::{HttpsTransport, Transport},
};

fn turn(agent: &Runner<World>) -> Result<Turn> {
    let (_running, shutdown) = watch::channel(false);
    Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(agent.turn(&shutdown))
}

fn with_world(check: impl FnOnce(&World)) {
    let folder = tempfile::tempdir().unwrap();
    check(&World::new(folder.path()));
}

fn idle() -> Turn {
    Turn::Idle {
        poll: Duration::from_secs(7),
    }
}

#[test]
fn an_agent_enrolls_when_approved_and_asks_with_the_same_key_until_then() {
    with_world(|world| {
        world.clear("approved");
        world.clear("jobs");
        let agent = world.agent();
        let pending = Turn::Pending {
            message: "wait for approval".to_owned(),
        };
        assert_eq!(turn(&agent).unwrap(), pending);
        let key = fs::read(world.folder.join("state/next-key.pem")).unwrap();
        assert_eq!(turn(&agent).unwrap(), pending);
        assert_eq!(
            fs::read(world.folder.join("state/next-key.pem")).unwrap(),
            key
        );
        world.set("approved");
        assert_eq!(turn(&agent).unwrap(), idle());
        assert_eq!(turn(&agent).unwrap(), idle());
        let (enroll, normal) = (
            "register showing nothing with CSR",
            format!("register showing {AGENT_ID}"),
        );
        assert_eq!(world.log(), [enroll, enroll, enroll, &normal, &normal]);
        let mode = |path: &str| {
            world
                .folder
                .join(path)
                .metadata()
                .unwrap()
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!((mode("state"), mode("state/identity.json")), (0o700, 0o600));
        assert!(!world.folder.join("state/next-key.pem").exists());
    });
}

#[test]
fn jobs_are_done_adds_first_and_reported() {
    with_world(|world| {
        let agent = world.agent();
        assert_eq!(turn(&agent).unwrap(), Turn::Worked);
        assert_eq!(
            world.log()[2..],
            [
                "AnyManagement/Configure",
                "run test",
                "run reload",
                "AnyManagement/Complete",
                "AnyInventory/Configure",
                "AnyInventory/Update",
                "AnyInventory/Complete",
            ]
        );
        let completions = world.completions();
        let [add, inventory] = &completions[..] else {
            panic!("{completions:?}")
        };
        assert_eq!(
            (add.job_id, add.audit_id, add.status),
            (ADD, 7, CompleteStatus::Success)
        );
        assert!(add.message.contains(&world.thumbprint()));
        assert_eq!((inventory.job_id, inventory.audit_id), (INVENTORY, 8));
        let submitted = world.submitted();
        let [item] = &submitted.inventory[..] else {
            panic!("{submitted:?}")
        };
        assert_eq!(item.alias, world.thumbprint());
        assert!(item.private_key_entry);
        assert_eq!(item.item_status, InventoryItemStatus::Add);
        assert_eq!(turn(&agent).unwrap(), idle());
        for folder in ["state/outbox", "state/journal"] {
            assert_eq!(fs::read_dir(world.folder.join(folder)).unwrap().count(), 0);
        }
    });
}

#[test]
fn a_cancelled_or_refused_job_is_left_without_complete() {
    for flag in ["cancelled", "refused"] {
        with_world(|world| {
            world.set(flag);
            turn(&world.agent()).unwrap();
            assert!(!world.store().exists());
            assert!(
                world
                    .completions()
                    .iter()
                    .all(|completion| completion.job_id == INVENTORY)
            );
        });
    }
}

#[test]
fn what_the_agent_may_not_do_ends_as_an_error_that_says_why() {
    for (file, text, says) in [
        ("path", "/etc/passwd", "allowed_paths"),
        ("path", "state/identity.json", "belongs to the agent"),
        ("profile", "other", "the profile other"),
        ("thumbprint", "00FF", "the job is about 00FF"),
        ("pfx", "no", "EntryContents"),
    ] {
        with_world(|world| {
            let text = match text {
                "state/identity.json" => world.folder.join(text).display().to_string(),
                other => other.to_owned(),
            };
            fs::write(world.folder.join(file), text).unwrap();
            turn(&world.agent()).unwrap();
            let completion = world
                .completions()
                .into_iter()
                .find(|done| done.job_id == ADD)
                .unwrap();
            assert_eq!(completion.status, CompleteStatus::Error);
            assert!(completion.message.contains(says), "{}", completion.message);
            assert!(!world.store().exists());
        });
    }
}

#[test]
fn an_outcome_the_server_did_not_get_is_sent_later_without_doing_the_work_again() {
    with_world(|world| {
        world.set("deaf");
        assert!(matches!(turn(&world.agent()), Err(Error::Transport { .. })));
        assert!(world.completions().is_empty());
        world.clear("deaf");
        assert_eq!(turn(&world.agent()).unwrap(), Turn::Worked);
        let log = world.log();
        assert_eq!(
            log.iter().filter(|line| *line == "run reload").count(),
            1,
            "{log:?}"
        );
        let done: Vec<_> = world
            .completions()
            .iter()
            .map(|completion| completion.job_id)
            .collect();
        assert_eq!(done, [ADD, INVENTORY]);
    });
}

#[test]
fn the_certificate_is_renewed_when_asked_for_and_in_its_last_third() {
    with_world(|world| {
        world.clear("jobs");
        let agent = world.agent();
        turn(&agent).unwrap();
        let first = fs::read(world.folder.join("state/identity.json")).unwrap();
        world.set("renew");
        assert_eq!(turn(&agent).unwrap(), idle());
        let second = fs::read(world.folder.join("state/identity.json")).unwrap();
        assert_ne!(first, second);
        world.clear("renew");
        drop(agent);
        // Of ten days, the last third begins after six and two thirds: NOW is one day in.
        for (days, renewed) in [(5, ""), (6, " with CSR")] {
            turn(&world.agent_at(NOW + days * DAY)).unwrap();
            let line = format!("register showing {AGENT_ID}{renewed}");
            assert_eq!(world.log().last(), Some(&line));
        }
        turn(&world.agent_at(NOW + 9 * DAY)).unwrap();
        let log = world.log();
        assert_eq!(log[log.len() - 2], "register showing nothing with CSR");
    });
}

#[test]
fn a_server_that_is_not_there_is_an_error_in_words() {
    with_world(|world| {
        let mut config = world.config();
        config.server_url = "https://127.0.0.1:9".to_owned();
        config.ca_bundle = world.folder.join("ca.pem");
        assert!(HttpsTransport::new(&config).is_err());
        let key = pki::PrivateKey::generate(pki::KeySpec::EcP256)
            .unwrap()
            .spki_der();
        let certificate = crate::testing::issue("ca", &key, 0, NOW);
        fs::write(
            &config.ca_bundle,
            pki::pem::encode("CERTIFICATE", certificate.der()),
        )
        .unwrap();
        let transport = HttpsTransport::new(&config).unwrap();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let body = Zeroizing::new(b"{}".to_vec());
        let error = runtime
            .block_on(transport.post(None, "Session/Register", body))
            .unwrap_err();
        assert!(error.to_string().contains("Session/Register"), "{error}");
        assert!(matches!(error, Error::Transport { .. }));
    });
}

const CHILD: &str = "CHANCERY_TEST_CHILD";
const STEPS_MAX: usize = 300;

/// Kills the agent before each of its file operations, from enrollment to the last report; the next agent ends up in
/// the same place, and does nothing twice that was decided.
#[test]
fn a_kill_at_any_file_step_loses_nothing_and_doubles_nothing() {
    let steps = (1..STEPS_MAX).take_while(|step| interrupted(*step)).count();
    assert!(
        (30..STEPS_MAX - 1).contains(&steps),
        "{steps} steps are not to be believed"
    );
}

fn interrupted(step: usize) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::child_of_the_kill_test"])
        .env(CHILD, &world.folder)
        .env("CHANCERY_KILL_AT_FILE_STEP", step.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(
        status.success() || status.code().is_none(),
        "the child failed by itself: {status}"
    );
    let decided = is_decided(&world.folder.join("state"));
    let reloads = |world: &World| {
        world
            .log()
            .iter()
            .filter(|line| *line == "run reload")
            .count()
    };
    let before = reloads(&world);
    let agent = world.agent();
    while turn(&agent).unwrap() != idle() {}
    if decided {
        assert_eq!(
            reloads(&world),
            before,
            "step {step}: the work was repeated"
        );
    }
    let entry = fs::read_to_string(world.store()).unwrap();
    let key = pki::PrivateKey::from_pem(&entry).unwrap();
    let leaf = pki::pem::parse(entry.as_bytes())
        .into_iter()
        .find(pki::pem::Block::is_certificate);
    let leaf = pki::Certificate::from_der(&leaf.unwrap().der).unwrap();
    assert_eq!(leaf.thumbprint(), world.thumbprint(), "step {step}");
    assert!(key.matches(&leaf), "step {step}");
    for job in [ADD, INVENTORY] {
        let completions = world.completions();
        let mut of_job = completions
            .iter()
            .filter(|completion| completion.job_id == job);
        let first = of_job
            .next()
            .unwrap_or_else(|| panic!("step {step}: {job} was lost"));
        assert_eq!(first.status, CompleteStatus::Success, "step {step}");
        assert!(
            of_job.all(|again| again == first),
            "step {step}: two outcomes"
        );
    }
    for path in ["state/outbox", "state/journal", "live"] {
        let left = fs::read_dir(world.folder.join(path)).unwrap().count();
        assert_eq!(left, usize::from(path == "live"), "step {step}: {path}");
    }
    !status.success()
}

/// Whether the Add has an outcome on disk.
fn is_decided(state: &Path) -> bool {
    let journal = fs::read_to_string(state.join(format!("journal/{ADD}.json"))).unwrap_or_default();
    journal.contains("\"Finished\"") || state.join(format!("outbox/{ADD}.json")).exists()
}

#[test]
fn child_of_the_kill_test() {
    let Ok(folder) = std::env::var(CHILD) else {
        return;
    };
    let agent = World::new(Path::new(&folder)).agent();
    while turn(&agent).unwrap() != idle() {}
}
