//! The order in which the certificates of a chain are written.

use crate::certificate::Certificate;

/// Command's `ChainOrder` of downloads and enrollments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ChainOrder {
    /// The certificate itself, then its issuer and so on.
    #[default]
    EndEntityFirst,
    /// The other way round.
    RootFirst,
}

impl ChainOrder {
    /// Reads the words of the API, of either case; none for others.
    pub fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("EndEntityFirst") {
            Some(ChainOrder::EndEntityFirst)
        } else if text.eq_ignore_ascii_case("RootFirst") {
            Some(ChainOrder::RootFirst)
        } else {
            None
        }
    }

    /// A chain, leaf first, as [`crate::build_chain`] builds it, in this order.
    pub fn arrange(self, chain: &[Certificate]) -> Vec<Certificate> {
        match self {
            ChainOrder::EndEntityFirst => chain.to_vec(),
            ChainOrder::RootFirst => chain.iter().rev().cloned().collect(),
        }
    }
}
