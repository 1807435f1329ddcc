//! How often one caller may ask: token buckets in memory, of this server alone.
//!
//! What is cheap to refuse and what is dear to answer are told apart:
//!
//! - **Proofs** (a password that is not remembered, a client secret) cost the server an Argon2 hash each and are how
//!   passwords are guessed: few, by address. A proof that succeeds costs nothing.
//! - **Refusals** (nobody signed in, nonsense in the header) are cheap, and scripts provoke one before each call: more, by
//!   address.
//! - **Requests of a signed-in account** are limited by account and never by address: everybody may sit behind one proxy.
//!   The number keeps a script gone wild from crowding out the others; it is above what one server can do for one account
//!   in honest use.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Kind};
use crate::web::network_of;

/// Buckets and turns that are kept at most, of each sort; who comes on top shares one with others.
const CALLERS_MAX: usize = 65_536;

/// The numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Failed sign-ins of an address in a minute.
    pub failed_sign_ins_per_minute: u32,
    /// Sign-ins that an address may try at once. Many clients behind one address that start together succeed, and a
    /// success gives its place back; a guesser has so many tries before the slow part begins, and each account is locked
    /// after five.
    pub failed_sign_ins_at_once: u32,
    /// Refused sign-ins without work for the server, of an address in a second; ten seconds' worth at once.
    pub anonymous_requests_per_second: u32,
    /// Requests of an account in a second; two seconds' worth at once.
    pub account_requests_per_second: u32,
    /// Requests of an account that may be under way at the same time.
    pub account_requests_at_once: u32,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            failed_sign_ins_per_minute: 30,
            failed_sign_ins_at_once: 200,
            anonymous_requests_per_second: 100,
            account_requests_per_second: 10_000,
            account_requests_at_once: 512,
        }
    }
}

/// The limits of a server.
#[derive(Debug)]
pub(crate) struct RateLimits {
    hasher: RandomState,
    proofs: Buckets,
    attempts: Buckets,
    refusals: Buckets,
    accounts: Buckets,
    at_once: u32,
    turns: Turns,
}

impl RateLimits {
    pub(crate) fn new(rates: &Rates) -> Self {
        let per_second = f64::from;
        let failures = || {
            Buckets::new(
                per_second(rates.failed_sign_ins_per_minute) / 60.0,
                rates.failed_sign_ins_at_once.into(),
            )
        };
        Self {
            hasher: RandomState::new(),
            proofs: failures(),
            attempts: failures(),
            refusals: Buckets::new(
                per_second(rates.anonymous_requests_per_second),
                per_second(rates.anonymous_requests_per_second) * 10.0,
            ),
            accounts: Buckets::new(
                per_second(rates.account_requests_per_second),
                per_second(rates.account_requests_per_second) * 2.0,
            ),
            at_once: rates.account_requests_at_once,
            turns: Turns::default(),
        }
    }

