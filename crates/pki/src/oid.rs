//! Object identifiers used here, as dotted text, and their names.

/// `rsaEncryption` (RFC 8017).
pub const RSA: &str = "1.2.840.113549.1.1.1";
/// `id-RSASSA-PSS` (RFC 8017).
pub const RSA_PSS: &str = "1.2.840.113549.1.1.10";
/// `id-dsa` (RFC 3279).
pub const DSA: &str = "1.2.840.10040.4.1";
/// `id-ecPublicKey` (RFC 5480).
pub const EC: &str = "1.2.840.10045.2.1";
/// `dhKeyAgreement` (PKCS#3).
pub const DH_PKCS3: &str = "1.2.840.113549.1.3.1";
/// `dhpublicnumber` (RFC 3279).
pub const DH_X942: &str = "1.2.840.10046.2.1";
/// `id-Ed25519` (RFC 8410).
pub const ED25519: &str = "1.3.101.112";
/// `id-Ed448` (RFC 8410).
pub const ED448: &str = "1.3.101.113";
/// `id-ml-dsa-44` (RFC 9881).
pub const ML_DSA_44: &str = "2.16.840.1.101.3.4.3.17";
/// `id-ml-dsa-65` (RFC 9881).
pub const ML_DSA_65: &str = "2.16.840.1.101.3.4.3.18";
/// `id-ml-dsa-87` (RFC 9881).
pub const ML_DSA_87: &str = "2.16.840.1.101.3.4.3.19";
/// NIST P-256, `prime256v1`.
pub const P256: &str = "1.2.840.10045.3.1.7";
/// NIST P-384, `secp384r1`.
pub const P384: &str = "1.3.132.0.34";
/// NIST P-521, `secp521r1`.
pub const P521: &str = "1.3.132.0.35";
/// `secp256k1`.
pub const P256K1: &str = "1.3.132.0.10";
/// The user principal name of a Microsoft directory inside an `otherName`.
pub const USER_PRINCIPAL_NAME: &str = "1.3.6.1.4.1.311.20.2.3";
/// The identity of a domain controller inside an `otherName`.
pub const NTDS_REPLICATION: &str = "1.3.6.1.4.1.311.25.1";

/// The parameter sets of SLH-DSA (RFC 9909) share this prefix and end in 20 to 31.
const SLH_DSA: (&str, std::ops::RangeInclusive<u32>) = ("2.16.840.1.101.3.4.3.", 20..=31);

const SLH_DSA_NAMES: [&str; 12] = [
    "SLH-DSA-SHA2-128s",
    "SLH-DSA-SHA2-128f",
    "SLH-DSA-SHA2-192s",
    "SLH-DSA-SHA2-192f",
    "SLH-DSA-SHA2-256s",
    "SLH-DSA-SHA2-256f",
    "SLH-DSA-SHAKE-128s",
    "SLH-DSA-SHAKE-128f",
    "SLH-DSA-SHAKE-192s",
    "SLH-DSA-SHAKE-192f",
    "SLH-DSA-SHAKE-256s",
    "SLH-DSA-SHAKE-256f",
];

/// The name of a parameter set of SLH-DSA.
pub(crate) fn slh_dsa_name(oid: &str) -> Option<&'static str> {
    let last: usize = oid.strip_prefix(SLH_DSA.0)?.parse().ok()?;
    SLH_DSA_NAMES.get(last.checked_sub(20)?).copied()
}

/// Whether the identifier names one of the SLH-DSA parameter sets.
pub(crate) fn is_slh_dsa(oid: &str) -> bool {
    oid.strip_prefix(SLH_DSA.0)
        .and_then(|last| last.parse().ok())
        .is_some_and(|last| SLH_DSA.1.contains(&last))
}

/// The extended key usages that have a name, in the words Windows and Command show.
const EXTENDED_KEY_USAGES: &[(&str, &str)] = &[
    ("2.5.29.37.0", "Any Purpose"),
    ("1.3.6.1.5.5.7.3.1", "Server Authentication"),
    ("1.3.6.1.5.5.7.3.2", "Client Authentication"),
    ("1.3.6.1.5.5.7.3.3", "Code Signing"),
    ("1.3.6.1.5.5.7.3.4", "Secure Email"),
    ("1.3.6.1.5.5.7.3.5", "IP security end system"),
    ("1.3.6.1.5.5.7.3.6", "IP security tunnel termination"),
    ("1.3.6.1.5.5.7.3.7", "IP security user"),
    ("1.3.6.1.5.5.7.3.8", "Time Stamping"),
    ("1.3.6.1.5.5.7.3.9", "OCSP Signing"),
    ("1.3.6.1.5.5.7.3.13", "EAP over PPP"),
    ("1.3.6.1.5.5.7.3.14", "EAP over LAN"),
    ("1.3.6.1.5.5.7.3.17", "Internet Key Exchange (IKE)"),
    ("1.3.6.1.5.5.7.3.21", "SSH Client"),
    ("1.3.6.1.5.5.7.3.22", "SSH Server"),
    ("1.3.6.1.5.5.7.3.27", "CMC Certification Authority"),
    ("1.3.6.1.5.5.7.3.28", "CMC Registration Authority"),
    ("1.3.6.1.5.5.8.2.2", "IP security IKE intermediate"),
    ("1.3.6.1.5.2.3.4", "PKINIT Client Authentication"),
    ("1.3.6.1.5.2.3.5", "KDC Authentication"),
    ("1.3.6.1.4.1.311.10.3.1", "Microsoft Trust List Signing"),
    ("1.3.6.1.4.1.311.10.3.4", "Encrypting File System"),
    ("1.3.6.1.4.1.311.10.3.4.1", "File Recovery"),
    ("1.3.6.1.4.1.311.10.3.11", "Key Recovery"),
    ("1.3.6.1.4.1.311.10.3.12", "Document Signing"),
    ("1.3.6.1.4.1.311.10.3.13", "Lifetime Signing"),
    ("1.3.6.1.4.1.311.20.2.1", "Certificate Request Agent"),
    ("1.3.6.1.4.1.311.20.2.2", "Smart Card Logon"),
    ("1.3.6.1.4.1.311.21.5", "Private Key Archival"),
    ("1.3.6.1.4.1.311.21.6", "Key Recovery Agent"),
    ("1.3.6.1.4.1.311.54.1.2", "Remote Desktop Authentication"),
    ("1.3.6.1.4.1.311.67.1.1", "BitLocker Drive Encryption"),
    ("1.3.6.1.4.1.311.80.1", "Document Encryption"),
];

/// The name of an extended key usage, for example `Server Authentication` for `1.3.6.1.5.5.7.3.1`; none if it has none here.
pub fn extended_key_usage_name(oid: &str) -> Option<&'static str> {
    EXTENDED_KEY_USAGES
        .iter()
        .find(|(known, _)| *known == oid)
        .map(|(_, name)| *name)
}
