//! The `Result` object of every response.

use serde::{Deserialize, Serialize};

use crate::{ResultStatus, reading};

/// The longest `Error.Message` a server may send, in characters. Message plus CodeString plus 20 must stay below 1,024
/// bytes or the public C agent 2.x dies (agent-protocol reference, section 3).
pub const MESSAGE_MAX_CHARACTERS: usize = 500;

/// Values of `Error.CodeString` that agents act on.
pub mod code {
    /// Register again at once with a new CSR: the agent's certificate is about to expire, renewal requested.
    pub const CERTIFICATE_RENEWAL_REQUESTED: &str = "A0100007";
    /// As above, renewal required.
    pub const CERTIFICATE_RENEWAL_REQUIRED: &str = "A0100008";
}

/// `Result`: `{"Status": 1, "Error": null}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct OperationResult {
    /// Success, Warning or Error; missing reads as Unknown.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub status: ResultStatus,
    /// What went wrong; null on success.
    pub error: Option<OperationError>,
}

impl OperationResult {
    /// Status 1, no error.
    pub fn success() -> Self {
        Self {
            status: ResultStatus::Success,
            error: None,
        }
    }

    /// A Warning or Error with its text, cut to [`MESSAGE_MAX_CHARACTERS`], and its code (`A01…`), may be empty.
    pub fn failure(status: ResultStatus, message: &str, code_string: &str) -> Self {
        Self {
            status,
            error: Some(OperationError {
                code: 0,
                message: Some(message.chars().take(MESSAGE_MAX_CHARACTERS).collect()),
                code_string: Some(code_string.to_owned()),
                h_result: None,
            }),
        }
    }

    /// Whether the server asks for a new agent certificate: codes A0100007 and A0100008, in either member.
    pub fn asks_for_certificate_renewal(&self) -> bool {
        self.error
            .as_ref()
            .and_then(OperationError::code_text)
            .is_some_and(|text| {
                text == code::CERTIFICATE_RENEWAL_REQUESTED
                    || text == code::CERTIFICATE_RENEWAL_REQUIRED
            })
    }
}

/// `Result.Error`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct OperationError {
    /// Number of the error; 0 where only a code string is known.
    #[serde(deserialize_with = "reading::integer")]
    pub code: i64,
    /// Text for a person, at most [`MESSAGE_MAX_CHARACTERS`] characters.
    pub message: Option<String>,
    /// Code that agents act on, see [`code`].
    pub code_string: Option<String>,
    /// Used by agents where `CodeString` is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub h_result: Option<String>,
}

impl OperationError {
    /// `CodeString`, or `HResult` where that is absent or empty.
    pub fn code_text(&self) -> Option<&str> {
        self.code_string
            .as_deref()
            .filter(|text| !text.is_empty())
            .or(self.h_result.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_has_the_exact_members() {
        let text = serde_json::to_string(&OperationResult::success()).unwrap();
        assert_eq!(text, r#"{"Status":1,"Error":null}"#);
    }

    #[test]
    fn a_long_message_is_cut_at_the_limit() {
        let result = OperationResult::failure(ResultStatus::Error, &"é".repeat(501), "A0100001");
        let message = result.error.unwrap().message.unwrap();
        assert_eq!(message.chars().count(), MESSAGE_MAX_CHARACTERS);
    }

    #[test]
    fn renewal_codes_are_found_in_both_members() {
        for text in [
            r#"{"Status":2,"Error":{"CodeString":"A0100007"}}"#,
            r#"{"Status":3,"Error":{"HResult":"A0100008"}}"#,
            r#"{"Status":3,"Error":{"CodeString":"","HResult":"A0100008"}}"#,
        ] {
            let result: OperationResult = serde_json::from_str(text).unwrap();
            assert!(result.asks_for_certificate_renewal(), "{text}");
        }
        assert!(!OperationResult::success().asks_for_certificate_renewal());
    }
}
