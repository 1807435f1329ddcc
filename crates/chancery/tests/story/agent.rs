//! `chancery agent` as a process.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use crate::{
    api::ACCOUNT,
    nginx::Nginx,
    process::{Process, chancery},
    server::{Orders, Server},
};

/// What the agent calls itself: the client machine of its stores.
pub(crate) const MACHINE: &str = "web1.example";
/// The profile that tests, reloads and proves the site.
pub(crate) const PROFILE: &str = "nginx";
/// A profile whose probe looks at another place.
pub(crate) const PROFILE_OF_ANOTHER_SITE: &str = "another-site";
/// Where this file exists, the reload fails.
const RELOAD_FAILS: &str = "reload-fails";

/// An agent beside an nginx, through all its restarts.
pub(crate) struct Agent {
    folder: PathBuf,
    starts: u32,
    process: Option<Process>,
}

impl Agent {
    /// Writes the configuration of an agent of this name.
    pub(crate) fn configured(folder: &Path, name: &str, server: &Server, nginx: &Nginx) -> Self {
        std::fs::create_dir_all(folder).expect("folders can be made");
        // The reload as an administrator's script, so that a test can make it fail.
        let reload = folder.join("reload.sh");
        let command = nginx.reload_command().join(" ");
        let mark = folder.join(RELOAD_FAILS);
        let script = format!(
            "if [ -e {} ]; then echo the reload is broken; exit 1; fi\nexec {command}\n",
            mark.display()
        );
        std::fs::write(&reload, script).expect("a file can be written");
        let mut configuration = format!(
            "server_url = {:?}\nname = {name:?}\nca_bundle = {:?}\nstate_dir = {:?}\nallowed_paths = [{:?}]\n\
             username = {:?}\npassword = {:?}\npoll_seconds = 0.1\n",
            server.url(),
            server.roots_file(),
            folder.join("state"),
            nginx.tls(),
            ACCOUNT.0,
            ACCOUNT.1,
        );
        for (profile, port, patience_ms) in [
            (PROFILE, nginx.port, 20_000),
            (PROFILE_OF_ANOTHER_SITE, nginx.other_port, 600),
        ] {
            write!(
                configuration,
                "\n[[profile]]\nname = {profile:?}\ntest_command = {:?}\nreload = [\"sh\", {reload:?}]\n\
                 probe_address = \"127.0.0.1:{port}\"\nprobe_timeout_ms = {patience_ms}\n",
                nginx.test_command(),
            )
            .expect("text can be written");
        }
        std::fs::write(folder.join("agent.toml"), configuration).expect("a file can be written");
        Self {
            folder: folder.to_owned(),
            starts: 0,
            process: None,
        }
    }

    /// Starts it on what is there.
    pub(crate) fn start(&mut self, orders: &Orders) {
        self.process = None;
        self.starts += 1;
        let log = self.folder.join(format!("agent-{}.log", self.starts));
        let mut command = chancery();
        command
            .arg("agent")
            .arg("--config")
            .arg(self.folder.join("agent.toml"))
            .envs(orders.iter().map(|(name, value)| (*name, value.clone())));
        self.process = Some(Process::start("agent", &mut command, &log));
    }

    /// Ends it in good order.
    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.stop();
        }
    }

    /// Whether it ended itself at its kill point.
    pub(crate) fn has_aborted(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::has_aborted)
    }

    /// From now on its reload command fails, or does not any more.
    pub(crate) fn break_reload(&self, broken: bool) {
        let mark = self.folder.join(RELOAD_FAILS);
        match broken {
            true => std::fs::write(mark, "").expect("a file can be written"),
            false => std::fs::remove_file(mark).expect("a file can be removed"),
        }
    }

    /// The folders of operations under way and of reports that wait; empty when it has nothing to do.
    pub(crate) fn journals(&self) -> [PathBuf; 2] {
        ["journal", "outbox"].map(|name| self.folder.join("state").join(name))
    }

    /// What it keeps about itself: GUID, certificate and key.
    pub(crate) fn identity(&self) -> serde_json::Value {
        let text = std::fs::read_to_string(self.folder.join("state/identity.json"));
        serde_json::from_str(&text.expect("the agent is enrolled")).expect("it is JSON")
    }
}
