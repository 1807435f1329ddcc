//! A program that runs beside the test, its output in a file.

use std::{
    fs::File,
    io::Write,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

const SIGABRT: i32 = 6;
const END_DEADLINE: Duration = Duration::from_secs(30);

/// The program under test.
pub(crate) fn chancery() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chancery"));
    // Nothing of the environment of the test may reach it, its settings least of all.
    command.env_clear();
    for name in ["PATH", "HOME", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// Runs a command that ends by itself.
///
/// # Panics
/// With what it printed, when it fails.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let printed = text(&output.stdout);
    let status = output.status;
    assert!(
        status.success(),
        "{command:?}: {status}\n{printed}{}",
        text(&output.stderr)
    );
    printed
}

/// A process that is killed when the test ends.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    pub(crate) fn start(name: &'static str, command: &mut Command, log: &Path) -> Self {
        let out = File::create(log).expect("the log can be created");
        let err = out.try_clone().expect("a file can be shared");
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
        Self {
            name,
            child,
            log: log.to_owned(),
        }
    }

    /// Everything it has printed so far.
    pub(crate) fn printed(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// Whether it ended itself at its kill point.
    ///
    /// # Panics
    /// When it ended in any other way: then it is the program that is broken.
    pub(crate) fn has_aborted(&mut self) -> bool {
        match self.ended() {
            None => false,
            Some(status) if status.signal() == Some(SIGABRT) => {
                let printed = self.printed();
                assert!(
                    !printed.contains("panicked at"),
                    "the {} panicked:\n{printed}",
                    self.name
                );
                true
            }
            Some(status) => panic!("the {} ended: {status}\n{}", self.name, self.printed()),
        }
    }

    /// Ends it at once, as a loss of power would.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn stop(&mut self) {
        run(Command::new("kill").arg(self.child.id().to_string()));
        assert!(
            self.end_by_itself(),
            "the {} does not end:\n{}",
            self.name,
            self.printed()
        );
    }

    /// Waits for its end; false if that takes too long.
    pub(crate) fn end_by_itself(&mut self) -> bool {
        let begin = Instant::now();
        while self.ended().is_none() {
            if begin.elapsed() > END_DEADLINE {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let printed = self.printed();
            let lines: Vec<&str> = printed.lines().collect();
            let last = lines[lines.len().saturating_sub(25)..].join("\n");
            let log = self.log.display();
            // Nothing can be done about a standard error that is gone.
            let _ = writeln!(
                std::io::stderr(),
                "--- the {}, {log}, at its end:\n{last}",
                self.name
            );
        }
    }
}
