//! A store with one identity: leaf, chain and private key.

use pki::Certificate;
use zeroize::Zeroizing;

use super::{
    Plan,
    document::Document,
    entry_of,
    opened::{Opened, Slot, is_certificate, is_private_key, without},
};
use crate::{
    Entry, Error, InventoryEntry, Result, StoreConfig,
    deployment::{Change, Expectation},
};

/// The one entry, if there is a certificate.
pub(super) fn inventory(opened: &Opened) -> Option<InventoryEntry> {
    let leaf = leaf_of(opened)?;
    let chain = opened
        .certificates
        .iter()
        .filter(|other| other.der() != leaf.der());
    entry_of(
        std::iter::once(leaf).chain(chain),
        holds_key_of(opened, leaf),
    )
}

/// Puts an identity into the store, in place of whatever identity it held.
pub(super) fn add(
    opened: Opened,
    store: &StoreConfig<'_>,
    certificate: &Certificate,
    entry: &Entry,
) -> Result<Plan> {
    refuse_many_keys(&opened)?;
    let thumbprint = certificate.thumbprint();
    if !entry.overwrite {
        if let Some(leaf) = leaf_of(&opened) {
            if leaf.der() == certificate.der() && holds_key_of(&opened, leaf) {
                return Ok(Plan::Nothing(format!(
                    "{thumbprint} is in the store already"
                )));
            }
            let held = leaf.thumbprint();
            return Err(Error::Store(format!(
                "the store holds {held}; it is replaced by {thumbprint} only with Overwrite"
            )));
        }
        if opened.key_blocks() > 0 && entry.key.is_some() {
            let reason = "the store holds a private key; it is replaced only with Overwrite";
            return Err(Error::Store(reason.to_owned()));
        }
    }
    let key_block = match &entry.key {
        Some(key) => {
            if store
                .password
                .as_ref()
                .is_some_and(|password| !password.is_empty())
            {
                let reason = "a store with a password needs an encrypted key, which this driver cannot write; \
                    take the password from the store";
                return Err(Error::Store(reason.to_owned()));
            }
            Some(key.to_pkcs8_pem())
        }
        None if opened
            .readable_key()
            .is_some_and(|key| key.matches(certificate)) =>
        {
            None
        }
        None => {
            return Err(Error::Store(format!(
                "the job has no private key, and the store has none that belongs to {thumbprint}"
            )));
        }
    };
    let blocks = certificate_blocks(certificate, entry, store)?;
    let changes = replaced(opened, &blocks, key_block.as_ref());
    let success = format!("the store holds {thumbprint}");
    Ok(Plan::Deploy {
        changes,
        expectation: Expectation::Served(thumbprint),
        success,
    })
}

/// Takes leaf, chain and key out; all else stays.
pub(super) fn remove(opened: Opened, thumbprint: &str) -> Result<Plan> {
    let held = leaf_of(&opened).map(Certificate::thumbprint);
    if held.as_deref() != Some(thumbprint) {
        return Ok(Plan::Nothing(format!("{thumbprint} is not in the store")));
    }
    refuse_many_keys(&opened)?;
    let Opened {
        mut file, key_file, ..
    } = opened;
    let mut changes = Vec::new();
    if let Some(mut key_file) = key_file
        && key_file.key_blocks() > 0
    {
        let remaining = fill(without(&mut key_file.document, is_private_key), &[], None);
        changes.push(key_file.into_change_of(&remaining));
    }
    let slots = without(&mut file.document, |label| {
        is_certificate(label) || is_private_key(label)
    });
    changes.push(file.into_change_of(&fill(slots, &[], None)));
    let success = format!("{thumbprint} was removed");
    let expectation = Expectation::NotServed(thumbprint.to_owned());
    Ok(Plan::Deploy {
        changes,
        expectation,
        success,
    })
}

/// The certificate that belongs to the key, else the first.
fn leaf_of(opened: &Opened) -> Option<&Certificate> {
    let key = opened.readable_key();
    let matching = key.and_then(|key| {
        opened
            .certificates
            .iter()
            .find(|certificate| key.matches(certificate))
    });
    matching.or(opened.certificates.first())
}

/// An encrypted key is taken for the leaf's.
fn holds_key_of(opened: &Opened, leaf: &Certificate) -> bool {
    opened.key_blocks() > 0 && opened.readable_key().is_none_or(|key| key.matches(leaf))
}

fn refuse_many_keys(opened: &Opened) -> Result<()> {
    let count = opened.key_blocks();
    if count <= 1 {
        return Ok(());
    }
    Err(Error::Store(format!(
        "there are {count} private keys in the store's files; a PEM store holds one identity"
    )))
}

fn certificate_blocks(
    certificate: &Certificate,
    entry: &Entry,
    store: &StoreConfig<'_>,
) -> Result<Vec<String>> {
    let mut blocks = vec![pki::pem::encode("CERTIFICATE", certificate.der())];
    if !store.includes_chain {
        return Ok(blocks);
    }
    for (index, der) in entry.chain.iter().enumerate() {
        let reading = Certificate::read(der).map_err(|error| {
            Error::Store(format!("the job's chain, certificate {index}: {error}"))
        })?;
        let issuer = reading.certificate;
        // A root is no use to a TLS client: it trusts its own copy or none.
        if !issuer.is_self_issued() && issuer.der() != certificate.der() {
            blocks.push(pki::pem::encode("CERTIFICATE", issuer.der()));
        }
    }
    Ok(blocks)
}

/// The files with new certificates, and a new key where one is given. The key file comes first: a service that reads
/// in between finds a key that does not fit and keeps what it has.
fn replaced(opened: Opened, blocks: &[String], key: Option<&Zeroizing<String>>) -> Vec<Change> {
    let Opened {
        mut file, key_file, ..
    } = opened;
    let mut changes = Vec::new();
    let mut inline_key = key;
    if let (Some(key), Some(mut key_file)) = (key, key_file) {
        let slots = without(&mut key_file.document, is_private_key);
        changes.push(key_file.into_change_of(&fill(slots, &[], Some(key))));
        inline_key = None;
    }
    let drops_key = key.is_some();
    let slots = without(&mut file.document, |label| {
        is_certificate(label) || (drops_key && is_private_key(label))
    });
    changes.push(file.into_change_of(&fill(slots, blocks, inline_key)));
    changes
}

/// Puts certificates where the first one was and the key where the old one was, else at the end.
fn fill(slots: Vec<Slot>, blocks: &[String], key: Option<&Zeroizing<String>>) -> Document {
    let mut document = Document::default();
    let mut blocks = Some(blocks);
    let mut key = key;
    for slot in slots {
        match slot {
            Slot::Kept(piece) => document.pieces.push(piece),
            Slot::Certificate => push_certificates(&mut document, blocks.take()),
            Slot::Key => push_key(&mut document, key.take()),
        }
    }
    push_certificates(&mut document, blocks);
    push_key(&mut document, key);
    document
}

fn push_certificates(document: &mut Document, blocks: Option<&[String]>) {
    for block in blocks.unwrap_or_default() {
        document.push(block);
    }
}

fn push_key(document: &mut Document, key: Option<&Zeroizing<String>>) {
    if let Some(key) = key {
        document.push(key);
    }
}
