//! One change of a store's files: swap, test, reload, prove; or all of it undone.

use std::{path::PathBuf, time::Duration};

use zeroize::Zeroizing;

use crate::{
    Operation, Outcome, Permissions, Profile, Result,
    file_system::Existing,
    journal::{self, Journal, Phase, Target},
};

const PROBE_PAUSE: Duration = Duration::from_millis(100);
/// One handshake may take so long at most, so that a hanging old process does not use up the whole probe time.
const PROBE_ATTEMPT: Duration = Duration::from_secs(3);

/// One file's new contents.
pub(crate) struct Change {
    /// The real path, resolved by the allowed paths.
    pub(crate) path: PathBuf,
    /// As it was read when the change was planned.
    pub(crate) old: Option<Existing>,
    /// As it shall be.
    pub(crate) new: Zeroizing<Vec<u8>>,
    /// Mode and owner of the new file.
    pub(crate) permissions: Permissions,
}

/// What the probe has to see. Thumbprints are upper-case hex SHA-1.
#[derive(Clone, Debug)]
pub(crate) enum Expectation {
    /// No probe.
    Nothing,
    /// This certificate.
    Served(String),
    /// Any other certificate, or none at all.
    NotServed(String),
}

/// Changes the files, in the order given, and proves the result; the journal is left `Finished`.
pub(crate) fn deploy(
    operation: &Operation<'_>,
    profile: Option<&Profile>,
    changes: &[Change],
    expectation: &Expectation,
    success: &str,
) -> Outcome {
    let targets: Vec<Target> = changes
        .iter()
        .map(|change| {
            Target::new(
                &change.path,
                change.old.as_ref(),
                &change.new,
                operation.job_id,
            )
        })
        .collect();
    let prepared = journal_of(operation, profile, Phase::Prepared { targets });
    if let Err(error) = prepared.write(operation.journal_directory, operation.file_system) {
        return Outcome::refused(format!("nothing was changed: {error}"));
    }
    let Phase::Prepared { targets } = &prepared.phase else {
        return Outcome::refused("nothing was changed");
    };
    let mut progress = Progress::default();
    let (directory, file_system) = (operation.journal_directory, operation.file_system);
    let done = journal::supersede(directory, operation.job_id, targets, file_system)
        .and_then(|()| swap(operation, changes, targets))
        .map_err(|error| error.to_string())
        .and_then(|()| prove(operation, profile, expectation, &mut progress));
    let outcome = match done {
        Ok(proof) => Outcome::Success(format!("{success}{proof}")),
        Err(reason) => undo(operation, profile, targets, expectation, &progress, &reason),
    };
    // An undo that failed keeps its backups: the next start tries again.
    if matches!(
        outcome,
        Outcome::Failure {
            rolled_back: false,
            ..
        }
    ) {
        return outcome;
    }
    let finished = journal_of(
        operation,
        profile,
        Phase::Finished {
            outcome: outcome.clone(),
        },
    );
    match finished.write(operation.journal_directory, operation.file_system) {
        Ok(()) => outcome,
        // Without the decision on disk the next start would undo what was reported as done.
        Err(error) => {
            let reason = format!("the outcome could not be written down: {error}");
            undo(operation, profile, targets, expectation, &progress, &reason)
        }
    }
}

#[derive(Default)]
struct Progress {
    reloaded: bool,
    served: Option<String>,
}

fn journal_of(operation: &Operation<'_>, profile: Option<&Profile>, phase: Phase) -> Journal {
    Journal {
        job_id: operation.job_id,
        note: operation.note.to_owned(),
        profile: profile.map(|profile| profile.name.clone()),
        phase,
    }
}

fn swap(operation: &Operation<'_>, changes: &[Change], targets: &[Target]) -> Result<()> {
    let file_system = operation.file_system;
    for (change, target) in changes.iter().zip(targets) {
        file_system.write_temporary(&target.temporary, &change.new, change.permissions)?;
    }
    for target in targets {
        file_system.rename(&target.temporary, &target.path)?;
    }
    for target in targets {
        file_system.sync_folder_of(&target.path)?;
    }
    Ok(())
}

