//! The elements of BER, read one at a time: what PKCS#7, PKCS#12, CRLs, OCSP answers and broken certificates are taken apart with.
//! Nothing is decoded and nothing copied; lengths may be indefinite (X.690 §8.1.3.6).

use der::asn1::AnyRef;
use der::{Encode as _, Tag};

use crate::error::{Error, Result};

/// Deepest nesting of elements without a length of their own.
const MAX_DEPTH: usize = 16;

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const ENUMERATED: u8 = 0x0a;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const CONTEXT_0: u8 = 0xa0;
pub(crate) const CONTEXT_1: u8 = 0xa1;
pub(crate) const CONTEXT_2: u8 = 0xa2;
pub(crate) const CONTEXT_3: u8 = 0xa3;

/// One element whose content is the parts one after another.
pub(crate) fn element(tag: Tag, parts: &[&[u8]]) -> der::Result<Vec<u8>> {
    AnyRef::new(tag, &parts.concat())?.to_der()
}

/// An element of BER. `whole` has the header and, for an indefinite length, the end mark.
#[derive(Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    pub(crate) whole: &'a [u8],
}

pub(crate) fn expect<'a>(input: &'a [u8], tag: u8, what: &str) -> Result<(Element<'a>, &'a [u8])> {
    if input.first() != Some(&tag) {
        return Err(malformed(&format!("expected {what}")));
    }
    read(input, 0)
}

/// The first element and what follows it.
pub(crate) fn read(input: &[u8], depth: usize) -> Result<(Element<'_>, &[u8])> {
    let cut_short = || malformed("it is cut short");
    let (&tag, after_tag) = input.split_first().ok_or_else(cut_short)?;
    if tag & 0x1f == 0x1f {
        return Err(malformed("it has a tag of several bytes"));
    }
    let (&first, after_first) = after_tag.split_first().ok_or_else(cut_short)?;
    if first == 0x80 {
        return read_indefinite(input, depth);
    }
    let (length, after_length) = if first < 0x80 {
        (usize::from(first), after_first)
    } else {
        let octets = usize::from(first & 0x7f);
        if octets > 4 {
            return Err(malformed("an element is too long"));
        }
        let (octets, rest) = after_first.split_at_checked(octets).ok_or_else(cut_short)?;
        (
            octets
                .iter()
                .fold(0, |length, octet| length << 8 | usize::from(*octet)),
            rest,
        )
    };
    let (content, rest) = after_length
        .split_at_checked(length)
        .ok_or_else(cut_short)?;
    let whole = &input[..input.len() - rest.len()];
    Ok((
        Element {
            tag,
            content,
            whole,
        },
        rest,
    ))
}

/// An element that ends with two zero bytes after its last inner element.
fn read_indefinite(input: &[u8], depth: usize) -> Result<(Element<'_>, &[u8])> {
    let tag = input[0];
    if tag & 0x20 == 0 || depth == MAX_DEPTH {
        return Err(malformed(
            "an element has no length, or too many stand inside each other",
        ));
    }
    let body = &input[2..];
    let mut rest = body;
    loop {
        if let [0, 0, after @ ..] = rest {
            let content = &body[..body.len() - rest.len()];
            let whole = &input[..input.len() - after.len()];
            return Ok((
                Element {
                    tag,
                    content,
                    whole,
                },
                after,
            ));
        }
        rest = read(rest, depth + 1)?.1;
    }
}

/// The elements of a content one after another; ends after the first error.
pub(crate) struct Elements<'a> {
    rest: &'a [u8],
    failed: bool,
}

pub(crate) fn elements(content: &[u8]) -> Elements<'_> {
    Elements {
        rest: content,
        failed: false,
    }
}

impl<'a> Elements<'a> {
    /// The next element if it has this tag; otherwise nothing is taken.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>> {
        if self.rest.first() == Some(&tag) {
            self.next().transpose()
        } else {
            Ok(None)
        }
    }

    /// The next element, which must have this tag.
    pub(crate) fn required(&mut self, tag: u8, what: &str) -> Result<Element<'a>> {
        self.optional(tag)?
            .ok_or_else(|| malformed(&format!("expected {what}")))
    }

    /// What has not been taken.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.rest.is_empty() {
            return None;
        }
        match read(self.rest, 0) {
            Ok((element, rest)) => {
                self.rest = rest;
                Some(Ok(element))
            }
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
        }
    }
}

/// The one element that the octets must be, without anything behind it; errors name the offset.
pub(crate) fn only<'a>(octets: &'a [u8], tag: u8, what: &'static str) -> Result<Element<'a>> {
    if octets.first() != Some(&tag) {
        let reason = match octets.first() {
            None => "there is nothing".to_owned(),
            Some(other) => format!("offset 0 has tag {other:#04x} instead of {tag:#04x}"),
        };
        return Err(Error::malformed(what, reason));
    }
    if let Some((header, length)) = definite_length(octets)
        && header.saturating_add(length) > octets.len()
    {
        return Err(Error::malformed(
            what,
            format!(
                "it is cut short: {length} octets should follow offset {header}, the end is at offset {}",
                octets.len()
            ),
        ));
    }
    let (element, rest) = read(octets, 0).map_err(|error| Error::malformed(what, error))?;
    if !rest.is_empty() {
        return Err(Error::malformed(
            what,
            format!(
                "{} octets follow it at offset {}",
                rest.len(),
                octets.len() - rest.len()
            ),
        ));
    }
    Ok(element)
}

/// The lengths of the header and of the content that it announces; none if it announces none.
fn definite_length(octets: &[u8]) -> Option<(usize, usize)> {
    let first = *octets.get(1)?;
    if first < 0x80 {
        return Some((2, usize::from(first)));
    }
    let octets = octets.get(2..2 + usize::from(first & 0x7f))?;
    if octets.is_empty() || octets.len() > 8 {
        return None;
    }
    let length = octets.iter().try_fold(0usize, |length, octet| {
        length.checked_mul(256)?.checked_add(usize::from(*octet))
    })?;
    Some((2 + octets.len(), length))
}

/// Where a slice lies inside the slice it was cut from.
pub(crate) fn range_within(whole: &[u8], part: &[u8]) -> Option<std::ops::Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then_some(start..end)
}

/// The dotted text of the content of an OBJECT IDENTIFIER; its hexadecimal if it is none.
pub(crate) fn dotted(content: &[u8]) -> String {
    der::asn1::ObjectIdentifier::from_bytes(content)
        .map(|identifier| identifier.to_string())
        .unwrap_or_else(|_| format!("#{}", hex::encode(content)))
}

fn malformed(reason: &str) -> Error {
    Error::malformed("ASN.1", reason)
}
