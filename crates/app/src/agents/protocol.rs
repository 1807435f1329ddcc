//! `/KeyfactorAgents`: the session protocol of agents (agent-protocol reference).
//!
//! A call that is understood is answered with 200 and `Result.Status`, also when the answer is no. Everything else has an
//! empty body: the C agent glues an error's body in front of the next answer, and dies on a refusal where it expects none.
//! Every call can be repeated.

mod certificate;
mod identity;
mod inventory;
mod management;
mod register;
mod report;
mod session;

use std::sync::Arc;

use agent_protocol::{
    HeartbeatResponse, InventoryConfigureResponse, InventorySubmitResponse, JobCompleteResponse,
    ManagementConfigureResponse, OperationResult, ResultStatus, SessionRegisterResponse,
};
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use self::identity::Who;
use crate::app::App;
use crate::cx::{Caller, Cx};
use crate::error::{Error, Kind};
use crate::web::{PeerAddress, PeerCertificate, lenient};

/// One call of an agent: who it is, and the context.
struct Call {
    cx: Cx,
    who: Who,
}

/// The calls there are.
#[derive(Clone, Copy)]
enum Endpoint {
    Register,
    Heartbeat,
    InventoryConfigure,
    InventoryUpdate,
    InventoryComplete,
    ManagementConfigure,
    ManagementComplete,
}

impl Endpoint {
    /// By path, in any case, with doubled or trailing slashes.
    fn of(below: &str) -> Option<Self> {
        let segments: Vec<String> = below
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(str::to_ascii_lowercase)
            .collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        Some(match segments.as_slice() {
            ["session", "register"] => Self::Register,
            ["session", "heartbeat"] => Self::Heartbeat,
            ["anyinventory", "configure"] => Self::InventoryConfigure,
            ["anyinventory", "update"] => Self::InventoryUpdate,
            ["anyinventory", "complete"] => Self::InventoryComplete,
            ["anymanagement", "configure"] => Self::ManagementConfigure,
            ["anymanagement", "complete"] => Self::ManagementComplete,
            _ => return None,
        })
    }
}

/// Answers one call of an agent. `below` is the path after the prefix.
pub(crate) async fn serve(
    app: &Arc<App>,
    request: Request,
    below: &str,
    correlation_id: Uuid,
) -> Response {
    let Some(endpoint) = Endpoint::of(below) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if request.method() != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let address = request
        .extensions()
        .get::<PeerAddress>()
        .map(|peer| peer.0.ip());
    let peer = request.extensions().get::<PeerCertificate>().cloned();
    let who = match identity::identify(app, request.headers(), peer, address).await {
        Ok(who) => who,
        Err(error) => return empty(app.rates.refused(error, address, app.clock.now())),
    };
    let _turn = match who.turn(app, address) {
        Ok(turn) => turn,
        Err(error) => return empty(error),
    };
    let (request, share) = {
        let (parts, body) = request.into_parts();
        let (body, share) = app.bodies.count(body);
        (Request::from_parts(parts, body), share)
    };
    let body = match read_body(request, app.options.agent_body_limit).await {
        Ok(body) => body,
        Err(status) => return share.check().err().map_or(status.into_response(), empty),
    };
    // Agents act in the server's name: what they may do is bound by their session and not by permissions.
    let cx = Cx::new(
        Arc::clone(app),
        Caller::System("agent"),
        correlation_id,
        address,
    );
    let call = Call { cx, who };
    dispatch(endpoint, &call, &body).await.unwrap_or_else(empty)
}

async fn dispatch(endpoint: Endpoint, call: &Call, body: &Bytes) -> Result<Response, Error> {
    match endpoint {
        Endpoint::Register => answer(register::register(call, parse(body)?).await),
        Endpoint::Heartbeat => answer(session::heartbeat(call, parse(body)?).await),
        Endpoint::InventoryConfigure => answer(inventory::configure(call, parse(body)?).await),
        Endpoint::InventoryUpdate => {
            answer(inventory::update(call, report::Report::read(body)?).await)
        }
        Endpoint::InventoryComplete | Endpoint::ManagementComplete => {
            answer(session::complete(call, parse(body)?).await)
        }
        Endpoint::ManagementConfigure => answer(management::configure(call, parse(body)?).await),
    }
}

async fn read_body(request: Request, limit: usize) -> Result<Bytes, StatusCode> {
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    if announced
        .and_then(|text| text.parse::<u64>().ok())
        .is_some_and(|length| usize::try_from(length).is_ok_and(|length| length > limit))
    {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    axum::body::to_bytes(request.into_body(), limit)
        .await
        .map_err(|error| {
            let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
            while let Some(error) = source {
                if error.is::<http_body_util::LengthLimitError>() {
                    return StatusCode::PAYLOAD_TOO_LARGE;
                }
                source = error.source();
            }
            StatusCode::BAD_REQUEST
        })
}

/// A body that is not a JSON object of the protocol's shape is not understood.
fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, Error> {
    let value = lenient::parse(body).map_err(|reason| Error::new(Kind::BadBody, reason))?;
    lenient::from_value(value).map_err(|reason| Error::new(Kind::BadBody, reason))
}

/// Answers that can say no.
trait Refusable: Serialize {
    fn refused(result: OperationResult) -> Self;
}

macro_rules! refusable {
    ($($name:ident),*) => { $(
        impl Refusable for $name {
            fn refused(result: OperationResult) -> Self {
                Self { result, ..Self::default() }
            }
        }
    )* };
}

refusable!(
    SessionRegisterResponse,
    HeartbeatResponse,
    InventoryConfigureResponse,
    JobCompleteResponse,
    ManagementConfigureResponse
);

impl Refusable for InventorySubmitResponse {
    fn refused(result: OperationResult) -> Self {
        Self { result }
    }
}

/// The answer of a call that was understood. Faults of ours, and what may go better in a moment, are left to [`empty`], so
/// that the agent asks again.
fn answer<T: Refusable>(result: Result<T, Error>) -> Result<Response, Error> {
    let (body, reason) = match result {
        Ok(body) => (body, None),
        Err(error)
            if matches!(
                error.kind(),
                Kind::Internal | Kind::Unavailable | Kind::Conflict
            ) =>
        {
            return Err(error);
        }
        Err(error) => (
            T::refused(OperationResult::failure(
                ResultStatus::Error,
                &error.to_string(),
                "",
            )),
            Some(error),
        ),
    };
    let bytes = serde_json::to_vec(&body)?;
    let media = HeaderValue::from_static("application/json; charset=utf-8");
    let mut response = (StatusCode::OK, [(header::CONTENT_TYPE, media)], bytes).into_response();
    if let Some(error) = reason {
        // For the log: the one place that notes failures finds it here.
        response.extensions_mut().insert(Arc::new(error));
    }
    Ok(response)
}

/// A status without a body.
fn empty(error: Error) -> Response {
    let status = match error.kind() {
        Kind::Conflict => StatusCode::SERVICE_UNAVAILABLE,
        _ => error.status().0,
    };
    let mut response = status.into_response();
    if let Some(seconds) = error.retry_after() {
        let seconds = HeaderValue::from(seconds);
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response.extensions_mut().insert(Arc::new(error));
    response
}
