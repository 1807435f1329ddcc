//! `chancery serve` as a process.

use std::{
    ffi::OsString,
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
};

use crate::{
    api::ACCOUNT,
    database::Database,
    nginx::free_port,
    process::{Process, chancery},
    until::until,
};

/// Variables of the environment that make a process log or end at its kill points.
pub(crate) type Orders = Vec<(&'static str, OsString)>;

/// A server on one port and one data folder, through all its restarts.
pub(crate) struct Server {
    folder: PathBuf,
    database: Database,
    port: u16,
    starts: u32,
    process: Option<Process>,
}

impl Server {
    /// A first start on an empty machine, and an administrator.
    pub(crate) async fn first(folder: &Path, database: Database) -> Self {
        std::fs::create_dir_all(folder).expect("folders can be made");
        let mut server = Self {
            folder: folder.to_owned(),
            database,
            port: free_port(),
            starts: 0,
            process: None,
        };
        server.start(&Orders::new()).await;
        server.write_roots_file();
        server.create_account();
        server
    }

    /// Where it is reached.
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The file with the certificate to trust, PEM: the root, last in the chain that the server shows.
    pub(crate) fn roots_file(&self) -> PathBuf {
        self.folder.join("root.pem")
    }

    /// What is in it.
    pub(crate) fn roots(&self) -> String {
        std::fs::read_to_string(self.roots_file()).expect("it was written at the first start")
    }

    fn write_roots_file(&self) {
        let chain = std::fs::read(self.folder.join("data/tls/server.pem"))
            .expect("the server has a certificate");
        let root = pki::pem::certificates(&chain)
            .pop()
            .expect("a chain has a last certificate");
        let certificate = pki::Certificate::from_der(&root).expect("it is a certificate");
        assert!(certificate.is_self_issued(), "the chain ends with the root");
        std::fs::write(self.roots_file(), pki::pem::encode("CERTIFICATE", &root))
            .expect("a file can be written");
    }

    /// Starts it on what is there, and waits until it answers.
    pub(crate) async fn start(&mut self, orders: &Orders) {
        self.process = None;
        self.starts += 1;
        let log = self.folder.join(format!("server-{}.log", self.starts));
        let address = format!("127.0.0.1:{}", self.port);
        let mut command = chancery();
        command
            .arg("serve")
            .arg("--data-dir")
            .arg(self.folder.join("data"))
            .args(self.database.flags())
            .args(["--listen", &address, "--log", "info"])
            .envs(orders.iter().map(|(name, value)| (*name, value.clone())));
        let process = self
            .process
            .insert(Process::start("server", &mut command, &log));
        until("the server listens", async || {
            let printed = process.printed();
            if let Some(status) = process.ended() {
                panic!("the server ended at its start: {status}\n{printed}");
            }
            match printed.contains("Chancery listens on") {
                true => Ok(()),
                false => Err(printed),
            }
        })
        .await;
    }

    /// Ends it in good order and starts it again.
    pub(crate) async fn restart(&mut self, orders: &Orders) {
        if let Some(process) = &mut self.process {
            process.stop();
        }
        self.start(orders).await;
    }

    /// Whether it ended itself at its kill point.
    pub(crate) fn has_aborted(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::has_aborted)
    }

    fn create_account(&self) {
        let (name, password) = ACCOUNT;
        let mut command = chancery();
        command
            .args(["admin", "create-account", "--data-dir"])
            .arg(self.folder.join("data"))
            .args(self.database.flags())
            .args(["--role", "Administrator", "--password-stdin", name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program can be started");
        let mut stdin = child.stdin.take().expect("it was asked for");
        stdin
            .write_all(password.as_bytes())
            .expect("the program reads");
        drop(stdin);
        let output = child.wait_with_output().expect("the program ends");
        let says = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "admin create-account: {}\n{says}",
            output.status
        );
    }
}
