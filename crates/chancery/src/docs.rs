//! The interactive reference page at `/docs`. Its scripts and styles come embedded with the `utoipa-swagger-ui`
//! crate; nothing is fetched from elsewhere, so it works without the Internet.

use std::sync::{Arc, OnceLock};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderValue, header},
    middleware,
    response::Response,
    routing::get,
};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, SwaggerUi, Url};

/// What the page may do: its own scripts, styles (it writes some into its elements) and pictures (some stand in its
/// styles), and calls of this server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Where the documents are.
const DOCUMENTS: [&str; 2] = ["/docs/openapi-v1.json", "/docs/openapi-v2.json"];

/// The page and the documents that it shows, as a router to be merged with the product's own.
///
/// `/docs` is the page, `/docs/openapi-v1.json` and `/docs/openapi-v2.json` are the documents, by version of the API. A reader signs
/// in on the page itself (Authorize) and may then try every call. A document is made when it is first asked for and kept as text: a
/// server whose page nobody opens does without.
pub fn router(document: fn(u8) -> OpenApi) -> Router {
    let config = Config::new([
        Url::with_primary("API version 1", DOCUMENTS[0], true),
        Url::new("API version 2", DOCUMENTS[1]),
    ])
    .deep_linking(true)
    .display_request_duration(true)
    .filter(true)
    .doc_expansion("none")
    .default_models_expand_depth(0)
    .try_it_out_enabled(true)
    // A page that names a validator would send the document to a service of somebody else.
    .validator_url("none");
    let mut pages: Router = SwaggerUi::new("/docs").config(config).into();
    for (path, version) in DOCUMENTS.into_iter().zip(1..) {
        let text: Arc<OnceLock<Bytes>> = Arc::default();
        let answer = async move || {
            let text = text.get_or_init(|| {
                let text = serde_json::to_string(&document(version));
                Bytes::from(text.expect("the document's maps have texts as keys"))
            });
            ([(header::CONTENT_TYPE, "application/json")], text.clone())
        };
        pages = pages.route(path, get(answer));
    }
    pages.layer(middleware::map_response(async |mut response: Response| {
        let policy = HeaderValue::from_static(POLICY);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        response
    }))
}

#[cfg(test)]
mod tests {
    use axum::{
        body::Body,
        http::{Request, StatusCode},
    };
    use tower::ServiceExt as _;
    use utoipa::openapi::{InfoBuilder, OpenApiBuilder};

    use super::*;

    async fn page(path: &str) -> (StatusCode, String) {
        let document = |version: u8| {
            let title = ["one", "two"][usize::from(version) - 1];
            OpenApiBuilder::new()
                .info(InfoBuilder::new().title(title).version("1").build())
                .build()
        };
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = router(document).oneshot(request).await.unwrap();
        assert_eq!(answer.headers()["content-security-policy"], POLICY);
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), 8 << 20)
            .await
            .unwrap();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn the_page_its_parts_and_both_documents_are_served() {
        assert_eq!(page("/docs").await.0, StatusCode::SEE_OTHER);
        let (status, html) = page("/docs/").await;
        assert_eq!(status, StatusCode::OK);
        assert!(html.contains("swagger-ui-bundle.js"), "{html}");
        // The policy of the page forbids scripts and handlers inside of it.
        assert!(
            !html.contains("<script>") && !html.contains(" onload="),
            "{html}"
        );
        assert!(
            !html.contains("https://"),
            "something is fetched from elsewhere: {html}"
        );
        let (status, script) = page("/docs/swagger-initializer.js").await;
        assert_eq!(status, StatusCode::OK);
        for expected in [
            "/docs/openapi-v1.json",
            "/docs/openapi-v2.json",
            "\"validatorUrl\": \"none\"",
        ] {
            assert!(script.contains(expected), "no {expected} in {script}");
        }
        assert_eq!(page("/docs/swagger-ui-bundle.js").await.0, StatusCode::OK);
        for (path, title) in [
            ("/docs/openapi-v1.json", "one"),
            ("/docs/openapi-v2.json", "two"),
        ] {
            let document: serde_json::Value = serde_json::from_str(&page(path).await.1).unwrap();
            assert_eq!(document["info"]["title"], title);
        }
    }
}
