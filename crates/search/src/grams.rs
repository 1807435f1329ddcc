//! An index for "contains": which texts have which three characters in a row. Pure: whoever keeps it decides where.
//!
//! Texts are indexed in lots. A lot knows for each [`Gram`] the numbers of the texts that have it, and is kept in [`BUCKETS`]
//! pieces, each with the grams that fall to it. A text that contains a pattern has all of the pattern's grams; the reverse need
//! not be so, which is why what is found here are candidates, to be compared.

use std::collections::HashMap;

/// Three characters in a row, as one number: 21 bits each.
pub type Gram = u64;

/// Pieces of a lot.
pub const BUCKETS: u64 = 4_096;

/// Grams of a pattern that are looked for at most; more would cost more than they leave out.
const LOOKED_FOR_MAX: usize = 8;

/// The grams of a text, with repetitions.
pub fn grams(text: &str) -> impl Iterator<Item = Gram> {
    let characters = text.chars();
    let next = text.chars().skip(1).zip(text.chars().skip(2));
    characters.zip(next).map(|(first, (second, third))| {
        (u64::from(first) << 42) | (u64::from(second) << 21) | u64::from(third)
    })
}

/// The grams to look for a pattern by; none when it has fewer than three characters.
#[must_use]
pub fn looked_for(pattern: &str) -> Vec<Gram> {
    let mut all: Vec<Gram> = grams(pattern).collect();
    all.sort_unstable();
    all.dedup();
    // Some from everywhere; the order of the numbers is that of the first characters.
    let step = all.len().div_ceil(LOOKED_FOR_MAX).max(1);
    all.into_iter().step_by(step).collect()
}

/// The piece of a lot that has a gram.
#[must_use]
pub fn bucket(gram: Gram) -> i32 {
    // Fibonacci hashing: the upper bits of the product depend on all bits of the gram.
    let mixed = gram.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    i32::try_from(mixed % BUCKETS).unwrap_or_default()
}

/// Numbers that follow each other: the first and the last.
type Run = (i64, i64);

/// A lot that is being made.
#[derive(Debug, Default)]
pub struct Lot(HashMap<Gram, Vec<Run>>);

impl Lot {
    /// Adds what a number stands for. Numbers come in their order, each once.
    pub fn add<'a>(&mut self, number: i64, texts: impl Iterator<Item = &'a str>) {
        for gram in texts.flat_map(grams) {
            let runs = self.0.entry(gram).or_default();
            match runs.last_mut() {
                Some((_, last)) if *last == number => {}
                Some((_, last)) if *last + 1 == number => *last = number,
                _ => runs.push((number, number)),
            }
        }
    }

    /// Its pieces, by bucket.
    #[must_use]
    pub fn pieces(self) -> Vec<(i32, Vec<u8>)> {
        let mut buckets: HashMap<i32, Vec<(Gram, Vec<Run>)>> = HashMap::new();
        for (gram, runs) in self.0 {
            buckets.entry(bucket(gram)).or_default().push((gram, runs));
        }
        let mut pieces: Vec<(i32, Vec<u8>)> = buckets
            .into_iter()
            .map(|(bucket, mut grams)| {
                grams.sort_unstable_by_key(|(gram, _)| *gram);
                (bucket, piece(&grams))
            })
            .collect();
        pieces.sort_unstable_by_key(|(bucket, _)| *bucket);
        pieces
    }
}

/// Pieces of one bucket of several lots as one. `None` when one of them is damaged.
#[must_use]
pub fn merged(pieces: &[&[u8]]) -> Option<Vec<u8>> {
    let mut grams: HashMap<Gram, Vec<Run>> = HashMap::new();
    for piece in pieces {
        let mut entries = Entries {
            rest: piece,
            gram: 0,
        };
        while let Some((gram, mut runs)) = entries.next()? {
            let all = grams.entry(gram).or_default();
            while let Some(run) = runs.next()? {
                all.push(run);
            }
        }
    }
    let mut grams: Vec<(Gram, Vec<Run>)> = grams.into_iter().collect();
    grams.sort_unstable_by_key(|(gram, _)| *gram);
    for (_, runs) in &mut grams {
        runs.sort_unstable();
        runs.dedup_by(|next, before| {
            // A number may be in two lots.
            let joins = next.0 <= before.1.saturating_add(1);
            if joins {
                before.1 = before.1.max(next.1);
            }
            joins
        });
    }
    Some(piece(&grams))
}

