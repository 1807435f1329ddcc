//! What a template says beyond its columns: rules for names, defaults, policy, extra fields. Stored as JSON in the wire's own
//! shapes, which is why these structs are both.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The JSON of the column `templates.settings`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    pub(crate) regexes: Vec<TemplateRegex>,
    pub(crate) defaults: Vec<TemplateDefault>,
    pub(crate) policy: TemplatePolicy,
    pub(crate) enrollment_fields: Vec<EnrollmentField>,
    pub(crate) metadata_fields: Vec<MetadataField>,
    pub(crate) key_archival: bool,
    pub(crate) allow_one_click_renewals: Option<bool>,
}

/// A rule that a part of the subject has to match.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = TemplateRegex)]
pub(crate) struct TemplateRegex {
    /// The template's id; ignored in requests.
    pub(crate) template_id: Option<i64>,
    /// `CN`, `O`, `OU`, `L`, `ST`, `C`, `E`, `DNS`, `IP4`, `IP6`, `MAIL` or `UPN`.
    pub(crate) subject_part: Option<String>,
    /// A regular expression that has to match somewhere in the value; without look-around and back-references.
    pub(crate) regex: Option<String>,
    /// What the caller is told when it does not match.
    pub(crate) error: Option<String>,
}

/// A value for a part of the subject that is not given.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = TemplateDefault)]
pub(crate) struct TemplateDefault {
    /// `CN`, `O`, `OU`, `L`, `ST`, `C`, `E`, `DNS`, `IP4`, `IP6`, `MAIL` or `UPN`.
    pub(crate) subject_part: Option<String>,
    /// The value.
    pub(crate) value: Option<String>,
}

/// Rules for keys and names; null means that there is no rule.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = TemplatePolicy)]
pub(crate) struct TemplatePolicy {
    /// The template's id; ignored in requests.
    pub(crate) template_id: Option<i64>,
    /// The lengths that RSA keys may have, in bits. The same as `KeyInfo.RSA.bit_lengths`, which wins.
    #[serde(rename = "RSAValidKeySizes")]
    pub(crate) rsa_valid_key_sizes: Option<Vec<u32>>,
    /// The curves that ECC keys may be on, as identifiers or names. The same as `KeyInfo.ECDSA.curves`, which wins.
    #[serde(rename = "ECCValidCurves")]
    pub(crate) ecc_valid_curves: Option<Vec<String>>,
    /// Kept and shown.
    pub(crate) allow_key_reuse: Option<bool>,
    /// Whether names may begin with `*.`; they may unless this is false.
    pub(crate) allow_wildcards: Option<bool>,
    /// Whether there has to be a DNS name (RFC 2818).
    #[serde(rename = "RFCEnforcement")]
    pub(crate) rfc_enforcement: Option<bool>,
    /// The keys that are allowed. A kind that is not named is not allowed as soon as one is.
    pub(crate) key_info: Option<KeyAlgorithms>,
}

/// The keys that are allowed, by kind.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = TemplateKeyInfo)]
pub(crate) struct KeyAlgorithms {
    /// Elliptic curves.
    #[serde(rename = "ECDSA")]
    pub(crate) ecdsa: Option<AlgorithmData>,
    /// RSA.
    #[serde(rename = "RSA")]
    pub(crate) rsa: Option<AlgorithmData>,
    /// Ed448; keys of this kind cannot be made or certified here.
    #[serde(rename = "Ed448")]
    pub(crate) ed448: Option<AlgorithmData>,
    /// Ed25519.
    #[serde(rename = "Ed25519")]
    pub(crate) ed25519: Option<AlgorithmData>,
}

/// One kind of key. The names are in lower case, against the custom of everything around them, as the contract has it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = TemplateAlgorithmData)]
pub(crate) struct AlgorithmData {
    /// For people.
    pub(crate) name: Option<String>,
    /// Lengths in bits; none means all.
    pub(crate) bit_lengths: Option<Vec<u32>>,
    /// Curves as identifiers or names; none means all.
    pub(crate) curves: Option<Vec<String>>,
}

/// A field of the enrollment form. Kept and shown.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = TemplateEnrollmentField)]
pub(crate) struct EnrollmentField {
    pub(crate) id: Option<i64>,
    pub(crate) name: Option<String>,
    pub(crate) options: Option<Vec<String>>,
    /// 1 text, 2 choice.
    pub(crate) data_type: Option<i32>,
}

/// A metadata field's rules for this template. Kept and shown.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = TemplateMetadataField)]
pub(crate) struct MetadataField {
    pub(crate) id: Option<i64>,
    pub(crate) default_value: Option<String>,
    pub(crate) metadata_id: Option<i64>,
    pub(crate) validation: Option<String>,
    /// 0 optional, 1 required, 2 hidden.
    pub(crate) enrollment: Option<i32>,
    pub(crate) message: Option<String>,
}

/// A part of the subject that rules and defaults are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubjectPart {
    /// An attribute of the distinguished name, by its type.
    Attribute(&'static str),
    /// A kind of subject alternative name.
    Name(pki::SanKind),
    /// An IPv4 address.
    Ip4,
    /// An IPv6 address.
    Ip6,
}

/// Every part, by its name in rules.
pub(crate) const SUBJECT_PARTS: &[(&str, SubjectPart)] = &[
    ("CN", SubjectPart::Attribute("CN")),
    ("O", SubjectPart::Attribute("O")),
    ("OU", SubjectPart::Attribute("OU")),
    ("L", SubjectPart::Attribute("L")),
    ("ST", SubjectPart::Attribute("ST")),
    ("C", SubjectPart::Attribute("C")),
    ("E", SubjectPart::Attribute("E")),
    ("DNS", SubjectPart::Name(pki::SanKind::Dns)),
    ("IP4", SubjectPart::Ip4),
    ("IP6", SubjectPart::Ip6),
    ("MAIL", SubjectPart::Name(pki::SanKind::Rfc822)),
    ("UPN", SubjectPart::Name(pki::SanKind::UserPrincipalName)),
];

impl SubjectPart {
    /// The part with this name, without regard to case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        SUBJECT_PARTS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name.trim()))
            .map(|(_, part)| *part)
    }

    /// Whether an alternative name is of this part.
    pub(crate) fn covers(self, name: &pki::SubjectAlternativeName) -> bool {
        match self {
            Self::Attribute(_) => false,
            Self::Name(kind) => name.kind == kind,
            Self::Ip4 => name.kind == pki::SanKind::Ip && !name.value.contains(':'),
            Self::Ip6 => name.kind == pki::SanKind::Ip && name.value.contains(':'),
        }
    }
}

/// A rule, ready to be applied.
///
/// # Errors
/// What is wrong with the expression, in one line.
pub(crate) fn compile(regex: &str) -> Result<regex::Regex, String> {
    /// Octets of the compiled form: enough for any rule about a name.
    const SIZE_MAX: usize = 1 << 20;
    regex::RegexBuilder::new(regex)
        .size_limit(SIZE_MAX)
        .build()
        .map_err(|error| {
            let text = error.to_string();
            text.lines()
                .rev()
                .find(|line| !line.trim().is_empty())
                .unwrap_or_default()
                .trim()
                .to_owned()
        })
}
