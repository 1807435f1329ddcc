//! What the check of answers lets through, and what not.

use super::*;

fn document() -> Contract {
    let thing = json!({
        "type": "object",
        "required": ["Id"],
        "properties": {
            "Id": { "type": "integer", "format": "int64" },
            "Next": { "oneOf": [{ "type": "null" }, { "$ref": "#/components/schemas/Thing" }] },
            "Free": { "type": "object", "additionalProperties": { "type": "string" } },
        },
    });
    let operation = json!({
        "x-permissions": ["/a/"],
        "responses": {
            "200": { "content": { "application/json": { "schema": { "type": "array", "items": { "$ref": "#/components/schemas/Thing" } } } } },
            "204": { "description": "Done" },
        },
    });
    let document = json!({ "paths": { "/Things/{id}": { "get": operation }, "/Things/All": { "post": operation } }, "components": { "schemas": { "Thing": thing } } });
    Contract::new(1, document)
}

fn answer(status: u16, text: &str) -> Answer {
    Answer::of(status, text)
}

fn check(status: u16, text: &str) -> Result<(), String> {
    let contract = document();
    let operation = contract.find("GET", &["things", "7"]).unwrap();
    assert_eq!(
        operation.permissions.as_deref(),
        Some(&["/a/".to_owned()][..])
    );
    contract.check_answer(operation, &answer(status, text))
}

#[test]
fn answers_as_declared_pass() {
    assert_eq!(
        check(
            200,
            r#"[{"Id":1,"Next":{"Id":2,"Next":null},"Free":{"x":"y"}}]"#
        ),
        Ok(())
    );
    assert_eq!(check(204, ""), Ok(()));
}

#[test]
fn answers_against_the_declaration_do_not() {
    assert!(
        check(404, "")
            .unwrap_err()
            .contains("status is not declared")
    );
    assert!(
        check(204, "[]")
            .unwrap_err()
            .contains("body is not declared")
    );
    assert!(check(200, r#"[{"Id":"1"}]"#).unwrap_err().contains("/0/Id"));
    assert!(check(200, r#"[{}]"#).unwrap_err().contains("Id"));
    assert!(
        check(200, r#"[{"Id":1,"Next":{"Id":2,"Other":null}}]"#)
            .unwrap_err()
            .contains("/0/Next/Other")
    );
    assert!(
        check(200, r#"[{"Id":1,"Free":{"x":1}}]"#)
            .unwrap_err()
            .contains("/0/Free/x")
    );
    assert!(check(200, "[").unwrap_err().contains("not JSON"));
}

#[test]
fn literal_segments_win_whatever_their_methods() {
    let contract = document();
    assert!(contract.find("POST", &["Things", "all"]).is_some());
    assert!(contract.find("GET", &["Things", "all"]).is_none());
    assert_eq!(
        below("/Keyfactor/API", "//keyfactor/api/Things//7/"),
        Some(vec!["Things", "7"])
    );
}
