//! From the listener to a handler and back: base paths, versions, sign-in, headers, the log.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, Method, Uri, header};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use tower::ServiceExt;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use super::PRODUCT_VERSION;
use super::path::{self, Template};
use crate::app::App;
use crate::cx::{Caller, Cx};
use crate::error::{Error, Kind};
use crate::{agents, audit, authorities, certificates, openapi, security};

/// Where a request came from. The listener puts it into the request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddress(pub SocketAddr);

/// The leaf certificate (DER) that the client proved to hold. The listener puts it into the request's extensions when the
/// handshake had one; it has been verified against the agents' authority there.
#[derive(Clone, Debug)]
pub struct PeerCertificate(pub Vec<u8>);

/// A request that takes long says that it comes on: the listener, which puts this into the request's extensions, gives it time anew.
#[derive(Clone, Debug, Default)]
pub struct RequestProgress(Arc<AtomicU64>);

impl RequestProgress {
    /// A step is done.
    pub fn step(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many are done.
    pub fn steps(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One version of the API: its router, its paths, its document.
pub(crate) struct ApiRoutes {
    router: Router,
    templates: Vec<Template>,
    /// What the code declares, completed with what all operations share.
    document: OpenApi,
}

impl std::fmt::Debug for ApiRoutes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiRoutes")
            .field("paths", &self.templates.len())
            .finish_non_exhaustive()
    }
}

impl ApiRoutes {
    pub(crate) fn new(routes: OpenApiRouter, version: u8, body_limit: usize) -> Self {
        let (router, document) = routes.split_for_parts();
        let document = openapi::complete(document, version);
        let templates = document
            .paths
            .paths
            .keys()
            .map(|path| Template::new(path))
            .collect();
        let router = router
            .fallback(async || Error::new(Kind::NotFound, "There is no such path."))
            .method_not_allowed_fallback(async || {
                Error::new(Kind::BadMethod, "The path does not know this method.")
            })
            .layer(DefaultBodyLimit::max(body_limit));
        Self {
            router,
            templates,
            document,
        }
    }

    pub(crate) fn document(&self) -> &OpenApi {
        &self.document
    }

