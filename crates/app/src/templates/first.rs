//! The templates that ship.

use db::tables::templates;
use sea_orm::{ActiveValue, EntityTrait};

use crate::audit::{self, Category, Entry, Operation};
use crate::authorities::CONFIGURATION_TENANT;
use crate::cx::Cx;
use crate::error::Error;

const SERVER_AUTHENTICATION: &str = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTHENTICATION: &str = "1.3.6.1.5.5.7.3.2";
/// DigitalSignature and KeyEncipherment; the latter is left out for keys that cannot encipher.
const KEY_USAGE: i32 = 128 | 32;
/// Below the 200 days that public authorities may give since 2026.
const VALIDITY_DAYS: i64 = 90;

struct Shipped {
    name: &'static str,
    display_name: &'static str,
    key: (&'static str, &'static str),
    extended_key_usages: &'static [&'static str],
    requires_approval: bool,
}

const SHIPPED: &[Shipped] = &[
    Shipped {
        name: "WebServer",
        display_name: "Web server, ECC",
        key: ("ECC", "256"),
        extended_key_usages: &[SERVER_AUTHENTICATION],
        requires_approval: false,
    },
    Shipped {
        name: "WebServerRSA",
        display_name: "Web server, RSA",
        key: ("RSA", "2048"),
        extended_key_usages: &[SERVER_AUTHENTICATION],
        requires_approval: false,
    },
    Shipped {
        name: "ClientServer",
        display_name: "Client and server, ECC",
        key: ("ECC", "256"),
        extended_key_usages: &[SERVER_AUTHENTICATION, CLIENT_AUTHENTICATION],
        requires_approval: false,
    },
    Shipped {
        name: "WebServerApproval",
        display_name: "Web server, ECC, after approval",
        key: ("ECC", "256"),
        extended_key_usages: &[SERVER_AUTHENTICATION],
        requires_approval: true,
    },
];

/// Stores the templates that ship.
///
/// # Errors
/// Those of the database.
pub(crate) async fn create_first(tx: &db::Tx, cx: &Cx) -> Result<(), Error> {
    for shipped in SHIPPED {
        let row = templates::ActiveModel {
            id: ActiveValue::NotSet,
            common_name: ActiveValue::Set(shipped.name.into()),
            name_fold: ActiveValue::Set(db::fold(shipped.name)),
            display_name: ActiveValue::Set(shipped.display_name.into()),
            friendly_name: ActiveValue::Set(None),
            // The arc for identifiers out of GUIDs (ITU-T X.667), which needs no registration.
            oid: ActiveValue::Set(format!("2.25.{}", cx.guid().as_u128())),
            configuration_tenant: ActiveValue::Set(CONFIGURATION_TENANT.into()),
            key_type: ActiveValue::Set(shipped.key.0.into()),
            key_size: ActiveValue::Set(shipped.key.1.into()),
            key_usage: ActiveValue::Set(KEY_USAGE),
            extended_key_usages: ActiveValue::Set(serde_json::to_string(
                shipped.extended_key_usages,
            )?),
            validity_days: ActiveValue::Set(VALIDITY_DAYS),
            key_retention: ActiveValue::Set("Indefinite".into()),
            key_retention_days: ActiveValue::Set(None),
            requires_approval: ActiveValue::Set(shipped.requires_approval),
            allowed_enrollment_types: ActiveValue::Set(7),
            use_allowed_requesters: ActiveValue::Set(false),
            allowed_requesters: ActiveValue::Set("[]".into()),
            settings: ActiveValue::Set("{}".into()),
            changed_at: ActiveValue::Set(cx.now()),
        };
        templates::Entity::insert(row)
            .exec_without_returning(tx)
            .await?;
        audit::record(
            tx,
            cx,
            Entry::new(
                Operation::Created,
                Category::Template,
                shipped.name,
                "template created",
            ),
        )
        .await?;
    }
    Ok(())
}