    /// Before a password or another secret is checked that is not remembered. Say [`Proof::succeeded`] when it was right;
    /// otherwise it counts as a failure.
    ///
    /// # Errors
    /// 429 when the address has failed too often.
    pub(crate) fn proof(&self, address: Option<IpAddr>, now: i64) -> Result<Proof<'_>, Error> {
        let key = self.key_of(address);
        match self.proofs.take(key, now) {
            Ok(()) => Ok(Proof {
                buckets: &self.proofs,
                key,
            }),
            Err(wait_ms) => Err(limited(
                "failed_sign_ins",
                "Too many failed sign-ins from this address.",
                wait_ms,
            )),
        }
    }

    /// Before a browser is sent to a provider. Whoever does not come back has failed: so an address has so many attempts under
    /// way at most, and none can take away those of others.
    ///
    /// # Errors
    /// 429 when too many browsers of the address did not come back.
    pub(crate) fn attempt(&self, address: Option<IpAddr>, now: i64) -> Result<(), Error> {
        let message = "Too many sign-ins from this address were begun and not completed.";
        self.attempts
            .take(self.key_of(address), now)
            .map_err(|wait_ms| limited("sign_in_attempts", message, wait_ms))
    }

    /// A browser came back from its provider and is signed in.
    pub(crate) fn came_back(&self, address: Option<IpAddr>) {
        self.attempts.give_back(self.key_of(address));
    }

    /// Before somebody who is not signed in is let in to where one signs in.
    ///
    /// # Errors
    /// 429 when there were too many from the address.
    pub(crate) fn knock(&self, address: Option<IpAddr>, now: i64) -> Result<(), Error> {
        let message = "Too many requests without sign-in from this address.";
        self.refusals
            .take(self.key_of(address), now)
            .map_err(|wait_ms| limited("anonymous_requests", message, wait_ms))
    }

    /// After somebody was not let in: the refusal, or 429, which has no record, when there were too many from the address.
    pub(crate) fn refused(&self, error: Error, address: Option<IpAddr>, now: i64) -> Error {
        if !matches!(error.kind(), Kind::Unauthenticated | Kind::Forbidden) {
            return error;
        }
        self.knock(address, now).err().unwrap_or(error)
    }

    /// The turn of a request of an account (its provider and name) or agent. Keep it until the answer is ready.
    ///
    /// # Errors
    /// 429 when there were too many in the last seconds, or too many are under way.
    pub(crate) fn turn(&self, whose: impl Hash, now: i64) -> Result<Turn, Error> {
        let key = self.hasher.hash_one(whose);
        self.accounts.take(key, now).map_err(|wait_ms| {
            limited(
                "account_requests",
                "Too many requests of this account.",
                wait_ms,
            )
        })?;
        self.turns.begin(key, self.at_once).ok_or_else(|| {
            let message = "Too many requests of this account are under way at the same time.";
            limited("account_requests_at_once", message, 1000)
        })
    }

    fn key_of(&self, address: Option<IpAddr>) -> u64 {
        self.hasher.hash_one(address.map(network_of))
    }
}

fn limited(limit: &'static str, message: &str, wait_ms: i64) -> Error {
    metrics::counter!("chancery_rate_limited_total", "limit" => limit).increment(1);
    Error::too_many(message, wait_ms)
}

/// A secret that is being checked.
#[must_use = "a proof that does not succeed is a failure"]
#[derive(Debug)]
pub(crate) struct Proof<'a> {
    buckets: &'a Buckets,
    key: u64,
}

impl Proof<'_> {
    /// It was right.
    pub(crate) fn succeeded(self) {
        self.buckets.give_back(self.key);
    }
}

/// Buckets that fill by themselves.
#[derive(Debug)]
struct Buckets {
    /// Tokens that come in a millisecond.
    per_ms: f64,
    /// What a bucket holds.
    size: f64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    buckets: HashMap<u64, Bucket>,
    /// When full buckets were dropped last, in epoch milliseconds.
    swept_at: i64,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    /// When they were that many, in epoch milliseconds.
    at: i64,
}

impl Buckets {
    fn new(per_second: f64, size: f64) -> Self {
        Self {
            per_ms: per_second / 1000.0,
            size: size.max(1.0),
            kept: Mutex::default(),
        }
    }

    /// Takes a token, or says how many milliseconds it takes until there is one.
    fn take(&self, key: u64, now: i64) -> Result<(), i64> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let key = self.room_for(&mut kept, key, now);
        let full = Bucket {
            tokens: self.size,
            at: now,
        };
        let bucket = kept.buckets.entry(key).or_insert(full);
        let tokens = self.filled(*bucket, now);
        *bucket = Bucket { tokens, at: now };
        if tokens < 1.0 {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a float that is too large becomes the largest number"
            )]
            return Err(((1.0 - tokens) / self.per_ms).ceil() as i64);
        }
        bucket.tokens -= 1.0;
        Ok(())
    }

    fn give_back(&self, key: u64) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = kept.buckets.get_mut(&key) {
            bucket.tokens = (bucket.tokens + 1.0).min(self.size);
        }
    }

    /// The key itself if it is known or there is room for it, otherwise the one that all others share. A full bucket is not
    /// worth keeping; they are dropped at most once a second, so that a flood of addresses costs no search each.
    fn room_for(&self, kept: &mut Kept, key: u64, now: i64) -> u64 {
        if kept.buckets.len() < CALLERS_MAX || kept.buckets.contains_key(&key) {
            return key;
        }
        if now.abs_diff(kept.swept_at) >= 1000 {
            kept.swept_at = now;
            kept.buckets
                .retain(|_, bucket| self.filled(*bucket, now) < self.size);
        }
        if kept.buckets.len() < CALLERS_MAX {
            key
        } else {
            0
        }
    }

    fn filled(&self, bucket: Bucket, now: i64) -> f64 {
        // A clock that was set back fills nothing. Times are far below what a float holds exactly.
        #[expect(clippy::cast_precision_loss, reason = "said above")]
        let passed = now.saturating_sub(bucket.at).max(0) as f64;
        (bucket.tokens + passed * self.per_ms).min(self.size)
    }
}

