//! A private PostgreSQL for one run of the tests or benchmarks: its data in a folder that goes away, on a free port, as a user other than root.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::packages;

/// How long the server may take to start.
const START_LIMIT: Duration = Duration::from_secs(60);
/// What a folder in memory must have free to be used, in KiB.
const ROOM_KIB: u64 = 3 * 1024 * 1024;
/// Runs the server until its standard input ends, which it does when this process ends, however that happens; then stops it and
/// takes its folder away. Arguments: folder of the programs, folder of the server, port, autovacuum.
const SUPERVISOR: &str = r#"
"$1/postgres" -D "$2/data" -p "$3" -c listen_addresses=127.0.0.1 -c "unix_socket_directories=$2" \
  -c max_connections=300 -c shared_buffers=128MB -c "autovacuum=$4" >"$2/log" 2>&1 </dev/null &
server=$!
read -r _
kill -INT "$server"
wait "$server"
rm -rf "$2"
"#;

/// The server. It stops when this value goes away.
pub(crate) struct Server {
    supervisor: Child,
    folder: PathBuf,
    port: u16,
}

impl Server {
    /// Makes a cluster below `place` and starts it. What it says is on disk is on disk, as far as the place is one. With
    /// `autovacuum` it is as installed; many short-lived databases are better off without.
    pub(crate) fn start(place: &Path, autovacuum: bool) -> Result<Self> {
        let programs =
            packages::postgres_folder().context("the programs of PostgreSQL are not here")?;
        let user = user()?;
        let folder = place.join(format!("chancery-postgres-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        if let Some((user_id, group_id)) = user {
            chown(&folder, Some(user_id), Some(group_id))?;
        }
        let mut initdb = Command::new(programs.join("initdb"));
        // Local connections are trusted: the server listens on this machine only, and holds nothing of value.
        initdb.arg("-D").arg(folder.join("data")).args([
            "-U",
            "chancery",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "-N",
        ]);
        let made = as_user(&mut initdb, user, &folder)
            .stdout(Stdio::null())
            .output()
            .context("initdb")?;
        if !made.status.success() {
            bail!("initdb: {}", String::from_utf8_lossy(&made.stderr));
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut supervisor = Command::new("sh");
        supervisor
            .args(["-c", SUPERVISOR, "sh"])
            .arg(&programs)
            .arg(&folder)
            .arg(port.to_string())
            .arg(if autovacuum { "on" } else { "off" });
        as_user(&mut supervisor, user, &folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        // Its own group: the terminal's interrupt is for us, and reaches it through its standard input.
        let supervisor = supervisor.process_group(0).spawn().context("sh")?;
        let server = Self {
            supervisor,
            folder,
            port,
        };
        server.wait()?;
        Ok(server)
    }

    /// The address of its administrator.
    pub(crate) fn address(&self) -> String {
        format!("postgres://chancery@127.0.0.1:{}/postgres", self.port)
    }

    fn wait(&self) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < START_LIMIT {
            let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            let ready = log.contains("database system is ready to accept connections");
            if ready && TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        bail!("PostgreSQL did not start within {START_LIMIT:?}: {log}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        drop(self.supervisor.wait());
    }
}

/// A folder in memory where there is room, otherwise the temporary folder.
pub(crate) fn roomy_folder() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let output = Command::new("df").args(["-Pk", "/dev/shm"]).output();
    let free = output.ok().and_then(|output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines()
            .nth(1)?
            .split_whitespace()
            .nth(3)?
            .parse::<u64>()
            .ok()
    });
    if free.is_some_and(|free| free >= ROOM_KIB) {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    }
}

/// Who we are.
pub(crate) fn own_user_id() -> Option<u32> {
    std::fs::metadata("/proc/self")
        .ok()
        .map(|metadata| metadata.uid())
}

/// Whom to run the server as, user and group: PostgreSQL refuses root. `None` to stay who we are.
fn user() -> Result<Option<(u32, u32)>> {
    if own_user_id() != Some(0) {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd")?;
    for name in ["postgres", "nobody"] {
        let line = users
            .lines()
            .find(|line| line.split(':').next() == Some(name));
        let cells: Vec<&str> = line.unwrap_or_default().split(':').collect();
        if let (Some(user_id), Some(group_id)) = (cells.get(2), cells.get(3)) {
            return Ok(Some((user_id.parse()?, group_id.parse()?)));
        }
    }
    bail!("PostgreSQL must not run as root, and there is no user postgres or nobody")
}

fn as_user<'c>(
    command: &'c mut Command,
    user: Option<(u32, u32)>,
    folder: &Path,
) -> &'c mut Command {
    if let Some((user_id, group_id)) = user {
        command.uid(user_id).gid(group_id);
    }
    command.current_dir(folder).env("HOME", folder)
}
