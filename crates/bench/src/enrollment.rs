//! CSR enrollments by many callers at once, each acknowledged only when it is on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pki::{CertificateRequest, DistinguishedName, KeySpec, PrivateKey, SubjectAlternativeName};
use serde_json::json;

use crate::client::Latencies;
use crate::server::Server;

/// Distinct keys. Making one costs more than the server's whole work, and what is measured is the server.
const KEYS: usize = 64;
/// After this the server has caught up with what it does behind the writes, which is a part of what an enrollment costs.
const BEHIND: Duration = Duration::from_secs(5);

/// Enrolls `count` certificates with distinct names. The requests are made beforehand. Answers what each cost too.
pub(crate) async fn run(
    server: &Server,
    count: usize,
    callers: usize,
) -> anyhow::Result<(Latencies, serde_json::Value)> {
    let keys: Vec<PrivateKey> = (0..KEYS)
        .map(|_| PrivateKey::generate(KeySpec::EcP256))
        .collect::<Result<_, _>>()?;
    let mut requests = Vec::with_capacity(count);
    for number in 0..count {
        let host = format!("host{number:06}.team{:02}.example.org", number % 40);
        let subject =
            DistinguishedName::parse(&format!("CN={host},O=Example,OU=Team {}", number % 40))?;
        let request = CertificateRequest::create(
            &subject,
            &[SubjectAlternativeName::dns(&host)],
            &keys[number % KEYS],
        )?;
        requests.push(request.to_pem());
    }
    let requests = Arc::new(requests);
    let next = Arc::new(AtomicUsize::new(0));
    let api = server.api()?;
    let before = server.cost()?;
    let began = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (api, requests, next) = (api.clone(), Arc::clone(&requests), Arc::clone(&next));
            tokio::spawn(async move {
                let mut each = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(request) = requests.get(number) else {
                        return Ok::<_, anyhow::Error>(each);
                    };
                    let body = json!({
                        "CSR": request, "Template": "WebServer", "CertificateAuthority": "", "IncludeChain": false,
                        "Timestamp": "2026-11-21T12:00:00Z"
                    });
                    let asked = Instant::now();
                    api.post("/KeyfactorAPI/Enrollment/CSR", &body).await?;
                    each.push(asked.elapsed());
                }
            })
        })
        .collect();
    let mut all = Vec::with_capacity(count);
    for task in tasks {
        all.extend(task.await??);
    }
    let latencies = Latencies::of(all, began.elapsed());
    tokio::time::sleep(BEHIND).await;
    Ok((latencies, server.cost()?.each_since(before, count)))
}
