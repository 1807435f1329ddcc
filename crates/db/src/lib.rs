//! Tables, migrations, pools, group commit, and what differs between SQLite and PostgreSQL.
