//! Which blocks of texts may have a part: for each class of three octets in a row, the blocks that have one of the class. Where texts
//! stand in their order, those of a block are alike, and few blocks have all threes of a part that few texts have.

use std::ops::Range;

use fixedbitset::FixedBitSet;

const IS_TEST: bool = cfg!(feature = "testing");
/// Texts of one block. Hosts that are numbered stand side by side: 64 of them have a third of all threes of digits, 16 a twelfth.
pub(super) const BLOCK: usize = if IS_TEST { 2 } else { 16 };
/// Classes of threes: some times as many as a block has different ones.
const CLASSES: usize = 1 << CLASS_BITS;
const CLASS_BITS: u32 = if IS_TEST { 8 } else { 12 };
/// So many threes of a part are looked at: more leave hardly fewer blocks.
const LOOKED_AT: usize = 32;

/// The classes, each with the blocks that have something of it.
#[derive(Debug)]
pub(super) struct Trigrams(Vec<FixedBitSet>);

impl Default for Trigrams {
    fn default() -> Self {
        Self(vec![FixedBitSet::new(); CLASSES])
    }
}

fn classes(text: &[u8]) -> impl Iterator<Item = usize> {
    text.windows(3).map(|three| {
        let number = three
            .iter()
            .fold(0_u32, |number, octet| number << 8 | u32::from(*octet));
        // The upper bits of a product with an odd number that has no pattern depend on all bits.
        (number.wrapping_mul(0x9e37_79b1) >> (u32::BITS - CLASS_BITS)) as usize
    })
}

impl Trigrams {
    pub(super) fn octets(&self) -> usize {
        self.0.iter().map(|blocks| blocks.len() / 8).sum()
    }

    /// Adds what the text at a place has.
    pub(super) fn add(&mut self, at: usize, text: &[u8]) {
        for class in classes(text) {
            self.0[class].grow_and_insert(at / BLOCK);
        }
    }

    /// The places of the first so many texts that may have a part, in whole blocks, `most` together at most. No other text has it.
    pub(super) fn places(&self, part: &[u8], count: usize, most: usize) -> Vec<Range<usize>> {
        let mut all: Option<FixedBitSet> = None;
        for class in classes(part).take(LOOKED_AT) {
            match &mut all {
                Some(all) => all.intersect_with(&self.0[class]),
                None => all = Some(self.0[class].clone()),
            }
        }
        let blocks: Box<dyn Iterator<Item = usize>> = match &all {
            Some(blocks) => Box::new(blocks.ones()),
            // Nothing is known of so short a part.
            None => Box::new(0..count.div_ceil(BLOCK)),
        };
        let mut places: Vec<Range<usize>> = Vec::new();
        for block in blocks {
            let (begin, end) = (block * BLOCK, Ord::min((block + 1) * BLOCK, count));
            match places.last_mut() {
                Some(last) if last.end == begin && end - last.start <= most => last.end = end,
                _ => places.push(begin..end),
            }
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_part_is_among_the_places_and_most_others_are_not() {
        let texts: Vec<String> = (0..500).map(|number| format!("host{number:03}.")).collect();
        let mut trigrams = Trigrams::default();
        for (at, text) in texts.iter().enumerate() {
            trigrams.add(at, text.as_bytes());
        }
        assert!(trigrams.octets() > 0);
        for (part, few) in [
            ("host123.", true),
            ("t49", true),
            ("99.", false),
            ("host", false),
            ("77", false),
            ("", false),
        ] {
            for most in [BLOCK, 7 * BLOCK] {
                let places = trigrams.places(part.as_bytes(), texts.len(), most);
                assert!(
                    places
                        .iter()
                        .all(|place| !place.is_empty() && place.len() <= most)
                );
                assert!(places.is_sorted_by(|one, next| one.end <= next.start));
                let places: Vec<usize> = places.into_iter().flatten().collect();
                let having = (0..texts.len()).filter(|at| texts[*at].contains(part));
                assert!(having.clone().all(|at| places.contains(&at)), "{part}");
                if few {
                    assert!(places.len() < texts.len() / 2, "{part}: {}", places.len());
                }
            }
        }
        assert!(
            trigrams
                .places(b"host", 3, 100)
                .into_iter()
                .flatten()
                .eq(0..3)
        );
    }
}