/// Requests under way. As many as there are connections times streams, so the map is bounded by itself.
#[derive(Debug, Default)]
struct Turns {
    under_way: Arc<Mutex<HashMap<u64, u32>>>,
}

/// A request under way; over when dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    key: u64,
    under_way: Arc<Mutex<HashMap<u64, u32>>>,
}

impl Turns {
    fn begin(&self, key: u64, limit: u32) -> Option<Turn> {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = under_way.entry(key).or_insert(0);
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Turn {
            key,
            under_way: Arc::clone(&self.under_way),
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = under_way.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let buckets = Buckets::new(0.5, 3.0);
        for _ in 0..3 {
            buckets.take(1, NOW).unwrap();
        }
        assert_eq!(buckets.take(1, NOW), Err(2000));
        assert_eq!(buckets.take(1, NOW + 500), Err(1500));
        buckets.take(2, NOW).unwrap();
        buckets.take(1, NOW + 2000).unwrap();
        assert!(buckets.take(1, NOW + 2000).is_err());
        // A clock set back gives nothing and takes nothing.
        assert!(buckets.take(1, NOW - 60_000).is_err());
        for _ in 0..3 {
            buckets.take(1, NOW + 3_600_000).unwrap();
        }
        assert!(buckets.take(1, NOW + 3_600_000).is_err());
        buckets.give_back(1);
        buckets.take(1, NOW + 3_600_000).unwrap();
    }

    #[test]
    fn the_buckets_are_bounded_and_the_rest_share_one() {
        let buckets = Buckets::new(1.0, 2.0);
        let many = 2 * CALLERS_MAX as u64;
        let refused = (1..=many)
            .filter(|key| buckets.take(*key, NOW).is_err())
            .count();
        let kept = buckets.kept.lock().unwrap().buckets.len();
        assert_eq!(kept, CALLERS_MAX + 1, "and the shared one");
        assert_eq!(refused, CALLERS_MAX - 2, "the shared one holds two");
        // Who is quiet makes room.
        buckets.take(many + 1, NOW + 10_000).unwrap();
        assert_eq!(buckets.kept.lock().unwrap().buckets.len(), 1);
    }

    #[test]
    fn failures_count_successes_do_not_and_addresses_are_apart() {
        let limits = RateLimits::new(&Rates::default());
        let (guesser, other) = (
            Some("192.0.2.1".parse().unwrap()),
            Some("192.0.2.2".parse().unwrap()),
        );
        for _ in 0..1000 {
            limits.proof(other, NOW).unwrap().succeeded();
        }
        for _ in 0..200 {
            let _failed = limits.proof(guesser, NOW).unwrap();
        }
        let error = limits.proof(guesser, NOW).unwrap_err();
        assert_eq!(
            (error.kind(), error.retry_after()),
            (Kind::TooManyRequests, Some(2))
        );
        limits.proof(other, NOW).unwrap().succeeded();
        limits.proof(guesser, NOW + 2000).unwrap().succeeded();
    }

    #[test]
    fn browsers_that_come_back_leave_room_for_others() {
        let limits = RateLimits::new(&Rates::default());
        let office = Some("192.0.2.1".parse().unwrap());
        for _ in 0..1000 {
            limits.attempt(office, NOW).unwrap();
            limits.came_back(office);
        }
        for _ in 0..200 {
            limits.attempt(office, NOW).unwrap();
        }
        assert!(limits.attempt(office, NOW).is_err());
        // Passwords are another matter.
        limits.proof(office, NOW).unwrap().succeeded();
    }

    #[test]
    fn an_account_has_so_many_requests_under_way() {
        let turns = Turns::default();
        let first = turns.begin(1, 2).unwrap();
        let _second = turns.begin(1, 2).unwrap();
        assert!(turns.begin(1, 2).is_none());
        let _other = turns.begin(2, 2).unwrap();
        drop(first);
        assert!(turns.begin(1, 2).is_some());
        assert_eq!(turns.under_way.lock().unwrap().len(), 2);
    }
}
