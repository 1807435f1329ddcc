//! A store of many certificates without a key.

use pki::Certificate;

use super::{
    Plan,
    document::{Document, Piece},
    entry_of,
    opened::{Opened, is_certificate},
};
use crate::{Entry, Error, InventoryEntry, Result, deployment::Expectation};

/// Each certificate is an entry.
pub(super) fn inventory(opened: &Opened) -> Vec<InventoryEntry> {
    opened
        .certificates
        .iter()
        .filter_map(|certificate| entry_of([certificate], false))
        .collect()
}

/// Puts one certificate at the end; its chain is no part of what is trusted.
pub(super) fn add(opened: Opened, certificate: &Certificate, entry: &Entry) -> Result<Plan> {
    if entry.key.is_some() {
        return Err(Error::Store(
            "a trust store takes no private key".to_owned(),
        ));
    }
    if opened.key_blocks() > 0 {
        let reason = "the file holds a private key; it is not a trust store";
        return Err(Error::Store(reason.to_owned()));
    }
    let thumbprint = certificate.thumbprint();
    if opened
        .certificates
        .iter()
        .any(|known| known.der() == certificate.der())
    {
        return Ok(Plan::Nothing(format!(
            "{thumbprint} is in the store already"
        )));
    }
    let mut document = Document::parse(&opened.file.document.to_bytes());
    let block = pki::pem::encode("CERTIFICATE", certificate.der());
    document.push(&block);
    let changes = vec![opened.file.into_change_of(&document)];
    let success = format!("{thumbprint} was added");
    Ok(Plan::Deploy {
        changes,
        expectation: Expectation::Nothing,
        success,
    })
}

/// Takes a certificate out, every copy of it.
pub(super) fn remove(opened: Opened, thumbprint: &str) -> Plan {
    let is_it = |piece: &Piece| {
        piece.label().is_some_and(is_certificate)
            && piece
                .der()
                .and_then(|der| Certificate::read(der).ok())
                .is_some_and(|reading| reading.certificate.thumbprint() == thumbprint)
    };
    let mut document = Document::parse(&opened.file.document.to_bytes());
    let before = document.pieces.len();
    document.pieces.retain(|piece| !is_it(piece));
    if document.pieces.len() == before {
        return Plan::Nothing(format!("{thumbprint} is not in the store"));
    }
    let changes = vec![opened.file.into_change_of(&document)];
    let success = format!("{thumbprint} was removed");
    Plan::Deploy {
        changes,
        expectation: Expectation::Nothing,
        success,
    }
}
