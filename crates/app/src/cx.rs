//! The context of an operation: who asks, with which rights, and what the world looks like. The first argument of every
//! domain function.

use std::net::IpAddr;
use std::sync::Arc;

use uuid::Uuid;

use crate::app::App;
use crate::error::Error;
use crate::security::explain::Recorder;
use crate::security::{Grants, Permission, Reach, Target};

/// Where the time comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine.
    #[default]
    System,
    /// A test, in epoch milliseconds.
    Manual(Arc<std::sync::atomic::AtomicI64>),
}

impl Clock {
    /// Now, in epoch milliseconds.
    pub fn now(&self) -> i64 {
        match self {
            Self::System => {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                since.map_or(0, |elapsed| {
                    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
                })
            }
            Self::Manual(at) => at.load(std::sync::atomic::Ordering::SeqCst),
        }
    }
}

/// Where identifiers and serial numbers come from. Keys and nonces never come from here: the cryptographic library makes
/// those itself.
#[derive(Clone, Debug, Default)]
pub enum Randomness {
    /// The operating system.
    #[default]
    System,
    /// A test: a counter, so that answers are the same every time.
    Counted(Arc<std::sync::atomic::AtomicU64>),
}

impl Randomness {
    /// `N` octets.
    ///
    /// # Panics
    /// Never in practice: only if the operating system has no randomness, in which case nothing secure can go on.
    pub fn octets<const N: usize>(&self) -> [u8; N] {
        let mut octets = [0; N];
        match self {
            Self::System => {
                aws_lc_rs::rand::fill(&mut octets).expect("the operating system gives randomness");
            }
            Self::Counted(counter) => {
                let count = counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
                for (octet, value) in octets.iter_mut().rev().zip(count.to_le_bytes()) {
                    *octet = value;
                }
            }
        }
        octets
    }

    /// A version 4 GUID.
    pub fn guid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.octets()).into_uuid()
    }

    /// A version 7 GUID: one that is greater than those of earlier milliseconds, so that an index of them grows at its end.
    pub fn guid_at(&self, now: i64) -> Uuid {
        let now = u64::try_from(now).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(now, &self.octets()).into_uuid()
    }
}

/// Who asks.
#[derive(Clone, Debug)]
pub enum Caller {
    /// A person or machine that signed in.
    Identity(Arc<Identity>),
    /// The server itself, with the reason. May do everything.
    System(&'static str),
}

/// A person or machine that signed in.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The local account, where it is one.
    pub account_id: Option<i64>,
    /// Its password has to be changed before anything else is allowed.
    pub must_change_password: bool,
    /// The name, as history and audit show it: a local account's is its own, another's is `scheme\name`, and no account is called
    /// so.
    pub name: String,
    /// The authentication scheme of the provider that vouches for it.
    pub provider: String,
    /// Who it is at the provider: names may be shared and change, this does not.
    pub subject: String,
    /// The session, where a browser asks.
    pub session_id: Option<uuid::Uuid>,
    /// Its claims.
    pub claim_ids: Vec<i64>,
    /// The generation of security that its grants are of.
    pub generation: i64,
    /// What the roles of its claims allow.
    pub grants: Arc<Grants>,
}

/// The context of one operation. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cx {
    app: Arc<App>,
    caller: Caller,
    correlation_id: Uuid,
    address: Option<IpAddr>,
    recorder: Option<Arc<Recorder>>,
    past: Option<Arc<Past>>,
    /// Where the clock stands still.
    stopped_at: Option<i64>,
}

/// Another moment than now.
#[derive(Debug)]
struct Past {
    /// Epoch milliseconds.
    at: i64,
    db: db::Db,
}

impl Cx {
    /// The context of a request by `caller`.
    pub fn new(
        app: Arc<App>,
        caller: Caller,
        correlation_id: Uuid,
        address: Option<IpAddr>,
    ) -> Self {
        Self {
            app,
            caller,
            correlation_id,
            address,
            recorder: None,
            past: None,
            stopped_at: None,
        }
    }

    /// The same request, with what its caller is granted now.
    pub(crate) fn granted_anew(&self, identity: Identity) -> Self {
        Self {
            caller: Caller::Identity(Arc::new(identity)),
            ..self.clone()
        }
    }

    /// The same, keeping how decisions come about.
    pub(crate) fn explained(self, recorder: Option<Arc<Recorder>>) -> Self {
        Self { recorder, ..self }
    }

    /// What keeps how decisions come about, where that was asked for.
    pub(crate) fn recorder(&self) -> Option<&Recorder> {
        self.recorder.as_deref()
    }

    /// The context of background work and of the commands of the machine's owner.
    pub fn system(app: Arc<App>, reason: &'static str) -> Self {
        let correlation_id = app.randomness.guid_at(app.clock.now());
        Self {
            app,
            caller: Caller::System(reason),
            correlation_id,
            address: None,
            recorder: None,
            past: None,
            stopped_at: None,
        }
    }

