//! Many agents, each with a store and a job: how fast jobs are made, and how fast they are handed out and ended.

use std::time::Instant;

use agent_protocol as wire;
use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt, TryStreamExt, stream};
use pki::{CertificateRequest, DistinguishedName, KeySpec, PrivateKey};
use serde_json::{Value, json};

use crate::client::Api;
use crate::server::Server;

/// Agents that act at the same moment.
const AT_ONCE: usize = 32;

/// What the run came to.
pub(crate) struct Jobs {
    pub(crate) jobs: usize,
    pub(crate) created_per_second: f64,
    pub(crate) completed_per_second: f64,
    /// Of each job handed out and completed, in microseconds.
    pub(crate) cost: Value,
}

/// An agent that is let in.
pub(crate) struct Agent {
    /// Certificate DER and key PKCS#8 DER.
    pub(crate) identity: (Vec<u8>, Vec<u8>),
    pub(crate) id: String,
    pub(crate) name: String,
}

/// What an agent says first.
pub(crate) fn register(name: &str, request: Option<&CertificateRequest>, id: &str) -> Value {
    json!({
        "AgentPlatform": 1, "AgentVersion": 1, "TenantId": "00000000-0000-0000-0000-000000000000", "ClientMachine": name,
        "CSR": request.map(|request| STANDARD.encode(request.der())), "AgentId": id,
        "Capabilities": ["CertStores.PEM.Inventory", "CertStores.PEM.Management"], "ClientParameters": {},
        "Chancery": { "Version": "bench", "Hostname": name, "Profiles": [] }
    })
}

/// Registers agents, gives each a store, adds one certificate to all of them, and lets the agents end their jobs.
pub(crate) async fn run(server: &Server, count: usize) -> anyhow::Result<Jobs> {
    let admin = server.api()?;
    let agents: Vec<Agent> = stream::iter(0..count)
        .map(|number| enroll(&admin, number))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let stores: Vec<String> = stream::iter(&agents)
        .map(|agent| async {
            let body = json!({
                "ClientMachine": agent.name, "StorePath": "/srv/tls/site.pem", "CertStoreType": 2, "AgentId": agent.id,
                "Properties": "{}", "Approved": true
            });
            let store = admin.post("/KeyfactorAPI/CertificateStores", &body).await?;
            store["Id"].as_str().map(str::to_owned).context("the store's Id")
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let list = admin.get("/Certificates?ReturnLimit=1").await?;
    let certificate_id = list[0]["Id"].as_i64().context("a certificate")?;

    let began = Instant::now();
    let jobs: usize = stream::iter(stores.chunks(50))
        .map(|chunk| async {
            let targets: Vec<Value> =
                chunk.iter().map(|store| json!({ "CertificateStoreId": store, "IncludePrivateKey": false, "Overwrite": true })).collect();
            let body = json!({ "CertificateId": certificate_id, "CertificateStores": targets, "Schedule": { "Immediate": true } });
            let ids = admin.post("/KeyfactorAPI/CertificateStores/Certificates/Add", &body).await?;
            Ok::<_, anyhow::Error>(ids.as_array().map_or(0, Vec::len))
        })
        .buffer_unordered(4)
        .try_fold(0, |sum, made| async move { Ok(sum + made) })
        .await?;
    let created_per_second = jobs as f64 / began.elapsed().as_secs_f64();

    let before = server.cost()?;
    let began = Instant::now();
    let done: usize = stream::iter(&agents)
        .map(|agent| work(server, agent))
        .buffer_unordered(AT_ONCE)
        .try_fold(0, |sum, done| async move { Ok(sum + done) })
        .await?;
    anyhow::ensure!(done >= jobs, "only {done} of {jobs} jobs were ended");
    Ok(Jobs {
        jobs,
        created_per_second,
        completed_per_second: done as f64 / began.elapsed().as_secs_f64(),
        cost: server.cost()?.each_since(before, done),
    })
}

/// Lets an agent in.
pub(crate) async fn enroll(admin: &Api, number: usize) -> anyhow::Result<Agent> {
    let name = format!("bench-agent-{number:04}");
    let key = PrivateKey::generate(KeySpec::EcP256)?;
    let request =
        CertificateRequest::create(&DistinguishedName::parse(&format!("CN={name}"))?, &[], &key)?;
    let path = format!("/KeyfactorAgents/{}", wire::path::SESSION_REGISTER);
    let body = register(&name, Some(&request), "");
    // The first answer is "wait for approval".
    admin.post(&path, &body).await?;
    let query = format!("/Agents?QueryString=ClientMachine%20-eq%20%22{name}%22");
    let waiting = admin.get(&query).await?;
    let id = waiting[0]["AgentId"]
        .as_str()
        .context("the agent's id")?
        .to_owned();
    admin
        .post("/KeyfactorAPI/Agents/Approve", &json!([id]))
        .await?;
    let answer = admin.post(&path, &body).await?;
    let certificate = answer["Session"]["Certificate"]
        .as_str()
        .context("the agent's certificate")?;
    let identity = (STANDARD.decode(certificate)?, key.to_pkcs8_der().to_vec());
    Ok(Agent { identity, id, name })
}

/// One session: every listed management job is configured and completed. Answers how many. It has a connection of its own, which
/// ends with it: all agents are at one address here, and would have more of them than one address may.
async fn work(server: &Server, agent: &Agent) -> anyhow::Result<usize> {
    let api = server.agent_api(Some(agent.identity.clone()))?;
    let path = |relative: &str| format!("/KeyfactorAgents/{}", relative.trim_start_matches('/'));
    let answer = api
        .post(
            &path(wire::path::SESSION_REGISTER),
            &register(&agent.name, None, &agent.id),
        )
        .await?;
    let session = &answer["Session"];
    let token = &session["Token"];
    let mut done = 0;
    for job in session["Jobs"].as_array().context("jobs")? {
        let configure = job["ConfigurationEndpoint"]
            .as_str()
            .context("ConfigurationEndpoint")?;
        if !configure.contains("Management") {
            continue;
        }
        let configured = api
            .post(
                &path(configure),
                &json!({ "SessionToken": token, "JobId": job["JobId"] }),
            )
            .await?;
        let complete = job["CompletionEndpoint"]
            .as_str()
            .context("CompletionEndpoint")?;
        let body = json!({
            "Status": 2, "AuditId": configured["AuditId"], "JobId": job["JobId"], "Message": "", "SessionToken": token
        });
        api.post(&path(complete), &body).await?;
        done += 1;
    }
    Ok(done)
}
