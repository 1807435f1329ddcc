//! What an authority is asked for.

/// What certificates of one template have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Bit mask of `X509KeyUsageFlags`, see [`pki::CertificateProfile::key_usage`].
    pub key_usage: u16,
    /// Dotted identifiers.
    pub extended_key_usages: Vec<String>,
    /// How long certificates are good for, in days; the authority's own end cuts it short.
    pub validity_days: i64,
}

/// An order for one certificate.
#[derive(Clone, Debug)]
pub struct Order {
    /// For whom, with which key.
    pub subject: pki::Subject,
    /// Of which kind.
    pub profile: Profile,
    /// The serial number.
    pub serial: pki::Serial,
    /// Now, in milliseconds since the Unix epoch.
    pub now_ms: i64,
}
