//! Registration: enrollment, approval, rotation (agent-protocol reference, sections 4 and 5).

use agent_protocol::{
    AgentPlatform, OperationResult, RegistrationExtra, ResultStatus, SessionRegisterRequest,
    SessionRegisterResponse, path,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use pki::{Certificate, CertificateRequest, DistinguishedName, PrivateKey};

use crate::{
    Error, Result,
    runner::{Registered, Runner},
    state::Identity,
    transport::Transport,
};

/// What registering came to.
pub(crate) enum Opened {
    /// A session with its jobs.
    Ready(Box<Registered>),
    /// The server waits for somebody's approval.
    Pending { message: String },
}

/// Registers, enrolling first where the agent has no valid certificate.
pub(crate) async fn open<T: Transport>(runner: &Runner<T>) -> Result<Opened> {
    let now = (runner.clock)();
    let mut identity = match runner.surroundings.state.identity()? {
        Some(identity) if identity.certificate()?.not_after() > now => identity,
        // An expired certificate proves nothing any more: the agent enrolls like a new one, under its old name.
        _ => match enroll(runner).await? {
            Ok(identity) => identity,
            Err(message) => return Ok(Opened::Pending { message }),
        },
    };
    let due = is_renewal_due(&identity.certificate()?, now);
    let mut key = due
        .then(|| runner.surroundings.state.key_in_waiting())
        .transpose()?;
    let mut response = register(runner, Some(&identity), key.as_ref()).await?;
    if key.is_none() && response.result.asks_for_certificate_renewal() {
        key = Some(runner.surroundings.state.key_in_waiting()?);
        response = register(runner, Some(&identity), key.as_ref()).await?;
    }
    let SessionRegisterResponse { session, result } = response;
    let mut session = session.unwrap_or_default();
    // Without a certificate in the answer the old one goes on.
    if let (Some(key), Some(text)) = (key, &session.certificate) {
        let certificate = certificate_for(&key, text)?;
        let agent_id = session.agent_id.as_deref().unwrap_or(&identity.agent_id);
        identity = runner
            .surroundings
            .state
            .save_identity(agent_id, &certificate, &key)?;
        tracing::info!(
            thumbprint = certificate.thumbprint(),
            "the agent has a new certificate"
        );
    }
    match session.token.take() {
        Some(token) if result.status != ResultStatus::Error => {
            Ok(Opened::Ready(Box::new(Registered {
                identity,
                token,
                session,
            })))
        }
        _ => Err(refused(&result)),
    }
}

/// First registration; the words of the server where it does not give a certificate yet.
async fn enroll<T: Transport>(runner: &Runner<T>) -> Result<std::result::Result<Identity, String>> {
    let key = runner.surroundings.state.key_in_waiting()?;
    let response = register(runner, None, Some(&key)).await?;
    let session = response.session.unwrap_or_default();
    let (Some(agent_id), Some(text)) = (session.agent_id, session.certificate) else {
        return Ok(Err(message_of(&response.result)));
    };
    let certificate = certificate_for(&key, &text)?;
    let identity = runner
        .surroundings
        .state
        .save_identity(&agent_id, &certificate, &key)?;
    tracing::info!(
        agent_id,
        thumbprint = certificate.thumbprint(),
        "the agent is enrolled"
    );
    Ok(Ok(identity))
}

async fn register<T: Transport>(
    runner: &Runner<T>,
    identity: Option<&Identity>,
    key: Option<&PrivateKey>,
) -> Result<SessionRegisterResponse> {
    let config = &runner.surroundings.config;
    let csr = key.map(|key| request_for(&config.name, key)).transpose()?;
    let request = SessionRegisterRequest {
        agent_platform: AgentPlatform::Native,
        agent_version: version_number(env!("CARGO_PKG_VERSION")),
        client_machine: config.name.clone(),
        csr,
        agent_id: identity
            .map(|identity| identity.agent_id.clone())
            .unwrap_or_default(),
        capabilities: stores::ALL
            .iter()
            .flat_map(|driver| driver.capabilities())
            .map(|capability| (*capability).to_owned())
            .collect(),
        chancery: Some(RegistrationExtra {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            hostname: hostname().unwrap_or_else(|| config.name.clone()),
            profiles: config
                .profiles
                .iter()
                .map(|profile| profile.name.clone())
                .collect(),
        }),
        ..SessionRegisterRequest::default()
    };
    runner
        .call(identity, path::SESSION_REGISTER, &request)
        .await
}

fn request_for(name: &str, key: &PrivateKey) -> Result<String> {
    let subject = DistinguishedName::parse(&format!("CN={}", escaped(name)))?;
    Ok(STANDARD.encode(CertificateRequest::create(&subject, &[], key)?.der()))
}

/// RFC 4514, section 2.4.
fn escaped(value: &str) -> String {
    let mut text = String::new();
    for character in value.trim().chars() {
        if ",+\"\\<>;=#".contains(character) {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

/// The certificate of an answer: bare base64 DER, lines may be wrapped. It has to be for our key.
fn certificate_for(key: &PrivateKey, text: &str) -> Result<Certificate> {
    let unexpected = |reason: &str| Error::Protocol {
        endpoint: path::SESSION_REGISTER.to_owned(),
        reason: reason.to_owned(),
    };
    let bare: String = text.split_ascii_whitespace().collect();
    let der = STANDARD
        .decode(bare)
        .map_err(|_| unexpected("Certificate is no base64"))?;
    let certificate = Certificate::from_der(&der)?;
    if !key.matches(&certificate) {
        return Err(unexpected("Certificate is not for the key of the CSR"));
    }
    Ok(certificate)
}

/// In the last third of its life, as an agent whose certificate expires has to be approved again.
fn is_renewal_due(certificate: &Certificate, now: i64) -> bool {
    let life = certificate
        .not_after()
        .saturating_sub(certificate.not_before());
    now >= certificate.not_after().saturating_sub(life / 3)
}

fn message_of(result: &OperationResult) -> String {
    result
        .error
        .as_ref()
        .and_then(|error| error.message.clone())
        .unwrap_or_default()
}

fn refused(result: &OperationResult) -> Error {
    let code = result
        .error
        .as_ref()
        .and_then(|error| error.code_text())
        .unwrap_or("no code");
    Error::Refused {
        message: message_of(result),
        code: code.to_owned(),
    }
}

/// `major << 48 | minor << 32 | micro << 16 | build`.
fn version_number(text: &str) -> u64 {
    let mut parts = text
        .split(['.', '-', '+'])
        .map(|part| part.parse::<u64>().unwrap_or(0) & 0xffff);
    let mut part = || parts.next().unwrap_or(0);
    part() << 48 | part() << 32 | part() << 16
}

fn hostname() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(text.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_special_characters_stay_one_name() {
        let key = PrivateKey::generate(pki::KeySpec::EcP256).unwrap();
        let text = request_for("web,1+2=\"x\"", &key).unwrap();
        let request = CertificateRequest::from_pem_or_der(&STANDARD.decode(text).unwrap()).unwrap();
        assert_eq!(request.subject().common_name(), Some("web,1+2=\"x\""));
    }

    #[test]
    fn the_version_has_sixteen_bits_a_part() {
        assert_eq!(version_number("2.19.0"), 563_031_557_799_936);
        assert_eq!(version_number("0.1.2-beta"), 0x0000_0001_0002_0000);
    }
}
