//! The check of every answer against the OpenAPI document of its version: the operation declares the status, the media type,
//! the shape of the body, and every member of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

use crate::client::Answer;
use crate::coverage;
use crate::database::Database;

/// The bases of the interface, as the server's defaults have them.
const BASES: [&str; 2] = ["/KeyfactorAPI", "/Keyfactor/API"];
/// How deep the check for undeclared members goes; a document that refers to itself must not make it endless.
const MAX_DEPTH: usize = 64;

/// The document of one version of the interface, and its operations.
#[derive(Debug)]
pub struct Contract {
    version: u8,
    document: Value,
    operations: Vec<Operation>,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// One operation of the document.
#[derive(Clone, Debug)]
pub struct Operation {
    /// 1 or 2.
    pub version: u8,
    /// In upper case.
    pub method: String,
    /// The template, `/Certificates/{id}`, without the base.
    pub path: String,
    /// What the caller needs, all of it; `None` when the document does not say.
    pub permissions: Option<Vec<String>>,
    /// What would do instead: each all of it.
    pub alternatives: Vec<Vec<String>>,
    /// The schema of the body, when it takes one.
    pub body: Option<Value>,
    /// The operation as it stands in the document.
    pub item: Value,
}

/// One request and its answer.
pub(crate) struct Exchange<'a> {
    pub(crate) version: &'a str,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) answer: &'a Answer,
    pub(crate) database: Database,
}

/// The document of version 1 or 2.
///
/// # Panics
/// When it cannot be written as JSON.
pub fn contract(version: u8) -> &'static Contract {
    static CONTRACTS: [OnceLock<Contract>; 2] = [OnceLock::new(), OnceLock::new()];
    let version = if version == 2 { 2 } else { 1 };
    CONTRACTS[usize::from(version) - 1].get_or_init(|| {
        let document = serde_json::to_value(app::openapi(version)).expect("the document is JSON");
        Contract::new(version, document)
    })
}

/// Checks an answer, and notes it in the record. Paths outside the interface and versions that do not exist are exempt.
///
/// # Errors
/// What the answer has that the document does not declare.
pub(crate) fn check(exchange: &Exchange<'_>) -> Result<(), String> {
    let version = match exchange.version.trim() {
        "" | "1" | "1.0" => 1,
        "2" | "2.0" => 2,
        _ => return Ok(()),
    };
    let path = exchange.path.split('?').next().unwrap_or_default();
    let Some(below) = BASES.iter().find_map(|base| below(base, path)) else {
        return Ok(());
    };
    let contract = contract(version);
    let Some(operation) = contract.find(&exchange.method.to_ascii_uppercase(), &below) else {
        return Ok(());
    };
    coverage::note(
        version,
        &operation.method,
        &operation.path,
        exchange.answer.status,
        exchange.database,
    );
    contract
        .check_answer(operation, exchange.answer)
        .map_err(|reason| {
            format!(
                "{} {} (version {version}) answered {} against its declaration: {reason}\nbody: {}",
                operation.method, operation.path, exchange.answer.status, exchange.answer.text
            )
        })
}

/// The segments below a base, without regard to case and doubled slashes.
fn below<'p>(base: &str, path: &'p str) -> Option<Vec<&'p str>> {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    for wanted in base.split('/').filter(|segment| !segment.is_empty()) {
        if !segments.next()?.eq_ignore_ascii_case(wanted) {
            return None;
        }
    }
    Some(segments.collect())
}

