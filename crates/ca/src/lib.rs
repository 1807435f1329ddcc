//! Certificate authorities: what every authority can be asked, and a folder for each kind of them.
//!
//! An authority takes an [`Order`], which says what the certificate shall be, and answers with a certificate or the reasons why
//! not. Who may order what is the product's business and not decided here.

mod authority;
pub mod built_in;
mod error;
mod order;

pub use authority::{Authority, Capabilities, Connector};
pub use built_in::BuiltIn;
pub use error::{Error, Result};
pub use order::{Order, Profile};

/// Every kind of authority there is.
pub const ALL: &[&Connector] = &[&built_in::CONNECTOR];