    /// The operation of a method and a path below the base, and the path as it is documented.
    pub(crate) fn operation(&self, method: &str, path: &str) -> Option<(&str, &Operation)> {
        let (template, _) = path::find(&self.templates, path)?;
        let (text, item) = self.document.paths.paths.get_key_value(template.text())?;
        let operation = match method {
            "GET" => &item.get,
            "PUT" => &item.put,
            "POST" => &item.post,
            "DELETE" => &item.delete,
            _ => &None,
        };
        Some((text, operation.as_ref()?))
    }
}

/// The whole HTTP surface of the product.
pub(crate) async fn serve(app: Arc<App>, request: Request) -> Response {
    let started = Instant::now();
    let correlation_id = correlation_id(&app, &request);
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let authorization = request.headers().get(header::AUTHORIZATION).cloned();
    let address = request
        .extensions()
        .get::<PeerAddress>()
        .map(|peer| peer.0.ip());
    let answered = std::panic::AssertUnwindSafe(route(&app, request, correlation_id))
        .catch_unwind()
        .await;
    let mut response =
        answered.unwrap_or_else(|_| Error::internal("a handler panicked").into_response());
    if let Some(error) = response.extensions().get::<Arc<Error>>().cloned() {
        let caller = response.extensions().get::<Cx>().cloned();
        let named = error.who_tried().map(str::to_owned);
        match error.kind() {
            Kind::Forbidden => {
                let unknown = || match named {
                    Some(who) => Cx::at_the_door(Arc::clone(&app), &who, correlation_id, address),
                    None => {
                        let agent = Caller::System("agent");
                        Cx::new(Arc::clone(&app), agent, correlation_id, address)
                    }
                };
                let cx = caller.unwrap_or_else(unknown);
                audit::refused(&cx, &method, &path, &error).await;
            }
            Kind::Unauthenticated => {
                let tried = named.or_else(|| authorization.as_ref().map(audit::tried));
                if let Some(tried) = tried {
                    audit::sign_in_failed(&app, tried, &error, address, correlation_id).await;
                }
            }
            _ => {}
        }
    }
    let headers = response.headers_mut();
    headers.insert(
        "x-keyfactor-product-version",
        HeaderValue::from_static(PRODUCT_VERSION),
    );
    if let Ok(value) = HeaderValue::from_str(&correlation_id.to_string()) {
        headers.insert("x-keyfactor-correlation-id", value);
    }
    super::secure(headers);
    note(&response, &method, &path, correlation_id, started);
    response
}

/// The one place where a request is counted and a failure logged.
fn note(response: &Response, method: &Method, path: &str, correlation_id: Uuid, started: Instant) {
    let status = response.status();
    let elapsed = started.elapsed();
    let class = match status.as_u16() {
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    };
    metrics::counter!("chancery_http_requests_total", "status" => class).increment(1);
    metrics::histogram!("chancery_http_request_duration_seconds").record(elapsed.as_secs_f64());
    let duration_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    let error = response.extensions().get::<Arc<Error>>();
    if status.is_server_error() {
        let source = error
            .and_then(|error| std::error::Error::source(&**error))
            .map(ToString::to_string);
        tracing::error!(%method, path, %status, %correlation_id, duration_us, source, "request failed");
    } else {
        let reason = error.map(ToString::to_string);
        tracing::info!(%method, path, status = status.as_u16(), %correlation_id, duration_us, reason, "request");
    }
}

/// The caller's correlation id when it is a GUID, otherwise a new one.
fn correlation_id(app: &App, request: &Request) -> Uuid {
    let given = request
        .headers()
        .get("x-keyfactor-correlation-id")
        .and_then(|value| value.to_str().ok());
    given
        .and_then(|text| Uuid::parse_str(text.trim()).ok())
        .unwrap_or_else(|| app.randomness.guid_at(app.clock.now()))
}

async fn route(app: &Arc<App>, mut request: Request, correlation_id: Uuid) -> Response {
    // Go clients send the method `Put`; methods are case-sensitive tokens, so it would be one of its own.
    if let Ok(method) =
        Method::from_bytes(request.method().as_str().to_ascii_uppercase().as_bytes())
    {
        *request.method_mut() = method;
    }
    let path = request.uri().path().to_owned();
    if let Some(below) = path::below(&app.options.agents_prefix, &path) {
        return agents::protocol::serve(app, request, &below, correlation_id).await;
    }
    if security::doors::leads_here(&path) {
        return security::doors::serve(app, request, correlation_id)
            .await
            .unwrap_or_else(IntoResponse::into_response);
    }
    if let Some(below) = path::below(authorities::REVOCATION_LISTS, &path) {
        let (parts, _) = request.into_parts();
        return authorities::serve(app, &parts, &below)
            .await
            .unwrap_or_else(IntoResponse::into_response);
    }
    let Some(below) = app
        .options
        .api_bases
        .iter()
        .find_map(|base| path::below(base, &path))
    else {
        return Error::new(Kind::NotFound, "There is no such path.").into_response();
    };
    api(app, request, &below, correlation_id)
        .await
        .unwrap_or_else(IntoResponse::into_response)
}

async fn api(
    app: &Arc<App>,
    request: Request,
    below: &str,
    correlation_id: Uuid,
) -> Result<Response, Error> {
    let address = request
        .extensions()
        .get::<PeerAddress>()
        .map(|peer| peer.0.ip());
    let signed_in = security::sign_in(app, request.headers(), address).await;
    let identity = signed_in.map_err(|error| app.rates.refused(error, address, app.clock.now()))?;
    let whose = (&identity.provider, &identity.subject);
    let _turn = app.rates.turn(whose, app.clock.now())?;
    let (first, second) = (
        path::find(&app.routes(1).templates, below),
        path::find(&app.routes(2).templates, below),
    );
    let supported = match (&first, &second) {
        (Some(_), Some(_)) => "1.0, 2",
        (Some(_), None) => "1.0",
        (None, Some(_)) => "2",
        (None, None) => return Err(Error::new(Kind::NotFound, "There is no such path.")),
    };
    let found = version(&request).and_then(|version| {
        let (routes, found) = if version == 1 {
            (app.routes(1), first)
        } else {
            (app.routes(2), second)
        };
        let (_, path) = found.ok_or_else(|| {
            let message = format!(
                "x-keyfactor-api-version: this operation exists in version {supported}, not {version}."
            );
            Error::new(Kind::BadVersion, message)
        })?;
        Ok((routes, path))
    });
    let mut response = match found {
        Ok((routes, path)) => {
            audit::signed_in(app, &identity, address, correlation_id).await;
            security::check_password_change(&identity, &path)
                .map_err(|error| app.rates.refused(error, address, app.clock.now()))?;
            let identity = Arc::new(identity);
            let wish = security::explain::wish(request.headers(), &identity);
            let caller = Caller::Identity(Arc::clone(&identity));
            let cx = Cx::new(Arc::clone(app), caller, correlation_id, address)
                .explained(wish.recorder());
            let operation = format!("{} {path}", request.method());
            let response = handle(routes, &path, cx.clone(), request).await?;
            let mut response =
                security::explain::attach(app, &identity, operation, &wish, response).await;
            // For the record of a refusal.
            response.extensions_mut().insert(cx);
            response
        }
        Err(error) => error.into_response(),
    };
    // On refusals of a version too: it is what they send callers to.
    response.headers_mut().insert(
        HeaderName::from_static("api-supported-versions"),
        HeaderValue::from_static(supported),
    );
    Ok(response)
}

/// Lets the handler of a path in its documented spelling answer.
async fn handle(
    routes: &ApiRoutes,
    path: &str,
    cx: Cx,
    mut request: Request,
) -> Result<Response, Error> {
    let query = request
        .uri()
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    *request.uri_mut() = format!("{path}{query}")
        .parse::<Uri>()
        .map_err(|_| Error::bad_request("The path is not valid."))?;
    if matches!(*request.method(), Method::GET) {
        // Go clients send the body `null` with every GET.
        *request.body_mut() = Body::empty();
    }
    let budget = &cx.app().bodies;
    let share = if path == certificates::STREAMED && request.method() == Method::POST {
        // Read as it comes, not held in memory.
        budget.count(Body::empty()).1
    } else {
        let (body, share) = budget.count(std::mem::take(request.body_mut()));
        *request.body_mut() = body;
        share
    };
    request.extensions_mut().insert(cx);
    let response = match routes.router.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    share.check()?;
    Ok(response)
}

/// The version asked for: 1 unless told.
fn version(request: &Request) -> Result<u8, Error> {
    let header = request
        .headers()
        .get("x-keyfactor-api-version")
        .map(|value| value.to_str().unwrap_or("?").trim());
    match header {
        None | Some("" | "1" | "1.0") => Ok(1),
        Some("2" | "2.0") => Ok(2),
        Some(other) => {
            let shown: String = other.chars().take(20).collect();
            Err(Error::new(
                Kind::BadVersion,
                format!("x-keyfactor-api-version: there is no version {shown:?}."),
            ))
        }
    }
}
