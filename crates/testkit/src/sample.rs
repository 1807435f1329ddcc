//! Values that fit a schema, for tests that drive every operation without knowing it.

use serde_json::{Map, Value, json};

use crate::client::{Client, RequestBuilder};
use crate::contract::{Operation, contract};

/// A request of the operation with everything that the document requires: version, path, query, headers, body.
pub fn sample_request(client: &Client, operation: &Operation) -> RequestBuilder {
    let required = operation.item["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|parameter| parameter["required"] == true);
    let (mut path, mut headers) = (sample_path(operation), Vec::new());
    for parameter in required {
        let value = match sample(operation.version, &parameter["schema"], 0) {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let name = parameter["name"].as_str().unwrap_or_default();
        match parameter["in"].as_str() {
            Some("query") => {
                path += if path.contains('?') { "&" } else { "?" };
                path += &format!("{name}={value}");
            }
            Some("header") => headers.push((name, value)),
            _ => {}
        }
    }
    let request = client.request(&operation.method, &path);
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(name, value)
    });
    let request = request.version(operation.version);
    match sample_body(operation) {
        Some(body) => request.json(body),
        None => request,
    }
}

/// A body that the operation's schema allows, as small as possible: only members that are required. `None` when it takes none.
pub fn sample_body(operation: &Operation) -> Option<Value> {
    operation
        .body
        .as_ref()
        .map(|schema| sample(operation.version, schema, 0))
}

/// The path with values in place of its names.
pub fn sample_path(operation: &Operation) -> String {
    let parameters = operation.item["parameters"].as_array();
    let segments = operation.path.split('/').map(|segment| {
        let Some(name) = segment
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
        else {
            return segment.to_owned();
        };
        let parameter = parameters
            .into_iter()
            .flatten()
            .find(|parameter| parameter["name"] == name);
        match parameter.map(|parameter| sample(operation.version, &parameter["schema"], 0)) {
            Some(Value::String(text)) => text,
            Some(Value::Null) | None => "1".to_owned(),
            Some(other) => other.to_string(),
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

fn sample(version: u8, schema: &Value, depth: usize) -> Value {
    let schema = contract(version).resolve(schema);
    if depth > 16 {
        return Value::Null;
    }
    if let Some(example) = schema.get("example").or_else(|| schema.get("const")) {
        return example.clone();
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let mut whole = Map::new();
        for part in parts {
            if let Value::Object(members) = sample(version, part, depth + 1) {
                whole.extend(members);
            }
        }
        return Value::Object(whole);
    }
    for word in ["oneOf", "anyOf"] {
        if let Some(branch) = schema[word]
            .as_array()
            .and_then(|branches| branches.iter().find(|branch| branch["type"] != "null"))
        {
            return sample(version, branch, depth + 1);
        }
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds
            .iter()
            .find(|kind| *kind != "null")
            .and_then(Value::as_str),
        kind => kind.as_str(),
    };
    match kind {
        Some("object") => object(version, schema, depth),
        None if schema.get("properties").is_some() => object(version, schema, depth),
        Some("array") => {
            let least = schema["minItems"].as_u64().unwrap_or(0);
            (0..least)
                .map(|_| sample(version, &schema["items"], depth + 1))
                .collect()
        }
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        Some("boolean") => json!(false),
        Some("string") => match schema["format"].as_str() {
            Some("uuid") => json!("00000000-0000-0000-0000-000000000000"),
            Some("date-time") => json!("2026-11-21T12:00:00Z"),
            _ => json!("sample"),
        },
        _ => Value::Null,
    }
}

fn object(version: u8, schema: &Value, depth: usize) -> Value {
    let required = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let members = required.map(|name| {
        (
            name.to_owned(),
            sample(version, &schema["properties"][name], depth + 1),
        )
    });
    Value::Object(members.collect())
}
