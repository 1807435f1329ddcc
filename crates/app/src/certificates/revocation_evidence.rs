//! What the addresses that certificates name say of their revocation: OCSP answers (RFC 6960) and revocation lists (RFC 5280 §6.3),
//! fetched through the one way out to the network. Lists are kept until the next one is due.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use pki::ocsp::{self, OcspAnswer};
use pki::validation::{Judgement, Outcome, Test};
use pki::{Certificate, RevocationList};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::cx::Cx;

/// Addresses of one kind that are asked for one certificate.
const ADDRESSES_MAX: usize = 3;
/// Time for all addresses of a path together.
const PATIENCE: Duration = Duration::from_secs(8);
/// Time for one responder, so that those that are silent leave some for the lists.
const RESPONDER_TIME: Duration = Duration::from_secs(2);
/// Answers that are fetched at a time, of all callers together.
const FETCHES_MAX: usize = 8;
/// A list is fetched again after this time, even when the next one is due later: it may have been published early.
const LIST_KEPT_MS: i64 = 60 * 60 * 1_000;
/// An address that did not answer is left alone for so long.
const SILENCE_MS: i64 = 60 * 1_000;
/// Octets of lists that are kept.
const KEPT_MAX: usize = 64 * 1024 * 1024;
/// Addresses of which anything is kept.
const ADDRESSES_KEPT_MAX: usize = 10_000;

/// The lists that were fetched, and the addresses that gave nothing.
pub(crate) struct RevocationLists {
    turns: Semaphore,
    kept: Mutex<HashMap<String, Kept>>,
}

#[derive(Clone)]
struct Kept {
    fetched: Result<RevocationList, String>,
    /// Epoch milliseconds.
    until: i64,
}

impl Kept {
    fn octets(&self) -> usize {
        self.fetched.as_ref().map_or(0, |list| list.der().len())
    }
}

impl Default for RevocationLists {
    fn default() -> Self {
        Self {
            turns: Semaphore::new(FETCHES_MAX),
            kept: Mutex::default(),
        }
    }
}

impl RevocationLists {
    fn known(&self, address: &str, now: i64) -> Option<Kept> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(address).filter(|kept| now < kept.until).cloned()
    }

    /// Leaves an address alone for a while, if it is the one at fault.
    fn keep_silent(&self, address: &str, missed: &Missed, now: i64) {
        if let Missed::Theirs(reason) = missed {
            let silent = Kept {
                fetched: Err(reason.clone()),
                until: now + SILENCE_MS,
            };
            self.keep(address, silent, now);
        }
    }

    fn keep(&self, address: &str, new: Kept, now: i64) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, old| now < old.until);
        kept.remove(address);
        let mut octets: usize = kept.values().map(Kept::octets).sum::<usize>() + new.octets();
        // Those that are due first go first.
        while !kept.is_empty() && (octets > KEPT_MAX || kept.len() >= ADDRESSES_KEPT_MAX) {
            let first = kept.iter().min_by_key(|(_, old)| old.until);
            let Some(first) = first.map(|(address, _)| address.clone()) else {
                break;
            };
            octets -= kept.remove(&first).map_or(0, |old| old.octets());
        }
        if octets <= KEPT_MAX {
            kept.insert(address.to_owned(), new);
        }
    }
}

/// What was found for a path.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) lists: Vec<RevocationList>,
    pub(super) answers: Vec<OcspAnswer>,
    /// Why an address gave nothing, by the SHA-256 of the certificate that names it.
    pub(super) silent: HashMap<[u8; 32], Vec<String>>,
}

/// Asks for the certificates of a path, leaf first, of whose revocation nothing is known. Never fails: what an address does not give
/// is told with the certificate that names it.
pub(super) async fn gather(cx: &Cx, path: &[Judgement]) -> Gathered {
    let until = Instant::now() + PATIENCE;
    let unknown = path.iter().zip(path.iter().skip(1)).filter(|(one, _)| {
        one.checks
            .iter()
            .any(|check| check.test == Test::Revocation && check.outcome == Outcome::NotChecked)
    });
    let asked = unknown.map(|(one, issuer)| ask(cx, &one.certificate, &issuer.certificate, until));
    let mut gathered = Gathered::default();
    for (answers, lists, digest, silent) in join_all(asked).await {
        gathered.answers.extend(answers);
        gathered.lists.extend(lists);
        gathered.silent.insert(digest, silent);
    }
    gathered
}

type Found = (Vec<OcspAnswer>, Vec<RevocationList>, [u8; 32], Vec<String>);