    /// The context of a request by somebody who is not let in yet: about to sign in or out, or refused. May do nothing.
    pub(crate) fn at_the_door(
        app: Arc<App>,
        who: &str,
        correlation_id: Uuid,
        address: Option<IpAddr>,
    ) -> Self {
        let nobody = Identity {
            name: who.to_owned(),
            ..Identity::default()
        };
        Self::new(
            app,
            Caller::Identity(Arc::new(nobody)),
            correlation_id,
            address,
        )
    }

    /// The same request, asked at a moment in the past: it is now then, and what is read is what was. Rights are those of today.
    pub(crate) fn as_of(&self, at: i64) -> Self {
        let db = self.app.db.at(at);
        Self {
            past: Some(Arc::new(Past { at, db })),
            ..self.clone()
        }
    }

    /// The same request with the clock standing still, so that all of its parts mean the same moment.
    pub(crate) fn with_clock_at(&self, now: i64) -> Self {
        Self {
            stopped_at: Some(now),
            ..self.clone()
        }
    }

    /// Whether it is now then.
    pub(crate) fn is_past(&self) -> bool {
        self.past.is_some()
    }

    /// The application: caches and options.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// The database.
    pub fn db(&self) -> &db::Db {
        self.past.as_ref().map_or(&self.app.db, |past| &past.db)
    }

    /// The one way out to the network.
    pub fn egress(&self) -> &egress::Client {
        &self.app.egress
    }

    /// Now, in epoch milliseconds.
    pub fn now(&self) -> i64 {
        let at = self.past.as_ref().map(|past| past.at).or(self.stopped_at);
        at.unwrap_or_else(|| self.app.clock.now())
    }

    /// A new identifier.
    pub fn guid(&self) -> Uuid {
        self.app.randomness.guid()
    }

    /// Who asks.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The name that history and audit show.
    pub fn caller_name(&self) -> String {
        match &self.caller {
            Caller::Identity(identity) => identity.name.clone(),
            Caller::System(reason) => format!("system: {reason}"),
        }
    }

    /// The id under which this operation stands in logs, audit and the answer's headers.
    pub fn correlation_id(&self) -> Uuid {
        self.correlation_id
    }

    /// The network address the request came from.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Whether the caller holds `permission` system-wide.
    pub fn may(&self, permission: Permission) -> bool {
        match &self.caller {
            Caller::Identity(identity) => match self.recorder() {
                None => *identity.grants.reach(permission) == Reach::All,
                Some(recorder) => recorder.decide(&identity.grants, permission, Target::System),
            },
            Caller::System(_) => true,
        }
    }

    /// The caller's claims.
    pub(crate) fn claim_ids(&self) -> &[i64] {
        match &self.caller {
            Caller::Identity(identity) => &identity.claim_ids,
            Caller::System(_) => &[],
        }
    }

    /// Whether the caller holds the role with this id, and it is enabled.
    pub(crate) fn holds_role(&self, role_id: i64) -> bool {
        match &self.caller {
            Caller::Identity(identity) => identity
                .grants
                .roles()
                .iter()
                .any(|role| role.id == role_id && role.enabled),
            Caller::System(_) => true,
        }
    }

    /// Whether the caller holds an enabled role with this name, without regard to case.
    pub fn holds_role_named(&self, name: &str) -> bool {
        match &self.caller {
            Caller::Identity(identity) => {
                let wanted = db::fold(name);
                let held = identity
                    .grants
                    .roles()
                    .iter()
                    .any(|role| role.enabled && db::fold(&role.name) == wanted);
                if let Some(recorder) = self.recorder() {
                    recorder.role(name, held);
                }
                held
            }
            Caller::System(_) => true,
        }
    }

    /// Refuses callers without `permission`. Called before anything is loaded.
    ///
    /// # Errors
    /// 403 in the words that clients look for.
    pub fn authorize(&self, permission: Permission) -> Result<(), Error> {
        self.authorize_any(&[permission])
    }

    /// Refuses callers who hold none of `permissions`.
    ///
    /// # Errors
    /// 403 in the words that clients look for.
    pub fn authorize_any(&self, permissions: &[Permission]) -> Result<(), Error> {
        if permissions.iter().any(|permission| self.may(*permission)) {
            return Ok(());
        }
        Err(self.refused(permissions))
    }

    /// The refusal of callers who hold none of `permissions`.
    pub(crate) fn refused(&self, permissions: &[Permission]) -> Error {
        let names: Vec<&str> = permissions
            .iter()
            .map(|permission| permission.entry().display)
            .collect();
        Error::forbidden(format!(
            "User {} does not have any of the required permissions: {}",
            self.caller_name(),
            names.join(", ")
        ))
    }
}
