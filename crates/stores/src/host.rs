//! Commands and the network: the outside world that tests stand in for.

use std::{
    fmt::Write as _,
    io::Read,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crate::probe;

/// At most so much of a command's output is kept, in bytes per stream.
const OUTPUT_MAX_BYTES: u64 = 64 * 1024;
/// So much of it goes into a message, in characters.
const OUTPUT_IN_MESSAGE_CHARACTERS: usize = 300;
const COMMAND_POLL: Duration = Duration::from_millis(5);
/// How long output may lag behind the end of its command.
const OUTPUT_GRACE: Duration = Duration::from_millis(200);

/// What a deployment needs beyond files.
pub trait Host: Send + Sync {
    /// Runs a program with its arguments, no shell. An error is one of starting or of time, in words.
    fn run(&self, command: &[String], timeout: Duration) -> Result<CommandOutput, String>;

    /// Opens one TLS connection and gives the served leaf, DER. An error says in words why there was none.
    fn served_certificate(
        &self,
        address: &str,
        server_name: Option<&str>,
        timeout: Duration,
    ) -> Result<Vec<u8>, String>;

    /// A clock that only goes forward, for timeouts.
    fn elapsed(&self) -> Duration;

    /// Waits.
    fn pause(&self, duration: Duration);
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandOutput {
    /// Exit status; none if a signal ended it.
    pub status: Option<i32>,
    /// What it said, errors first, cut to a readable length.
    pub text: String,
}

/// The real thing.
#[derive(Clone, Copy, Debug)]
pub struct LocalHost {
    started: Instant,
}

impl LocalHost {
    /// This machine.
    #[expect(
        clippy::new_without_default,
        reason = "it reads the clock, a default should not"
    )]
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Host for LocalHost {
    fn run(&self, command: &[String], timeout: Duration) -> Result<CommandOutput, String> {
        let (program, arguments) = command.split_first().ok_or("the command is empty")?;
        let mut builder = Command::new(program);
        builder
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // Our own settings may hold a password; no command has a use for them.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CHANCERY_") {
                builder.env_remove(name);
            }
        }
        let mut child = builder
            .spawn()
            .map_err(|error| format!("{program} could not be started: {error}"))?;
        let errors = collect(child.stderr.take());
        let output = collect(child.stdout.take());
        let deadline = self.elapsed() + timeout;
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if self.elapsed() < deadline => self.pause(COMMAND_POLL),
                Ok(None) => {
                    // It may have ended in between, in which case there is nothing to kill.
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(format!(
                        "{program} did not end within {} ms",
                        timeout.as_millis()
                    ));
                }
                Err(error) => return Err(format!("{program} could not be awaited: {error}")),
            }
        };
        // A child of the command may keep the pipes open for ever; what came so far must do.
        let mut text = errors.recv_timeout(OUTPUT_GRACE).unwrap_or_default();
        text.push('\n');
        text.push_str(&output.recv_timeout(OUTPUT_GRACE).unwrap_or_default());
        Ok(CommandOutput {
            status: status.code(),
            text: readable(&text),
        })
    }

    fn served_certificate(
        &self,
        address: &str,
        server_name: Option<&str>,
        timeout: Duration,
    ) -> Result<Vec<u8>, String> {
        probe::served_certificate(address, server_name, timeout)
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn pause(&self, duration: Duration) {
        thread::sleep(duration);
    }
}

fn collect(stream: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // An unreadable stream gives less text, no more.
            let _ = stream
                .by_ref()
                .take(OUTPUT_MAX_BYTES)
                .read_to_end(&mut bytes);
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

fn readable(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        let separator = if line.is_empty() { "" } else { " " };
        // Writing to a String cannot fail.
        let _ = write!(line, "{separator}{word}");
    }
    match line.char_indices().nth(OUTPUT_IN_MESSAGE_CHARACTERS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Vec<String> {
        ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
    }

    #[test]
    fn a_command_gives_status_and_words() {
        let host = LocalHost::new();
        let output = host.run(
            &shell("echo out; echo '  bad   config' >&2; exit 3"),
            Duration::from_secs(10),
        );
        let expected = CommandOutput {
            status: Some(3),
            text: "bad config out".to_owned(),
        };
        assert_eq!(output, Ok(expected));
    }

    #[test]
    fn a_command_that_hangs_is_ended() {
        let error = LocalHost::new().run(&shell("exec sleep 60"), Duration::from_millis(30));
        assert!(error.unwrap_err().contains("did not end within 30 ms"));
    }

    #[test]
    fn a_missing_program_is_named() {
        let command = ["/nonexistent/program".to_owned()];
        let error = LocalHost::new()
            .run(&command, Duration::from_secs(1))
            .unwrap_err();
        assert!(error.contains("/nonexistent/program"), "{error}");
        assert!(LocalHost::new().run(&[], Duration::from_secs(1)).is_err());
    }
}
