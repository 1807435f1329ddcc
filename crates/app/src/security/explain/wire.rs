//! Explanations as they are asked for and answered.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// How a decision came about.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = Explanation)]
pub struct Explanation {
    /// Whose rights were looked at.
    pub(crate) identity: ExplainedIdentity,
    /// What was asked for: a method and a path, or a permission.
    pub(crate) operation: String,
    /// What the operation needs: all paths of one of these lists. Empty in explanations of requests.
    pub(crate) needs: Vec<Vec<String>>,
    /// Whether it is allowed.
    pub(crate) allowed: bool,
    /// The message that a refused request has.
    pub(crate) refusal: Option<String>,
    /// Grants that would have led further, each by itself, where something was refused.
    pub(crate) missing: Vec<String>,
    /// The roles held, and through what.
    pub(crate) roles: Vec<ExplainedRole>,
    /// What was decided, in order.
    pub(crate) decisions: Vec<Decision>,
    /// Whether parts were left out, because there are too many or because a header holds no more.
    pub(crate) cut: bool,
}

/// Whose rights were looked at.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ExplainedIdentity {
    /// `Account`, `Claim` or `Role`.
    pub(crate) kind: String,
    /// The id of that.
    pub(crate) id: Option<i64>,
    pub(crate) name: String,
    /// Whether it can sign in; a role, whether it is enabled. The decision itself does not ask for this of accounts.
    pub(crate) enabled: bool,
}

/// A role that is held.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ExplainedRole {
    pub(crate) id: i64,
    pub(crate) name: String,
    /// A role that is not enabled grants nothing.
    pub(crate) enabled: bool,
    pub(crate) permission_set_id: Uuid,
    /// The claims through which it is held.
    pub(crate) held_through: Vec<ExplainedClaim>,
}

/// A claim through which a role is held.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ExplainedClaim {
    pub(crate) id: i64,
    pub(crate) claim_type: String,
    pub(crate) claim_value: String,
    pub(crate) provider: String,
}

/// One thing that was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = ExplainedDecision)]
pub(crate) struct Decision {
    pub(crate) kind: DecisionKind,
    /// The path of the permission, where it is about one.
    pub(crate) permission: Option<&'static str>,
    /// What it was asked of: `system`, `collection 3`, `container 5`, a role, a place.
    pub(crate) object: String,
    pub(crate) allowed: bool,
    /// The grant that decided.
    pub(crate) decided_by: Option<ExplainedGrant>,
    /// The grants that were looked at, in order, up to fifty.
    pub(crate) looked_at: Vec<ExplainedGrant>,
    /// How many were looked at.
    pub(crate) looked_at_count: usize,
    /// What would have led further.
    pub(crate) missing: Option<String>,
}

/// What a decision is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) enum DecisionKind {
    /// Whether a permission is granted on an object.
    Permission,
    /// On which objects a permission is granted at all.
    Reach,
    /// Whether a certificate is in the collection or container through which it is reached.
    Place,
    /// Whether a role is held.
    Role,
    /// Whether a way to change an owner is open, besides its permission.
    Owner,
}

/// A grant of a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ExplainedGrant {
    pub(crate) role_id: i64,
    pub(crate) role: String,
    /// `/certificate_stores/read/3/`.
    pub(crate) grant: String,
    /// The permission that was looked for: the one asked for, or one that implies it.
    pub(crate) looked_for: &'static str,
    /// Whether the grant gives it.
    pub(crate) allows: bool,
}

/// Whose rights to look at (one of the members), and for what.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ExplainRequest {
    /// A local account, by name.
    pub(super) account: Option<String>,
    /// A local account, by id.
    pub(super) account_id: Option<i64>,
    /// A role by itself, by name.
    pub(super) role: Option<String>,
    /// A role by itself, by id.
    pub(super) role_id: Option<i64>,
    /// A claim by itself, by id: whoever presents it.
    pub(super) claim_id: Option<i64>,
    /// A method and a path, `POST /CertificateStores/Schedule`, or a permission in one of its forms.
    pub(super) operation: String,
    /// What it is to be done to.
    pub(super) object: Option<ObjectInput>,
}

/// What somebody may do, and to what.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct WhoCanRequest {
    /// A method and a path, `POST /CertificateStores/Schedule`, or a permission in one of its forms.
    pub(super) operation: String,
    /// What it is to be done to.
    pub(super) object: Option<ObjectInput>,
}

/// What an operation is about, as a request would name it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = ExplainObject)]
pub(crate) struct ObjectInput {
    pub(super) certificate_id: Option<i64>,
    pub(super) store_id: Option<Uuid>,
    /// The collection that the request names; 0 for none.
    pub(super) collection_id: Option<i64>,
    /// The container that the request names; 0 for none.
    pub(super) container_id: Option<i64>,
    /// The role that shall own the certificate, where the operation gives it an owner.
    pub(super) owner_role_id: Option<i64>,
}

/// Who may do it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct WhoCanAnswer {
    pub(super) operation: String,
    /// What the operation needs: all paths of one of these lists.
    pub(super) needs: Vec<Vec<String>>,
    /// The roles that are enough by themselves.
    pub(super) roles: Vec<AbleRole>,
    /// Who may do it with all roles held together, up to a thousand.
    pub(super) identities: Vec<AbleIdentity>,
    pub(super) identities_count: usize,
}

/// A role that is enough by itself.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AbleRole {
    pub(super) id: i64,
    pub(super) name: String,
}

/// Somebody who may do it: a claim, and the local account it stands for, if it does.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AbleIdentity {
    pub(super) claim: ExplainedClaim,
    pub(super) account_id: Option<i64>,
    pub(super) name: String,
    /// False for a local account that is disabled: it could, but cannot sign in.
    pub(super) enabled: bool,
    /// The roles held.
    pub(super) roles: Vec<String>,
}