impl Contract {
    fn new(version: u8, document: Value) -> Self {
        let texts = |values: &Vec<Value>| {
            let texts = values.iter().filter_map(Value::as_str);
            texts.map(str::to_owned).collect::<Vec<_>>()
        };
        let mut operations = Vec::new();
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                if ["get", "post", "put", "delete"].contains(&method.as_str()) {
                    operations.push(Operation {
                        version,
                        method: method.to_ascii_uppercase(),
                        path: path.clone(),
                        permissions: operation["x-permissions"].as_array().map(texts),
                        alternatives: operation["x-permissions-or"]
                            .as_array()
                            .into_iter()
                            .flatten()
                            .filter_map(Value::as_array)
                            .map(texts)
                            .collect(),
                        body: body_schema(&operation["requestBody"]).cloned(),
                        item: operation.clone(),
                    });
                }
            }
        }
        Self {
            version,
            document,
            operations,
            validators: Mutex::default(),
        }
    }

    /// Every operation of the document.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// What a `$ref` of the document stands for.
    pub fn resolve<'d>(&'d self, mut schema: &'d Value) -> &'d Value {
        for _ in 0..MAX_DEPTH {
            let Some(target) = schema["$ref"].as_str() else {
                return schema;
            };
            schema = self
                .document
                .pointer(target.trim_start_matches('#'))
                .unwrap_or(&Value::Null);
        }
        schema
    }

    /// The operation of a path: that with the most literal segments.
    fn find(&self, method: &str, path: &[&str]) -> Option<&Operation> {
        let scored = self
            .operations
            .iter()
            .filter_map(|operation| score(&operation.path, path).map(|score| (score, operation)));
        // A path with more literal segments hides the others, whatever methods it has.
        let best = scored.clone().map(|(score, _)| score).max()?;
        scored
            .filter(|(score, _)| *score == best)
            .map(|(_, operation)| operation)
            .find(|operation| operation.method == method)
    }

    fn check_answer(&self, operation: &Operation, answer: &Answer) -> Result<(), String> {
        let status = answer.status.to_string();
        let responses = &operation.item["responses"];
        let declared = responses.get(&status).or_else(|| responses.get("default"));
        let response = self.resolve(declared.ok_or("the status is not declared")?);
        let content = response["content"]
            .as_object()
            .filter(|content| !content.is_empty());
        let Some(content) = content else {
            return if answer.octets.is_empty() {
                Ok(())
            } else {
                Err("a body is not declared".into())
            };
        };
        let media = answer
            .header("content-type")
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default()
            .trim();
        let Some(declared) = content.get(media) else {
            let known: Vec<&String> = content.keys().collect();
            return Err(format!(
                "the content type {media:?} is not declared, but {known:?}"
            ));
        };
        let Some(schema) = declared.get("schema") else {
            return Ok(());
        };
        if !media.ends_with("json") {
            return Ok(());
        }
        let body: Value = serde_json::from_slice(&answer.octets)
            .map_err(|error| format!("the body is not JSON: {error}"))?;
        let key = format!("{} {} {status}", operation.method, operation.path);
        let validator = self.validator(key, schema)?;
        let wrong: Vec<String> = validator
            .iter_errors(&body)
            .take(5)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        if !wrong.is_empty() {
            return Err(wrong.join("; "));
        }
        let undeclared = self.undeclared(&[schema], &body, "", 0);
        if undeclared.is_empty() {
            Ok(())
        } else {
            Err(format!("undeclared members: {}", undeclared.join(", ")))
        }
    }

    /// The compiled check of one answer; compiled once.
    fn validator(&self, key: String, schema: &Value) -> Result<Arc<Validator>, String> {
        let mut validators = self
            .validators
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = validators.get(&key) {
            return Ok(Arc::clone(known));
        }
        // References stay as they are: they lead from the root of this schema to the same place as in the document.
        let whole = json!({ "allOf": [schema], "components": { "schemas": self.document["components"]["schemas"] } });
        let options = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true);
        let compiled = options
            .build(&whole)
            .map_err(|error| format!("the declared schema cannot be used: {error}"))?;
        let compiled = Arc::new(compiled);
        validators.insert(key, Arc::clone(&compiled));
        Ok(compiled)
    }

    /// The paths of members that none of the schemas declares. All of the schemas describe the value.
    fn undeclared(&self, schemas: &[&Value], value: &Value, at: &str, depth: usize) -> Vec<String> {
        if depth > MAX_DEPTH {
            return Vec::new();
        }
        let (mut all, mut choices) = (Vec::new(), Vec::new());
        for schema in schemas {
            self.flatten(schema, &mut all, &mut choices, 0);
        }
        self.undeclared_of(&all, &choices, value, at, depth)
    }

    /// The same for schemas whose references have been followed; of each of the choices one branch holds.
    fn undeclared_of(
        &self,
        all: &[&Value],
        choices: &[&Value],
        value: &Value,
        at: &str,
        depth: usize,
    ) -> Vec<String> {
        if let Some((choice, others)) = choices.split_first() {
            // The branch that leaves least over is the one meant.
            let branches = choice
                .as_array()
                .into_iter()
                .flatten()
                .filter(|branch| may_be(self.resolve(branch), value));
            let found = branches.map(|branch| {
                let (mut with, mut left) = (all.to_vec(), others.to_vec());
                self.flatten(branch, &mut with, &mut left, 0);
                self.undeclared_of(&with, &left, value, at, depth + 1)
            });
            return found.min_by_key(Vec::len).unwrap_or_default();
        }
        match value {
            Value::Object(members) => self.undeclared_members(all, members, at, depth),
            Value::Array(entries) => {
                let items: Vec<&Value> = all
                    .iter()
                    .filter_map(|schema| schema.get("items"))
                    .collect();
                if items.is_empty() {
                    return Vec::new();
                }
                let each = entries.iter().enumerate();
                each.flat_map(|(index, entry)| {
                    self.undeclared(&items, entry, &format!("{at}/{index}"), depth + 1)
                })
                .collect()
            }
            _ => Vec::new(),
        }
    }

    fn undeclared_members(
        &self,
        all: &[&Value],
        members: &Map<String, Value>,
        at: &str,
        depth: usize,
    ) -> Vec<String> {
        let declared: Vec<&Map<String, Value>> = all
            .iter()
            .filter_map(|schema| schema["properties"].as_object())
            .collect();
        let open: Vec<&Value> = all
            .iter()
            .filter_map(|schema| schema.get("additionalProperties"))
            .filter(|open| **open != Value::Bool(false))
            .collect();
        if declared.is_empty() && open.is_empty() {
            // The document says only that it is an object.
            return Vec::new();
        }
        let mut found = Vec::new();
        for (name, value) in members {
            let place = format!("{at}/{name}");
            let of_name: Vec<&Value> = declared
                .iter()
                .filter_map(|properties| properties.get(name))
                .collect();
            if !of_name.is_empty() {
                found.extend(self.undeclared(&of_name, value, &place, depth + 1));
            } else if open.is_empty() {
                found.push(place);
            } else {
                found.extend(self.undeclared(&open, value, &place, depth + 1));
            }
        }
        found
    }

    /// A schema, what it refers to, and what it is put together from, as one list; choices apart.
    fn flatten<'d>(
        &'d self,
        schema: &'d Value,
        all: &mut Vec<&'d Value>,
        choices: &mut Vec<&'d Value>,
        depth: usize,
    ) {
        if depth > MAX_DEPTH {
            return;
        }
        all.push(schema);
        if schema.get("$ref").is_some() {
            self.flatten(self.resolve(schema), all, choices, depth + 1);
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.flatten(part, all, choices, depth + 1);
        }
        choices.extend(
            ["oneOf", "anyOf"]
                .iter()
                .filter_map(|word| schema.get(*word)),
        );
    }

    /// 1 or 2.
    pub fn version(&self) -> u8 {
        self.version
    }
}

/// Whether a schema's type lets this value through.
fn may_be(schema: &Value, value: &Value) -> bool {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is = |declared: &Value| declared == kind || kind == "number" && declared == "integer";
    match &schema["type"] {
        Value::Null => true,
        Value::Array(kinds) => kinds.iter().any(is),
        declared => is(declared),
    }
}

fn body_schema(body: &Value) -> Option<&Value> {
    let content = body["content"].as_object()?;
    content
        .get("application/json")
        .or_else(|| content.values().next())?
        .get("schema")
}

fn score(template: &str, path: &[&str]) -> Option<usize> {
    let segments: Vec<&str> = template
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    if segments.len() != path.len() {
        return None;
    }
    let mut literals = 0;
    for (wanted, given) in segments.iter().zip(path) {
        if wanted.starts_with('{') {
            continue;
        }
        if !wanted.eq_ignore_ascii_case(given) {
            return None;
        }
        literals += 1;
    }
    Some(literals)
}

#[cfg(test)]
mod tests;