/// The responders first; the lists only when none of them knows.
async fn ask(cx: &Cx, certificate: &Certificate, issuer: &Certificate, until: Instant) -> Found {
    let (mut answers, mut lists, mut silent) = (Vec::new(), Vec::new(), Vec::new());
    for address in certificate.ocsp_urls().iter().take(ADDRESSES_MAX) {
        match answer(cx, address, certificate, issuer, until).await {
            Ok(answer) => {
                let says = answer.status_of(certificate, issuer, cx.now());
                let is_known = matches!(
                    says,
                    Ok(Some(
                        ocsp::CertificateStatus::Good | ocsp::CertificateStatus::Revoked(_)
                    ))
                );
                answers.push(answer);
                if is_known {
                    return (answers, lists, certificate.sha256(), silent);
                }
            }
            Err(reason) => silent.push(reason),
        }
    }
    let addresses = certificate.crl_distribution_points().iter();
    for address in addresses
        .filter(|address| is_http(address))
        .take(ADDRESSES_MAX)
    {
        match list(cx, address, until).await {
            Ok(list) => {
                lists.push(list);
                break;
            }
            Err(reason) => silent.push(reason),
        }
    }
    (answers, lists, certificate.sha256(), silent)
}

fn is_http(address: &str) -> bool {
    let scheme = address.split("://").next().unwrap_or_default();
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

async fn answer(
    cx: &Cx,
    address: &str,
    certificate: &Certificate,
    issuer: &Certificate,
    until: Instant,
) -> Result<OcspAnswer, String> {
    let question = ocsp::request(certificate, issuer).map_err(|error| error.to_string())?;
    let (now, lists) = (cx.now(), &cx.app().revocation_lists);
    let key = format!("responder {address}");
    if let Some(Kept {
        fetched: Err(reason),
        ..
    }) = lists.known(&key, now)
    {
        return Err(reason);
    }
    let request = egress::Request::post(address, "application/ocsp-request", question)
        .limit(ocsp::MAXIMUM_ANSWER_BYTES)
        .time(RESPONDER_TIME);
    match fetch(cx, request, until).await {
        Ok(body) => OcspAnswer::from_der(&body).map_err(|error| error.to_string()),
        Err(missed) => {
            lists.keep_silent(&key, &missed, now);
            Err(missed.reason())
        }
    }
}

async fn list(cx: &Cx, address: &str, until: Instant) -> Result<RevocationList, String> {
    let (now, lists) = (cx.now(), &cx.app().revocation_lists);
    if let Some(kept) = lists.known(address, now) {
        return kept.fetched;
    }
    let request = egress::Request::get(address).redirects(2);
    let read = match fetch(cx, request, until).await {
        Ok(body) => tokio::task::spawn_blocking(move || RevocationList::from_pem_or_der(&body))
            .await
            .map_err(|error| Missed::Ours(error.to_string()))
            .and_then(|list| list.map_err(|error| Missed::Theirs(error.to_string()))),
        Err(missed) => Err(missed),
    };
    match read {
        Ok(list) => {
            let next = list.next_update().unwrap_or(i64::MAX);
            let kept = Kept {
                fetched: Ok(list.clone()),
                until: next.clamp(now + SILENCE_MS, now + LIST_KEPT_MS),
            };
            lists.keep(address, kept, now);
            Ok(list)
        }
        Err(missed) => {
            lists.keep_silent(address, &missed, now);
            Err(missed.reason())
        }
    }
}

/// Why there is no answer.
enum Missed {
    /// We had no more time for it: that says nothing about the address.
    Ours(String),
    /// The address gave none, or none that can be read.
    Theirs(String),
}

impl Missed {
    fn reason(self) -> String {
        match self {
            Self::Ours(reason) | Self::Theirs(reason) => reason,
        }
    }
}

async fn fetch(cx: &Cx, request: egress::Request, until: Instant) -> Result<Vec<u8>, Missed> {
    let fetched = async {
        let turn = cx.app().revocation_lists.turns.acquire().await;
        let _turn = turn.map_err(|error| Missed::Ours(error.to_string()))?;
        let fetched = cx.egress().fetch(request).await;
        let answer = fetched.map_err(|error| Missed::Theirs(error.to_string()))?;
        match answer.status {
            egress::StatusCode::OK => Ok(answer.body),
            other => {
                let status = other.as_u16();
                Err(Missed::Theirs(format!(
                    "an address answered with status {status}"
                )))
            }
        }
    };
    let ours = || Missed::Ours("there was no time left to ask an address".into());
    timeout_at(until, fetched)
        .await
        .unwrap_or_else(|_| Err(ours()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(until: i64) -> Kept {
        Kept {
            fetched: Err("no".into()),
            until,
        }
    }

    #[test]
    fn what_is_due_is_forgotten_and_so_is_what_is_too_much() {
        let lists = RevocationLists::default();
        lists.keep("a", failed(10), 0);
        assert!(lists.known("a", 9).is_some() && lists.known("a", 10).is_none());
        for number in 0..=ADDRESSES_KEPT_MAX {
            let until = 100 + i64::try_from(number).unwrap();
            lists.keep(&number.to_string(), failed(until), 50);
        }
        assert!(lists.known("a", 0).is_none() && lists.known("0", 50).is_none());
        assert!(lists.known("1", 50).is_some());
        assert_eq!(lists.kept.lock().unwrap().len(), ADDRESSES_KEPT_MAX);
    }

    #[test]
    fn only_addresses_that_can_be_fetched_are_asked() {
        assert!(is_http("http://a/b.crl") && is_http("HTTPS://a/b.crl"));
        assert!(!is_http("ldap:///CN=a") && !is_http("file:///etc/passwd") && !is_http(""));
    }
}
