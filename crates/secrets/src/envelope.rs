//! The two encryption steps of version 1: the value under its data key, the data key under a
//! key-encryption key.
//!
//! AES-256-GCM-SIV (RFC 8452) with random nonces in both: a repeated nonce would only show that two
//! equal values are equal, where plain GCM would give its key away.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::key::{KEY_BYTES, Key, KeyId, random_key};
use crate::sealed::{AES_256_GCM_SIV, NONCE_BYTES, Sealed, TAG_BYTES, VERSION_1};
use crate::{Error, Result, Secret};

/// Longest value that can be sealed, in bytes.
pub const MAX_VALUE_BYTES: usize = 16 * 1024 * 1024;

pub(crate) fn seal(key: &Key, purpose: &str, value: &[u8]) -> Result<Sealed> {
    if value.len() > MAX_VALUE_BYTES {
        return Err(Error::TooLong(value.len()));
    }
    let data_key = random_key()?;
    let wrapped_key = encrypt(
        key.bytes(),
        &wrap_context(key.id(), purpose),
        data_key.as_slice(),
    )?;
    let value = encrypt(&data_key, &value_context(purpose), value)?;
    Ok(Sealed::assemble(key.id(), &wrapped_key, &value))
}

pub(crate) fn open(key: &Key, purpose: &str, sealed: &Sealed) -> Result<Secret> {
    let rejected = || Error::Rejected { key_id: key.id() };
    let data_key = unwrap_data_key(key, purpose, sealed)?;
    decrypt(&data_key, &value_context(purpose), sealed.value())
        .map(Secret::from)
        .ok_or_else(rejected)
}

/// The same value with its data key wrapped by `to`. Only the wrapped key changes, but the value is
/// opened once: what does not open must fail here and not look freshly sealed afterwards.
pub(crate) fn rewrap(from: &Key, to: &Key, purpose: &str, sealed: &Sealed) -> Result<Sealed> {
    let data_key = unwrap_data_key(from, purpose, sealed)?;
    decrypt(&data_key, &value_context(purpose), sealed.value())
        .ok_or(Error::Rejected { key_id: from.id() })?;
    let wrapped_key = encrypt(
        to.bytes(),
        &wrap_context(to.id(), purpose),
        data_key.as_slice(),
    )?;
    Ok(Sealed::assemble(to.id(), &wrapped_key, sealed.value()))
}

fn unwrap_data_key(
    key: &Key,
    purpose: &str,
    sealed: &Sealed,
) -> Result<Zeroizing<[u8; KEY_BYTES]>> {
    let rejected = || Error::Rejected { key_id: key.id() };
    let bytes = decrypt(
        key.bytes(),
        &wrap_context(key.id(), purpose),
        sealed.wrapped_key(),
    )
    .ok_or_else(rejected)?;
    let mut data_key = Zeroizing::new([0; KEY_BYTES]);
    if bytes.len() != KEY_BYTES {
        return Err(rejected());
    }
    data_key.copy_from_slice(&bytes);
    Ok(data_key)
}

/// What the wrapped key is bound to. The first word keeps the two steps apart.
fn wrap_context(key_id: KeyId, purpose: &str) -> Vec<u8> {
    let mut context = b"chancery data key\0".to_vec();
    context.extend_from_slice(&[VERSION_1, AES_256_GCM_SIV]);
    context.extend_from_slice(key_id.as_bytes());
    context.extend_from_slice(purpose.as_bytes());
    context
}

/// What the value is bound to: not the key id, which changes when the data key is wrapped anew.
fn value_context(purpose: &str) -> Vec<u8> {
    let mut context = b"chancery value\0".to_vec();
    context.extend_from_slice(&[VERSION_1, AES_256_GCM_SIV]);
    context.extend_from_slice(purpose.as_bytes());
    context
}

/// Nonce, encrypted bytes, tag.
fn encrypt(key: &[u8; KEY_BYTES], context: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
    let mut nonce = [0; NONCE_BYTES];
    aws_lc_rs::rand::fill(&mut nonce).map_err(|_| Error::Cryptography("give random bytes"))?;
    let mut out = Vec::with_capacity(NONCE_BYTES + plain.len() + TAG_BYTES);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(plain);
    let tag = cipher(key)?
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(context),
            &mut out[NONCE_BYTES..],
        )
        .map_err(|_| Error::Cryptography("encrypt"))?;
    out.extend_from_slice(tag.as_ref());
    Ok(out)
}

/// `None` when anything does not fit: key, context, or a single bit of the bytes.
fn decrypt(key: &[u8; KEY_BYTES], context: &[u8], bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, encrypted) = bytes.split_first_chunk::<NONCE_BYTES>()?;
    let mut buffer = Zeroizing::new(encrypted.to_vec());
    let plain_length = cipher(key)
        .ok()?
        .open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(context),
            &mut buffer,
        )
        .ok()?
        .len();
    buffer.truncate(plain_length);
    Some(buffer)
}

fn cipher(key: &[u8; KEY_BYTES]) -> Result<LessSafeKey> {
    UnboundKey::new(&aead::AES_256_GCM_SIV, key)
        .map(LessSafeKey::new)
        .map_err(|_| Error::Cryptography("take the key"))
}
