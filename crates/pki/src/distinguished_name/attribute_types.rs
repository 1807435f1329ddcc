//! The names of the attribute types.

pub(super) const COMMON_NAME: &str = "2.5.4.3";
pub(super) const COUNTRY: &str = "2.5.4.6";
pub(super) const SERIAL_NUMBER: &str = "2.5.4.5";
pub(super) const ORGANIZATIONAL_UNIT: &str = "2.5.4.11";
pub(super) const DOMAIN_COMPONENT: &str = "0.9.2342.19200300.100.1.25";
pub(super) const EMAIL: &str = "1.2.840.113549.1.9.1";

/// Identifier, the name that is printed, further names that are read.
const ATTRIBUTE_TYPES: &[(&str, &str, &[&str])] = &[
    (COMMON_NAME, "CN", &["COMMONNAME"]),
    ("2.5.4.10", "O", &["ORGANIZATION", "ORGANIZATIONNAME"]),
    (
        ORGANIZATIONAL_UNIT,
        "OU",
        &["ORGANIZATIONALUNIT", "ORGANIZATIONALUNITNAME"],
    ),
    ("2.5.4.7", "L", &["LOCALITY", "LOCALITYNAME"]),
    ("2.5.4.8", "ST", &["S", "STATE", "STATEORPROVINCENAME"]),
    (COUNTRY, "C", &["COUNTRY", "COUNTRYNAME"]),
    (EMAIL, "E", &["EMAIL", "EMAILADDRESS"]),
    (DOMAIN_COMPONENT, "DC", &["DOMAINCOMPONENT"]),
    (SERIAL_NUMBER, "SERIALNUMBER", &[]),
    ("2.5.4.9", "STREET", &["STREETADDRESS"]),
    ("0.9.2342.19200300.100.1.1", "UID", &["USERID"]),
    ("2.5.4.12", "T", &["TITLE"]),
    ("2.5.4.42", "GN", &["G", "GIVENNAME"]),
    ("2.5.4.4", "SN", &["SURNAME"]),
    ("2.5.4.43", "INITIALS", &["I"]),
    ("2.5.4.44", "GENERATION", &["GENERATIONQUALIFIER"]),
    ("2.5.4.46", "DNQ", &["DNQUALIFIER"]),
    ("2.5.4.13", "DESCRIPTION", &[]),
    ("2.5.4.15", "BUSINESSCATEGORY", &[]),
    ("2.5.4.17", "POSTALCODE", &[]),
    ("2.5.4.65", "PSEUDONYM", &[]),
    ("2.5.4.97", "ORGANIZATIONIDENTIFIER", &["OID.2.5.4.97"]),
    (
        "1.3.6.1.4.1.311.60.2.1.1",
        "JURISDICTIONLOCALITYNAME",
        &["JURISDICTIONL"],
    ),
    (
        "1.3.6.1.4.1.311.60.2.1.2",
        "JURISDICTIONSTATEORPROVINCENAME",
        &["JURISDICTIONST"],
    ),
    (
        "1.3.6.1.4.1.311.60.2.1.3",
        "JURISDICTIONCOUNTRYNAME",
        &["JURISDICTIONC"],
    ),
    ("1.2.840.113549.1.9.2", "UNSTRUCTUREDNAME", &[]),
    ("1.2.840.113549.1.9.8", "UNSTRUCTUREDADDRESS", &[]),
];

/// The dotted identifier a name, or dotted text (also with the prefix `OID.`), stands for; none if it is neither.
pub(super) fn oid_of(name: &str) -> Option<String> {
    let upper = name.trim().to_ascii_uppercase();
    if let Some((oid, _, _)) = ATTRIBUTE_TYPES
        .iter()
        .find(|(_, printed, read)| *printed == upper || read.contains(&upper.as_str()))
    {
        return Some((*oid).to_owned());
    }
    let dotted = upper.strip_prefix("OID.").unwrap_or(&upper);
    dotted
        .parse::<der::asn1::ObjectIdentifier>()
        .ok()
        .map(|oid| oid.to_string())
}

/// The name that is printed for an identifier, or the identifier itself.
pub(super) fn name_of(oid: &str) -> &str {
    ATTRIBUTE_TYPES
        .iter()
        .find(|(known, _, _)| *known == oid)
        .map_or(oid, |(_, printed, _)| printed)
}
