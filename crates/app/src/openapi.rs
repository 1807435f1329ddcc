//! What every operation of the OpenAPI document has in common, added once: headers, refusals, sign-in.

use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, LicenseBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Required,
    Response, ResponseBuilder, ServerBuilder, Type,
};
use utoipa::{PartialSchema, ToSchema};

use crate::error::ErrorBody;

/// Completes the document of one version.
pub(crate) fn complete(mut document: OpenApi, version: u8) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("Chancery, KeyfactorAPI")
        .version(format!("{version}"))
        .description(Some(
            "Certificate lifecycle: inventory, enrollment, deployment to stores, approval.",
        ))
        .license(Some(
            LicenseBuilder::new()
                .name("Apache-2.0")
                .identifier(Some("Apache-2.0"))
                .build(),
        ))
        .build();
    document.servers = Some(vec![ServerBuilder::new().url("/KeyfactorAPI").build()]);
    let components = document.components.get_or_insert_default();
    components
        .schemas
        .insert(ErrorBody::name().into_owned(), ErrorBody::schema());
    let mut below = Vec::new();
    ErrorBody::schemas(&mut below);
    components.schemas.extend(below);
    let basic = HttpBuilder::new()
        .scheme(HttpAuthScheme::Basic)
        .description(Some(
            "A local account: `name`, `DOMAIN\\name` or `name@domain`, and its password.",
        ))
        .build();
    components
        .security_schemes
        .insert("Basic".into(), RefOr::T(SecurityScheme::Http(basic)));
    document.security = Some(vec![SecurityRequirement::new(
        "Basic",
        Vec::<String>::new(),
    )]);
    for item in document.paths.paths.values_mut() {
        let methods = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
        ];
        for operation in methods.into_iter().flatten() {
            complete_operation(operation, version);
        }
    }
    document
}

fn complete_operation(operation: &mut Operation, version: u8) {
    let parameters = operation.parameters.get_or_insert_default();
    let version_text = "The version of the operation: 1 (the default) or 2.";
    parameters.push(RefOr::T(header(
        "x-keyfactor-api-version",
        version_text,
        version == 2,
    )));
    parameters.push(RefOr::T(header(
        "x-keyfactor-requested-with",
        "`APIClient` or `XMLHttpRequest`.",
        false,
    )));
    parameters.push(RefOr::T(header(
        "x-chancery-explain",
        "`true`: how the decision came about, for callers who may read security settings.",
        false,
    )));
    let has_path_value = parameters
        .iter()
        .any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Path));
    let responses = &mut operation.responses.responses;
    let mut refuse = |status: &str, text: &str| {
        responses
            .entry(status.to_owned())
            .or_insert_with(|| RefOr::T(refusal(text)));
    };
    refuse(
        "400",
        "A value is missing or wrong; the message names the place. Nothing was changed.",
    );
    refuse("401", "Nobody is signed in, or the password is wrong.");
    refuse("403", "The caller lacks every one of the permissions.");
    refuse(
        "429",
        "More requests than one caller may make. `Retry-After` says in how many seconds the same request may do.",
    );
    refuse(
        "500",
        "A fault of the server; the correlation id leads to it in the log.",
    );
    refuse(
        "503",
        "The database is away, or the server has as much to do as it can. The same request may do later.",
    );
    // What a body names may be missing as well.
    if has_path_value || operation.request_body.is_some() {
        refuse("404", "There is no such thing.");
    }
    if operation.request_body.is_some() {
        refuse("413", "The body is larger than the server accepts.");
        refuse(
            "415",
            "The body is of a media type that the operation does not read.",
        );
    }
}

fn header(name: &str, text: &str, required: bool) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(if required {
            Required::True
        } else {
            Required::False
        })
        .description(Some(text))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).build()))
        .build()
}

fn refusal(text: &str) -> Response {
    let body = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(ErrorBody::name())))
        .build();
    ResponseBuilder::new()
        .description(text)
        .content("application/json", body)
        .build()
}
