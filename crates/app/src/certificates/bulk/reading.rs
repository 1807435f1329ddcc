//! From the octets of a stream to lots of certificates, on a thread where reading may take its time.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use tokio::sync::mpsc;

use super::stream::{Format, Piece, Splitter};
use crate::certificates::import::oddities;

/// Certificates written in one transaction: indexes on random keys touch a page for each certificate of a small lot, and write it as
/// often; of a large one, others wait for its end.
const LOT_CERTIFICATES: usize = if cfg!(feature = "testing") {
    500
} else {
    5_000
};
/// Octets of certificates in one transaction, more or less.
const LOT_OCTETS: usize = 16 * 1024 * 1024;
/// What is there is written after this time, however little it is.
const WAITING_MAX: Duration = Duration::from_secs(5);
/// Characters of a reason that are kept.
const REASON_MAX: usize = 300;

/// What comes from the client.
#[derive(Debug)]
pub(super) enum Part {
    /// The next octets.
    Octets(Bytes),
    /// None came for a while: what is there can be written.
    Pause,
    /// The end of the stream.
    End,
    /// The stream broke off, and why.
    Broken(String),
}

/// A certificate of the stream.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) certificate: pki::Certificate,
    pub(super) sha256: Vec<u8>,
    /// What is odd about it; empty for most.
    pub(super) oddities: String,
}

/// A part of the stream that is no certificate.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// Where it begins in the stream.
    pub(super) offset: u64,
    pub(super) reason: String,
}

/// How the stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// All of it was read.
    Complete,
    /// It broke off; it can go on later.
    Interrupted(String),
    /// It cannot be read on.
    Failed(String),
}

/// What is written together.
#[derive(Debug, Default)]
pub(super) struct Lot {
    pub(super) found: Vec<Found>,
    /// The SHA-256 of each.
    pub(super) digests: HashSet<Vec<u8>>,
    pub(super) failures: Vec<Failure>,
    /// Where in the stream it ends.
    pub(super) end: u64,
    /// With the last lot.
    pub(super) ending: Option<Ending>,
    octets: usize,
}

impl Lot {
    fn add(&mut self, piece: Piece) {
        self.end = piece.end;
        let read = piece.content.and_then(|der| {
            self.octets += der.len();
            pki::Certificate::read(&der).map_err(|error| error.to_string())
        });
        match read {
            Ok(reading) => {
                let sha256 = reading.certificate.sha256().to_vec();
                self.digests.insert(sha256.clone());
                self.found.push(Found {
                    sha256,
                    oddities: oddities(&reading.warnings),
                    certificate: reading.certificate,
                });
            }
            Err(reason) => self.failures.push(Failure {
                offset: piece.offset,
                reason: reason.chars().take(REASON_MAX).collect(),
            }),
        }
    }

    fn is_full(&self) -> bool {
        self.found.len() + self.failures.len() >= LOT_CERTIFICATES || self.octets >= LOT_OCTETS
    }
}

/// Reads until the end, or until nobody takes the lots any more.
pub(super) fn read(
    format: Format,
    from: u64,
    mut parts: mpsc::Receiver<Part>,
    lots: &mpsc::Sender<Lot>,
) {
    let mut splitter = Splitter::new(format, from);
    let empty = |end| Lot {
        end,
        ..Lot::default()
    };
    let mut lot = empty(from);
    let mut handed_on = Instant::now();
    let ending = loop {
        let part = parts.blocking_recv();
        match part.unwrap_or_else(|| Part::Broken("The connection ended.".into())) {
            Part::Octets(octets) => splitter.push(&octets),
            Part::Pause => {
                let some = std::mem::replace(&mut lot, empty(splitter.resume_at()));
                if lots.blocking_send(some).is_err() {
                    return;
                }
                handed_on = Instant::now();
                continue;
            }
            Part::End => {
                if let Some(piece) = splitter.finish() {
                    lot.add(piece);
                }
                lot.end = splitter.offset();
                break Ending::Complete;
            }
            Part::Broken(reason) => break Ending::Interrupted(reason),
        }
        let unreadable = loop {
            match splitter.next() {
                Ok(Some(piece)) => lot.add(piece),
                Ok(None) => break None,
                Err(reason) => break Some(reason),
            }
            if lot.is_full() {
                let full = std::mem::replace(&mut lot, empty(splitter.resume_at()));
                if lots.blocking_send(full).is_err() {
                    return;
                }
                handed_on = Instant::now();
            }
        };
        if let Some(reason) = unreadable {
            break Ending::Failed(reason);
        }
        // A stream that comes slowly without a pause is under way too, and has to say so.
        if handed_on.elapsed() >= WAITING_MAX {
            lot.end = lot.end.max(splitter.resume_at());
            let some = std::mem::replace(&mut lot, empty(splitter.resume_at()));
            if lots.blocking_send(some).is_err() {
                return;
            }
            handed_on = Instant::now();
        }
    };
    lot.ending = Some(ending);
    // Nobody to take it: nothing more can be done.
    lots.blocking_send(lot).unwrap_or_default();
}
