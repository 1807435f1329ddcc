//! The types that every database has from its first start.

use db::tables::store_types;
use sea_orm::{ActiveValue, EntityTrait};
use uuid::{Uuid, uuid};

use super::definition::{Allowed, Definition, FieldType, Property, SupportedOperations};
use crate::cx::Cx;
use crate::error::Error;

/// Where agents send inventories of every type.
pub(super) const INVENTORY_ENDPOINT: &str = "/AnyInventory/Update";

/// The contract's id of the PEM type.
pub(crate) const PEM: i64 = 2;
/// Agents of the older kind know the PEM type's jobs by these identifiers (agent-protocol.md 6).
const PEM_INVENTORY: Uuid = uuid!("a809ce1f-1eea-4738-a38e-15708c89c981");
const PEM_MANAGEMENT: Uuid = uuid!("1d411b36-ae72-433f-9f3f-8593e836a1af");

/// Makes the built-in types.
///
/// # Errors
/// Those of the database.
pub(crate) async fn create_first(tx: &db::Tx, cx: &Cx) -> Result<(), Error> {
    let definition = pem();
    let row = store_types::ActiveModel {
        id: ActiveValue::Set(PEM),
        name: ActiveValue::Set("PEM File".into()),
        name_fold: ActiveValue::Set(db::fold("PEM File")),
        short_name: ActiveValue::Set("PEM".into()),
        short_name_fold: ActiveValue::Set(db::fold("PEM")),
        capability: ActiveValue::Set("PEM".into()),
        definition: ActiveValue::Set(serde_json::to_string(&definition)?),
        private_key_allowed: ActiveValue::Set(Allowed::Optional.number()),
        custom_alias_allowed: ActiveValue::Set(Allowed::Forbidden.number()),
        inventory_job_type: ActiveValue::Set(PEM_INVENTORY),
        management_job_type: ActiveValue::Set(Some(PEM_MANAGEMENT)),
        discovery_job_type: ActiveValue::Set(None),
        enrollment_job_type: ActiveValue::Set(None),
        built_in: ActiveValue::Set(true),
        created_at: ActiveValue::Set(cx.now()),
    };
    store_types::Entity::insert(row)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// PEM files: what the agent's driver reads of a store.
fn pem() -> Definition {
    let property =
        |id, name: &str, display: &str, kind, depends_on: &str, default: Option<&str>| Property {
            id,
            store_type_id: PEM,
            name: name.into(),
            display_name: display.into(),
            kind,
            depends_on: depends_on.into(),
            default_value: default.map(str::to_owned),
            required: false,
            validation_options: None,
        };
    Definition {
        supported_operations: SupportedOperations {
            add: true,
            create: true,
            discovery: false,
            enrollment: false,
            remove: true,
        },
        properties: vec![
            property(
                1,
                "Profile",
                "Deployment Profile",
                FieldType::String,
                "",
                None,
            ),
            property(
                2,
                "separatePrivateKey",
                "Separate Private Key",
                FieldType::Bool,
                "",
                Some("false"),
            ),
            property(
                3,
                "privateKeyPath",
                "Private Key Path",
                FieldType::String,
                "separatePrivateKey",
                None,
            ),
            property(
                4,
                "isTrustStore",
                "Trust Store",
                FieldType::Bool,
                "",
                Some("false"),
            ),
        ],
        inventory_endpoint: INVENTORY_ENDPOINT.into(),
        ..Definition::default()
    }
}
