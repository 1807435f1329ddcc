//! The sweep: every operation of the OpenAPI documents, without sign-in, without permission, without each of its permissions,
//! and with values of every wrong kind. It knows no operation; a new one is swept by being declared.

use std::collections::HashMap;

use app::security::permissions::TABLE;
use serde_json::{Value, json};
use testkit::{
    Client, Operation, RequestBuilder, TestServer, contract, sample_body, sample_path,
    sample_request,
};

fn operations() -> impl Iterator<Item = &'static Operation> {
    [1, 2]
        .into_iter()
        .flat_map(|version| contract(version).operations())
}

/// What goes wrong is gathered: one run shows all of it.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn expect(&mut self, operation: &Operation, who: &str, answer: &testkit::Answer, status: u16) {
        if answer.status != status {
            let Operation {
                version,
                method,
                path,
                ..
            } = operation;
            self.0.push(format!(
                "version {version} {method} {path}, {who}: {} instead of {status}: {}",
                answer.status, answer.text
            ));
        }
    }

    /// Sends a request whose values are wrong: whatever the answer is, it is a declared one, and no fault of the server.
    async fn drive(&mut self, operation: &Operation, what: &str, request: RequestBuilder) {
        let (answer, checked) = request.send_checked().await;
        if let Err(reason) = checked {
            self.0.push(format!("{what:.200}: {reason}"));
        } else if answer.status >= 500 {
            self.expect(operation, what, &answer, 400);
        }
    }

    #[track_caller]
    fn none(mut self) {
        self.0.sort();
        self.0.dedup();
        assert!(
            self.0.is_empty(),
            "{} operations:\n{}",
            self.0.len(),
            self.0.join("\n")
        );
    }
}

#[test]
fn every_operation_declares_permissions_of_the_table() {
    for operation in operations() {
        let Operation {
            version,
            method,
            path,
            permissions,
            ..
        } = operation;
        let permissions = permissions.as_ref().unwrap_or_else(|| {
            panic!("version {version} {method} {path} declares no x-permissions")
        });
        for permission in permissions
            .iter()
            .chain(operation.alternatives.iter().flatten())
        {
            assert!(
                TABLE.iter().any(|row| row.path == permission),
                "version {version} {method} {path}: {permission} is no permission"
            );
        }
    }
    assert!(operations().count() > 0);
}

