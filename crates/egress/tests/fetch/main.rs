//! The guarded client against hostile addresses, hostile resolvers and hostile servers, over real sockets.

#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

mod addresses;
mod answers;
mod redirects;
mod server;
mod trust;
