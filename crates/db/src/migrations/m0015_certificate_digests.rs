//! One index for both digests of a certificate. Keys that are digests fall anywhere, so that each index of them is another page to
//! write for every certificate. SQLite databases from before it, none of which was released, keep the one of SHA-256 as well.

/// One statement each, as in the first migration.
pub(super) const STATEMENTS: &[&str] = &[
    r"{postgres}ALTER TABLE certificates DROP CONSTRAINT IF EXISTS certificates_sha256_key",
    r"DROP INDEX certificates_thumbprint",
    // Unique by the second: certificates may have been made to have the same SHA-1.
    r"CREATE UNIQUE INDEX certificates_thumbprint ON certificates (thumbprint, sha256)",
];