testkit::both_databases! {
    async fn without_sign_in_is_401(server: TestServer) {
        let mut wrong = Wrong::default();
        let (anonymous, impostor) = (server.anonymous(), server.signed_in("admin", "the wrong password"));
        for operation in operations() {
            let answer = sample_request(&anonymous, operation).send().await;
            wrong.expect(operation, "nobody", &answer, 401);
        }
        let first = operations().next().unwrap();
        wrong.expect(first, "a wrong password", &sample_request(&impostor, first).send().await, 401);
        wrong.none();
    }

    async fn without_permission_is_403(server: TestServer) {
        let mut wrong = Wrong::default();
        let nobody = server.account(&[]).await;
        for operation in operations().filter(|operation| operation.permissions.as_ref().is_some_and(|needed| !needed.is_empty())) {
            let answer = sample_request(&nobody, operation).send().await;
            wrong.expect(operation, "no permission", &answer, 403);
        }
        wrong.none();
    }

    async fn without_one_of_its_permissions_is_403(server: TestServer) {
        let mut wrong = Wrong::default();
        // Accounts by the permissions that they lack, one of each way: they hold every other one, except those that imply them.
        let mut lacking: HashMap<Vec<&str>, Client> = HashMap::new();
        for operation in operations() {
            let instead: Vec<&str> = operation.alternatives.iter().map(|way| way[0].as_str()).collect();
            for missing in operation.permissions.iter().flatten() {
                let without: Vec<&str> = instead.iter().copied().chain([missing.as_str()]).collect();
                if !lacking.contains_key(&without) {
                    let rows: Vec<_> = TABLE.iter().filter(|row| without.contains(&row.path)).collect();
                    assert_eq!(rows.len(), without.len(), "{without:?}");
                    let others = TABLE.iter().filter(|other| rows.iter().all(|row| other.path != row.path && !other.implies.contains(&row.permission)));
                    let others: Vec<&str> = others.map(|other| other.path).collect();
                    lacking.insert(without.clone(), server.account(&others).await);
                }
                let answer = sample_request(&lacking[&without], operation).send().await;
                wrong.expect(operation, &format!("without {missing}"), &answer, 403);
            }
        }
        wrong.none();
    }

    async fn exactly_its_permissions_suffice(server: TestServer) {
        let mut wrong = Wrong::default();
        let mut holding: HashMap<Vec<String>, Client> = HashMap::new();
        for operation in operations() {
            let needed = operation.permissions.clone().unwrap_or_default();
            if !holding.contains_key(&needed) {
                let paths: Vec<&str> = needed.iter().map(String::as_str).collect();
                holding.insert(needed.clone(), server.account(&paths).await);
            }
            let answer = sample_request(&holding[&needed], operation).send().await;
            // Who may change security still cannot give more than they hold; what the sample names may be such a thing.
            let gives = answer.json["Message"].as_str().is_some_and(|message| message.contains("cannot give"));
            if answer.status == 403 && !gives {
                wrong.expect(operation, &format!("with {needed:?}"), &answer, 200);
            }
        }
        wrong.none();
    }

    async fn wrong_paths_are_never_a_fault_of_the_server(server: TestServer) {
        let admin = server.admin();
        let values = ["0", "-1", "x", "99999999999999999999", "1.5", "%20", "%00", "%FF", "00000000-0000-0000-0000-000000000000", &"a".repeat(5_000)];
        let mut wrong = Wrong::default();
        for operation in operations().filter(|operation| operation.path.contains('{')) {
            for value in values {
                let segments = operation.path.split('/').map(|segment| if segment.starts_with('{') { value } else { segment });
                let path = segments.collect::<Vec<_>>().join("/");
                let request = admin.request(&operation.method, &path).version(operation.version);
                let request = match sample_body(operation) { Some(body) => request.json(body), None => request };
                wrong.drive(operation, &format!("path {path:.60}"), request).await;
            }
        }
        wrong.none();
    }

    async fn wrong_queries_are_never_a_fault_of_the_server(server: TestServer) {
        let admin = server.admin();
        let queries = [
            "PageReturned=x", "ReturnLimit=-1", "PageReturned=0", "PageReturned=9223372036854775807&ReturnLimit=10000",
            "QueryString=)(", "QueryString=Nothing%20-eq%201", "QueryString=Id%20-eq%20%22%00%22", "SortField=Nothing", "SortAscending=7",
            "CollectionId=x", "%ZZ=1", "a=%FF", "SortField=Id&SortAscending=1", "&&=&=1&pq.=",
        ];
        let mut wrong = Wrong::default();
        for operation in operations().filter(|operation| operation.method == "GET") {
            for query in queries {
                let path = format!("{}?{query}", sample_path(operation));
                wrong.drive(operation, &path, admin.request("GET", &path).version(operation.version)).await;
            }
        }
        wrong.none();
    }

    async fn wrong_bodies_are_never_a_fault_of_the_server(server: TestServer) {
        let admin = server.admin();
        let mut wrong = Wrong::default();
        for operation in operations() {
            let Some(sample) = sample_body(operation) else { continue };
            let twisted = [replaced(&sample, &json!("a\u{0}b")), replaced(&sample, &json!(-1)), replaced(&sample, &Value::Null), full(operation)];
            let plain = [json!({}), json!([]), Value::Null, json!("x"), json!(7), json!([1]), json!([null]), json!([[]]), json!([{}])];
            let texts = twisted.into_iter().chain(plain).map(|body| body.to_string());
            let broken = ["", "{", "[", "\"", "{\"a\":}", "\u{feff}", &"[".repeat(1_000)].map(str::to_owned);
            for text in texts.chain(broken) {
                let request = sample_request(&admin, operation).text_body(text.clone());
                wrong.drive(operation, &format!("body {text:.200}"), request).await;
            }
        }
        wrong.none();
    }
}

/// The same shape with another value in place of each text and number.
fn replaced(sample: &Value, with: &Value) -> Value {
    match sample {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), replaced(value, with)))
            .collect(),
        Value::Array(entries) => entries.iter().map(|entry| replaced(entry, with)).collect(),
        Value::Null | Value::Bool(_) => sample.clone(),
        _ => with.clone(),
    }
}

/// Every member of the body's schema, with a text of a character that databases refuse wherever a text may stand.
fn full(operation: &Operation) -> Value {
    let contract = contract(operation.version);
    let schema = contract.resolve(operation.body.as_ref().unwrap_or(&Value::Null));
    let members = schema["properties"].as_object().into_iter().flatten();
    let members = members.map(|(name, member)| {
        let member = contract.resolve(member);
        let kinds = member["type"]
            .as_array()
            .cloned()
            .unwrap_or_else(|| vec![member["type"].clone()]);
        let value = match kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null")
        {
            Some("string") => json!("a\u{0}b"),
            Some("integer" | "number") => json!(i64::MAX),
            Some("boolean") => json!(true),
            Some("array") => json!(["a\u{0}b"]),
            Some("object") => json!({ "a\u{0}b": "a\u{0}b" }),
            _ => Value::Null,
        };
        (name.clone(), value)
    });
    Value::Object(members.collect())
}
