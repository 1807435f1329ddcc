//! The stage: a server, an nginx, an agent beside it, and a client. Whoever ends itself at a kill point is started again.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    agent::{Agent, MACHINE, PROFILE},
    api::{Api, Trouble, items, text},
    database::{self, Database, Kind},
    handshake,
    nginx::Nginx,
    order::Certificate,
    server::{Orders, Server},
    until::until,
};

/// `Agents` status of one that may work.
const APPROVED: i64 = 2;
/// The built-in store type PEM.
const PEM: i64 = 2;

/// How the site's certificate and key lie on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Files {
    /// In one file: every moment shows the old pair or the new one.
    Together,
    /// In two files, as most sites have it: there is a moment between the two.
    Apart,
}

/// What nginx was to be seen doing when the agent had just died.
#[derive(Debug)]
pub(crate) struct AtDeath {
    /// Whether an nginx that started at this moment would find a matching pair.
    pub(crate) pair_matches: bool,
    /// Thumbprint of the certificate that the running nginx served.
    pub(crate) served: String,
}

/// Everything the story needs. The parts end in this order.
pub(crate) struct Scene {
    pub(crate) agent: Agent,
    pub(crate) server: Server,
    pub(crate) nginx: Nginx,
    pub(crate) api: Api,
    /// GUID of the agent.
    pub(crate) agent_id: String,
    pub(crate) files: Files,
    /// What a server is told that takes the place of one that ended itself.
    pub(crate) next_server: Orders,
    /// The same for the agent.
    pub(crate) next_agent: Orders,
    pub(crate) server_deaths: u32,
    pub(crate) agent_deaths: Vec<AtDeath>,
    folder: TempDir,
}

impl Scene {
    /// An empty machine, a first start, an agent that was approved. `None` where the database is not to be had.
    pub(crate) async fn open(kind: Kind, files: Files) -> Option<Self> {
        let database = Database::fresh(kind).await?;
        let folder = database::folder();
        let place = |part: &str| folder.path().join(part);
        let nginx = Nginx::start(&place("nginx"), files == Files::Apart).await;
        let server = Server::first(&place("server"), database).await;
        let api = Api::new(&server.url(), &server.roots());
        let mut agent = Agent::configured(&place("agent"), MACHINE, &server, &nginx);
        agent.start(&Orders::new());
        let agent_id = registered(&api, MACHINE).await;
        api.post("/Agents/Approve", json!([agent_id])).await;
        enrolled(&api, &agent_id).await;
        Some(Self {
            agent,
            server,
            nginx,
            api,
            agent_id,
            files,
            next_server: Orders::new(),
            next_agent: Orders::new(),
            server_deaths: 0,
            agent_deaths: Vec::new(),
            folder,
        })
    }

    /// A path for a file of the test's own.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts again whoever ended itself.
    pub(crate) async fn tend(&mut self) {
        if self.server.has_aborted() {
            self.server_deaths += 1;
            let orders = std::mem::take(&mut self.next_server);
            self.server.start(&orders).await;
        }
        if self.agent.has_aborted() {
            let pair_matches = self.nginx.finds_matching_pairs();
            self.agent_deaths.push(AtDeath {
                pair_matches,
                served: self.nginx.served(),
            });
            let orders = std::mem::take(&mut self.next_agent);
            self.agent.start(&orders);
        }
    }

    /// Asks for something that may be repeated, and repeats it when the server dies over it.
    pub(crate) async fn see(&mut self, path: &str, query: &[(&str, &str)]) -> Value {
        loop {
            match self.api.call(Method::GET, path, query, None).await {
                Ok(answer) => return answer,
                Err(Trouble::NoAnswer(why)) => self.wait_for_a_new_server(&why).await,
                Err(refused) => panic!("GET {path} {query:?}: {refused}"),
            }
        }
    }

    /// Asks once for something that must not be done twice. `None` when the server died over it: the client has to look
    /// whether it was done.
    pub(crate) async fn ask(&mut self, path: &str, body: &Value) -> Option<Value> {
        match self.api.call(Method::POST, path, &[], Some(body)).await {
            Ok(answer) => Some(answer),
            Err(Trouble::NoAnswer(why)) => {
                self.wait_for_a_new_server(&why).await;
                None
            }
            Err(refused) => panic!("POST {path} {body}: {refused}"),
        }
    }

    /// # Panics
    /// When the server did not die: then the missing answer is its fault.
    async fn wait_for_a_new_server(&mut self, why: &str) {
        let deaths = self.server_deaths;
        until(
            "the server that gave no answer has ended itself",
            async || {
                self.tend().await;
                if self.server_deaths > deaths {
                    Ok(())
                } else {
                    Err(why.to_owned())
                }
            },
        )
        .await;
    }

    /// The request that makes the store of the site's files.
    pub(crate) fn site(&self) -> Value {
        let mut properties = json!({ "Profile": PROFILE });
        if self.files == Files::Apart {
            properties["separatePrivateKey"] = "true".into();
            properties["privateKeyPath"] = shown(&self.nginx.site_key()).into();
        }
        self.store_at(&self.nginx.site(), &properties)
    }

    /// The request that makes a store of a file beside the site's that nothing serves.
    pub(crate) fn spare(&self, name: &str) -> Value {
        self.store_at(&self.nginx.tls().join(name), &json!({}))
    }

    /// The request that makes a PEM store.
    pub(crate) fn store_at(&self, path: &Path, properties: &Value) -> Value {
        json!({
            "ClientMachine": MACHINE,
            "Storepath": shown(path),
            "CertStoreType": PEM,
            "AgentId": self.agent_id,
            "Properties": properties.to_string(),
        })
    }

    /// Sees to it that the site serves exactly this certificate to a client that trusts our root only. The agent has
    /// proved it already; but a worker of nginx that was told to end may take another connection before it does.
    pub(crate) async fn serves(&self, certificate: &Certificate) {
        until(
            "the site serves what was ordered",
            async || match handshake::proven(
                &self.server.roots(),
                self.nginx.port,
                &certificate.name,
            ) {
                Ok(thumbprint) if thumbprint == certificate.thumbprint => Ok(()),
                other => Err(format!("{other:?} instead of {certificate:?}")),
            },
        )
        .await;
    }
}

/// Waits until an agent of this name has registered. Answers its GUID.
pub(crate) async fn registered(api: &Api, name: &str) -> String {
    until("the agent has registered", async || {
        let agents = agents_named(api, name).await;
        agents
            .first()
            .map(|agent| text(agent, "AgentId"))
            .ok_or_else(|| "no agent".to_owned())
    })
    .await
}

/// Waits until an approved agent has been given its certificate.
pub(crate) async fn enrolled(api: &Api, id: &str) {
    until("the agent is enrolled", async || {
        let agent = api.get(&format!("/Agents/{id}"), &[]).await;
        let has_certificate = agent["Thumbprint"]
            .as_str()
            .is_some_and(|thumbprint| !thumbprint.is_empty());
        let is_approved = agent["Status"] == APPROVED || agent["Status"] == "Approved";
        if has_certificate && is_approved {
            Ok(())
        } else {
            Err(agent.to_string())
        }
    })
    .await;
}

/// All agents of this name.
pub(crate) async fn agents_named(api: &Api, name: &str) -> Vec<Value> {
    let query = format!("ClientMachine -eq \"{name}\"");
    items(api.get("/Agents", &[("QueryString", &query)]).await)
}

fn shown(path: &Path) -> String {
    path.to_str().expect("our paths are text").to_owned()
}
