//! What an agent cannot be asked for.

use db::tables::{agents, store_types};
use uuid::Uuid;

use super::{PLATFORM_NATIVE, STATUS_APPROVED};
use crate::orchestrator_jobs::ManagementOperation;

/// Why `agent` cannot be given this management job of a store of this type; `None` when it can. `include_key` says that
/// the private key goes along.
///
/// The public C agent takes single certificates only and ends the job, or dies, on anything else (agent-protocol 8, 14.5).
pub(crate) fn refusal_reason(
    agent: &agents::Model,
    store_type: &store_types::Model,
    operation: ManagementOperation,
    include_key: bool,
) -> Option<String> {
    let general = general(
        agent,
        store_type,
        "Management",
        store_type.management_job_type,
    );
    if general.is_some() {
        return general;
    }
    if agent.platform != PLATFORM_NATIVE || agent.takes_extras {
        return None;
    }
    let name = &agent.client_machine;
    match operation {
        ManagementOperation::Create => Some(format!(
            "Agent {name} cannot create stores: it is a C agent."
        )),
        ManagementOperation::Add if include_key => Some(format!(
            "Agent {name} cannot take private keys: it is a C agent. Make the key on its machine instead."
        )),
        _ => None,
    }
}

/// Why `agent` cannot be given an inventory of a store of this type; `None` when it can.
pub(crate) fn inventory_refusal_reason(
    agent: &agents::Model,
    store_type: &store_types::Model,
) -> Option<String> {
    general(
        agent,
        store_type,
        "Inventory",
        Some(store_type.inventory_job_type),
    )
}

fn general(
    agent: &agents::Model,
    store_type: &store_types::Model,
    kind: &str,
    job_type_id: Option<Uuid>,
) -> Option<String> {
    if agent.status != STATUS_APPROVED {
        return Some(format!("Agent {} is not approved.", agent.client_machine));
    }
    let wanted = format!("CertStores.{}.{kind}", store_type.capability);
    // Agents before 2.16.1 say job type GUIDs instead (agent-protocol 4).
    let legacy = job_type_id.map(|id| id.to_string());
    let offers = |name: &String| {
        name.eq_ignore_ascii_case(&wanted)
            || legacy
                .as_ref()
                .is_some_and(|legacy| name.eq_ignore_ascii_case(legacy))
    };
    if capabilities(agent).iter().any(offers) {
        return None;
    }
    Some(format!(
        "Agent {} does not offer {wanted}.",
        agent.client_machine
    ))
}

/// What an agent said that it can do.
pub(super) fn capabilities(agent: &agents::Model) -> Vec<String> {
    serde_json::from_str(&agent.capabilities).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(platform: i32, takes_extras: bool) -> agents::Model {
        agents::Model {
            id: Uuid::nil(),
            client_machine: "web1".into(),
            client_machine_fold: "web1".into(),
            username: "admin".into(),
            platform,
            version: String::new(),
            status: STATUS_APPROVED,
            capabilities: r#"["certstores.pem.management"]"#.into(),
            thumbprint: None,
            previous_thumbprint: None,
            last_thumbprint_used: None,
            request_key: None,
            certificate: None,
            authentication_reenrollment: 0,
            last_error_code: None,
            last_error_message: None,
            single_shot: true,
            takes_extras,
            registered_at: 0,
            last_seen: 0,
        }
    }

    fn pem() -> store_types::Model {
        store_types::Model {
            id: 2,
            name: "PEM".into(),
            name_fold: "pem".into(),
            short_name: "PEM".into(),
            short_name_fold: "pem".into(),
            capability: "PEM".into(),
            definition: "{}".into(),
            private_key_allowed: 1,
            custom_alias_allowed: 0,
            inventory_job_type: agent_protocol::job_type::PEM_INVENTORY,
            management_job_type: Some(agent_protocol::job_type::PEM_MANAGEMENT),
            discovery_job_type: None,
            enrollment_job_type: None,
            built_in: true,
            created_at: 0,
        }
    }

    #[test]
    fn a_c_agent_gets_neither_keys_nor_new_stores() {
        let (c, own) = (agent(PLATFORM_NATIVE, false), agent(PLATFORM_NATIVE, true));
        for (operation, key, refused) in [
            (ManagementOperation::Add, true, true),
            (ManagementOperation::Add, false, false),
            (ManagementOperation::Remove, false, false),
            (ManagementOperation::Create, false, true),
        ] {
            assert_eq!(
                refusal_reason(&c, &pem(), operation, key).is_some(),
                refused,
                "{operation:?}"
            );
            assert_eq!(
                refusal_reason(&own, &pem(), operation, key),
                None,
                "{operation:?}"
            );
        }
        assert_eq!(
            refusal_reason(&agent(1, false), &pem(), ManagementOperation::Add, true),
            None
        );
    }

    #[test]
    fn what_is_not_offered_is_refused() {
        let own = agent(PLATFORM_NATIVE, true);
        assert!(inventory_refusal_reason(&own, &pem()).is_some());
        let old = agents::Model {
            capabilities: format!(r#"["{}"]"#, pem().inventory_job_type),
            ..own.clone()
        };
        assert_eq!(inventory_refusal_reason(&old, &pem()), None);
        let new = agents::Model {
            status: super::super::STATUS_NEW,
            ..old
        };
        assert!(
            inventory_refusal_reason(&new, &pem())
                .is_some_and(|reason| reason.contains("not approved"))
        );
    }
}