/// The numbers in a piece of a lot that have this gram, in their order: none when the lot has not the gram. The outer `None`: the
/// piece is damaged.
#[must_use]
pub fn find(piece: &[u8], gram: Gram) -> Option<Option<Runs<'_>>> {
    let mut entries = Entries {
        rest: piece,
        gram: 0,
    };
    while let Some((found, runs)) = entries.next()? {
        if found >= gram {
            return Some((found == gram).then_some(runs));
        }
    }
    Some(None)
}

/// Numbers as they are kept.
#[derive(Clone, Debug)]
pub struct Runs<'a> {
    rest: &'a [u8],
    last: i64,
}

impl Runs<'_> {
    /// Octets they take: few where there are few.
    #[must_use]
    pub fn size(&self) -> usize {
        self.rest.len()
    }

    /// All numbers. `None` when they are damaged.
    #[must_use]
    pub fn numbers(mut self) -> Option<Vec<i64>> {
        let mut numbers = Vec::new();
        while let Some((first, last)) = self.next()? {
            numbers.extend(first..=last);
        }
        Some(numbers)
    }

    /// Keeps of some numbers, which are in their order, those that are here. `None` when they are damaged.
    #[must_use]
    pub fn keep(mut self, numbers: &mut Vec<i64>) -> Option<()> {
        let mut run = self.next()?;
        let mut damaged = false;
        numbers.retain(|number| {
            while let Some((_, last)) = run
                && last < *number
            {
                run = self.next().unwrap_or_else(|| {
                    damaged = true;
                    None
                });
            }
            run.is_some_and(|(first, _)| first <= *number)
        });
        (!damaged).then_some(())
    }

    /// The next run, if there is one; the outer `None` when it is damaged.
    fn next(&mut self) -> Option<Option<Run>> {
        if self.rest.is_empty() {
            return Some(None);
        }
        let head = number(&mut self.rest)?;
        let first = self.last.checked_add(i64::try_from(head >> 1).ok()?)?;
        let more = match head & 1 {
            0 => 0,
            _ => i64::try_from(number(&mut self.rest)?)
                .ok()?
                .checked_add(1)?,
        };
        self.last = first.checked_add(more)?;
        // So long a run would be no lot.
        (more <= 1 << 20).then_some(())?;
        Some(Some((first, self.last)))
    }
}

/// The grams of a piece.
struct Entries<'a> {
    rest: &'a [u8],
    gram: Gram,
}

impl<'a> Entries<'a> {
    fn next(&mut self) -> Option<Option<(Gram, Runs<'a>)>> {
        if self.rest.is_empty() {
            return Some(None);
        }
        self.gram = self.gram.checked_add(number(&mut self.rest)?)?;
        let size = usize::try_from(number(&mut self.rest)?).ok()?;
        let (runs, rest) = self.rest.split_at_checked(size)?;
        self.rest = rest;
        Some(Some((
            self.gram,
            Runs {
                rest: runs,
                last: 0,
            },
        )))
    }
}

fn piece(grams: &[(Gram, Vec<Run>)]) -> Vec<u8> {
    let (mut octets, mut before) = (Vec::new(), 0);
    let mut kept = Vec::new();
    for (gram, runs) in grams {
        kept.clear();
        let mut end = 0_i64;
        for (first, last) in runs {
            let (gap, more) = (
                (first - end).unsigned_abs() << 1,
                (last - first).unsigned_abs(),
            );
            match more {
                0 => put(&mut kept, gap),
                more => {
                    put(&mut kept, gap | 1);
                    put(&mut kept, more - 1);
                }
            }
            end = *last;
        }
        put(&mut octets, gram - before);
        put(&mut octets, kept.len() as u64);
        octets.extend_from_slice(&kept);
        before = *gram;
    }
    octets
}

