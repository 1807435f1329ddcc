//! Identities beyond passwords: providers of tokens, the keys of our own tokens, browsers' sessions.

/// As in the first migration.
pub(super) const STATEMENTS: &[&str] = &[
    r"CREATE TABLE identity_providers (
        id {guid} NOT NULL,
        authentication_scheme TEXT NOT NULL,
        authentication_scheme_fold TEXT NOT NULL UNIQUE,
        display_name TEXT NOT NULL,
        display_name_fold TEXT NOT NULL UNIQUE,
        provider_type TEXT NOT NULL,
        permission_set_id {guid} NOT NULL REFERENCES permission_sets (id),
        authentication_enabled BOOLEAN NOT NULL,
        parameters TEXT NOT NULL,
        sealed_client_secret {bytes},
        created_at {i64} NOT NULL,
        PRIMARY KEY (id)
    )",
    r"CREATE INDEX identity_providers_permission_set_id ON identity_providers (permission_set_id)",
    r"CREATE TABLE token_keys (
        id {guid} NOT NULL,
        sealed_key {bytes} NOT NULL,
        public_key {bytes} NOT NULL,
        created_at {i64} NOT NULL,
        PRIMARY KEY (id)
    )",
    r"CREATE TABLE sessions (
        id {guid} NOT NULL,
        token_hash TEXT NOT NULL UNIQUE,
        account_id {i64} REFERENCES accounts (id) ON DELETE CASCADE,
        identity_provider_id {guid} REFERENCES identity_providers (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        subject TEXT NOT NULL,
        claims TEXT NOT NULL,
        credential TEXT NOT NULL,
        address TEXT,
        user_agent TEXT,
        created_at {i64} NOT NULL,
        last_seen_at {i64} NOT NULL,
        expires_at {i64} NOT NULL,
        PRIMARY KEY (id)
    )",
    r"CREATE INDEX sessions_account_id ON sessions (account_id)",
    r"CREATE INDEX sessions_identity_provider_id ON sessions (identity_provider_id)",
    r"CREATE INDEX sessions_expires_at ON sessions (expires_at)",
    r"CREATE TABLE sign_in_attempts (
        state_hash TEXT NOT NULL PRIMARY KEY,
        browser_hash TEXT NOT NULL,
        identity_provider_id {guid} NOT NULL REFERENCES identity_providers (id) ON DELETE CASCADE,
        return_to TEXT NOT NULL,
        expires_at {i64} NOT NULL
    )",
    r"CREATE INDEX sign_in_attempts_expires_at ON sign_in_attempts (expires_at)",
    r"CREATE INDEX sign_in_attempts_identity_provider_id ON sign_in_attempts (identity_provider_id)",
];
