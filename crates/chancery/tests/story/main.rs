//! The product's main job as a story: enroll a certificate, put it on a live TLS server, prove it is served, replace it,
//! remove it; and what must hold when something breaks on the way.
//!
//! Everything is real: the built program as server and as agent, HTTPS between them, nginx, SQLite and PostgreSQL. Start
//! reading in `whole_story.rs`; `scene.rs` sets the stage and `order.rs` is the client.
//!
//! nginx has to be installed; `CHANCERY_TEST_POSTGRES` names a PostgreSQL server, see `db::testing`. `cargo xtask test`
//! sees to both.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

mod agent;
mod api;
mod database;
mod handshake;
mod nginx;
mod order;
mod process;
mod scene;
mod server;
mod until;

mod agent_killed;
mod agent_killed_enrolling;
mod complete_twice;
mod fifty_stores;
mod imports;
mod open_id;
mod python_client;
mod reload_fails;
mod server_killed;
mod whole_story;
mod wrong_certificate;