/// Seven bits an octet, the lowest first; all but the last have the eighth.
fn put(octets: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            octets.push(low);
            return;
        }
        octets.push(low | 0x80);
    }
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (octet, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(octet & 0x7f).checked_shl(shift)?;
        if octet & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// The numbers of a lot that have all grams of a pattern.
    fn candidates(pieces: &BTreeMap<i32, Vec<u8>>, pattern: &str) -> Vec<i64> {
        let mut found: Option<Vec<i64>> = None;
        for gram in looked_for(pattern) {
            let runs = pieces
                .get(&bucket(gram))
                .and_then(|piece| find(piece, gram).expect("whole"));
            let Some(runs) = runs else {
                return Vec::new();
            };
            match &mut found {
                None => found = runs.numbers(),
                Some(found) => runs.keep(found).expect("whole"),
            }
        }
        found.expect("a pattern of three characters")
    }

    #[test]
    fn short_patterns_have_no_grams() {
        assert!(looked_for("ab").is_empty());
        assert_eq!(looked_for("abc").len(), 1);
        assert_eq!(looked_for("üüüü").len(), 1);
        assert!(looked_for(&('a'..='z').collect::<String>()).len() <= LOOKED_FOR_MAX);
    }

    #[test]
    fn what_nearly_all_have_takes_little() {
        let mut lot = Lot::default();
        for number in 1..60_000 {
            lot.add(
                1_000_000 + number,
                [format!("cn=host{number}.example.com").as_str()].into_iter(),
            );
        }
        let pieces: BTreeMap<i32, Vec<u8>> = lot.pieces().into_iter().collect();
        let gram = looked_for("cn=")[0];
        assert!(find(&pieces[&bucket(gram)], gram).unwrap().unwrap().size() < 10);
        let found = candidates(&pieces, "ost4711.");
        assert!(found.contains(&1_004_711) && found.len() < 10, "{found:?}");
    }

    proptest! {
        #[test]
        fn every_text_that_contains_a_pattern_is_a_candidate(
            texts in prop::collection::vec(("[a-dü.]{0,12}", "[a-d]{0,5}", 1_i64..4), 1..40), pattern in "[a-dü.]{3,5}", parts in 1_usize..4,
        ) {
            let mut number = 0;
            let numbered: Vec<(i64, [String; 2])> = texts.into_iter().map(|(one, two, gap)| { number += gap; (number, [one, two]) }).collect();
            let lots: Vec<BTreeMap<i32, Vec<u8>>> = (0..parts).map(|part| {
                let mut lot = Lot::default();
                for (number, texts) in numbered.iter().skip(part).step_by(parts) {
                    lot.add(*number, texts.iter().map(String::as_str));
                }
                lot.pieces().into_iter().collect()
            }).collect();
            let has = |texts: &[String; 2]| looked_for(&pattern).iter().all(|gram| texts.iter().any(|text| grams(text).any(|other| other == *gram)));
            let wanted: Vec<i64> = numbered.iter().filter(|(_, texts)| has(texts)).map(|(number, _)| *number).collect();
            for (number, texts) in &numbered {
                prop_assert!(!texts.iter().any(|text| text.contains(&pattern)) || wanted.contains(number));
            }
            let mut found: Vec<i64> = lots.iter().flat_map(|lot| candidates(lot, &pattern)).collect();
            found.sort_unstable();
            prop_assert_eq!(&found, &wanted);
            let mut together = BTreeMap::new();
            for bucket in lots.iter().flat_map(BTreeMap::keys) {
                let pieces: Vec<&[u8]> = lots.iter().filter_map(|lot| lot.get(bucket)).map(Vec::as_slice).collect();
                together.insert(*bucket, merged(&pieces).unwrap());
            }
            prop_assert_eq!(candidates(&together, &pattern), wanted);
        }

        #[test]
        fn damaged_pieces_are_no_fault(octets in prop::collection::vec(any::<u8>(), 0..40), gram in 0_u64..300) {
            let _ = merged(&[&octets]);
            if let Some(Some(runs)) = find(&octets, gram) {
                let _ = runs.keep(&mut vec![1, 2, 300, 7_000]);
            }
        }
    }
}