fn prove(
    operation: &Operation<'_>,
    profile: Option<&Profile>,
    expectation: &Expectation,
    progress: &mut Progress,
) -> std::result::Result<String, String> {
    let Some(profile) = profile else {
        return Ok(String::new());
    };
    run(
        operation,
        profile,
        &profile.test_command,
        "the test command",
    )?;
    progress.reloaded = !profile.reload.is_empty();
    run(operation, profile, &profile.reload, "the reload")?;
    let Some(address) = &profile.probe_address else {
        return Ok(String::new());
    };
    probe(operation, profile, address, expectation, progress)
}

fn run(
    operation: &Operation<'_>,
    profile: &Profile,
    command: &[String],
    what: &str,
) -> std::result::Result<(), String> {
    if command.is_empty() {
        return Ok(());
    }
    let line = command.join(" ");
    let output = operation
        .host
        .run(command, profile.command_timeout())
        .map_err(|error| format!("{what} ({line}) failed: {error}"))?;
    match output.status {
        Some(0) => Ok(()),
        Some(status) => Err(format!(
            "{what} ({line}) failed with status {status}: {}",
            output.text
        )),
        None => Err(format!(
            "{what} ({line}) was ended by a signal: {}",
            output.text
        )),
    }
}

/// Asks until the expectation holds or the profile's time is up: after a reload old processes may answer for a while.
fn probe(
    operation: &Operation<'_>,
    profile: &Profile,
    address: &str,
    expectation: &Expectation,
    progress: &mut Progress,
) -> std::result::Result<String, String> {
    if matches!(expectation, Expectation::Nothing) {
        return Ok(String::new());
    }
    let host = operation.host;
    let deadline = host.elapsed() + profile.probe_timeout();
    loop {
        let left = deadline.saturating_sub(host.elapsed());
        let attempt = left.min(PROBE_ATTEMPT).max(PROBE_PAUSE);
        let name = profile.probe_server_name.as_deref();
        let served = host
            .served_certificate(address, name, attempt)
            .and_then(|der| {
                pki::Certificate::read(&der)
                    .map(|reading| reading.certificate.thumbprint())
                    .map_err(|error| format!("{address} serves an unreadable certificate: {error}"))
            });
        progress.served = served.as_ref().ok().cloned();
        let problem = match (expectation, served) {
            (Expectation::Served(expected), Ok(thumbprint)) if thumbprint == *expected => {
                return Ok(format!("; {address} serves {thumbprint}"));
            }
            (Expectation::NotServed(gone), served) if served.as_ref() != Ok(gone) => {
                return Ok(format!("; {address} does not serve it any more"));
            }
            (Expectation::NotServed(gone), _) => format!("{address} still serves {gone}"),
            (Expectation::Served(expected), Ok(thumbprint)) => {
                format!("{address} serves {thumbprint} instead of {expected}")
            }
            (Expectation::Served(expected), Err(error)) => {
                format!("{address} does not serve {expected}: {error}")
            }
            (Expectation::Nothing, _) => return Ok(String::new()),
        };
        if host.elapsed() >= deadline {
            let waited = profile.probe_timeout_ms;
            return Err(format!("the probe failed after {waited} ms: {problem}"));
        }
        host.pause(PROBE_PAUSE);
    }
}

fn undo(
    operation: &Operation<'_>,
    profile: Option<&Profile>,
    targets: &[Target],
    expectation: &Expectation,
    progress: &Progress,
    reason: &str,
) -> Outcome {
    let mut message = reason.to_owned();
    let rolled_back = match journal::restore(targets, operation.file_system) {
        Ok(()) => {
            message.push_str("; the old files were restored");
            true
        }
        Err(error) => {
            message.push_str(&format!("; the old files could not be restored: {error}"));
            false
        }
    };
    if let Some(profile) = profile.filter(|_| progress.reloaded) {
        match run(operation, profile, &profile.reload, "the reload") {
            Ok(()) => message.push_str(" and loaded again"),
            Err(error) => message.push_str(&format!(", but {error}")),
        }
    }
    let expected_thumbprint = match expectation {
        Expectation::Served(expected) => Some(expected.clone()),
        _ => None,
    };
    let served_thumbprint = progress.served.clone();
    Outcome::Failure {
        message,
        rolled_back,
        expected_thumbprint,
        served_thumbprint,
    }
}
