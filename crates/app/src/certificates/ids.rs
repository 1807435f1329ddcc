//! A set of ids as a bit for each: what two of them have in common, and which of an order are in one.

use fixedbitset::FixedBitSet;
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};
use rayon::slice::ParallelSlice;

const IS_TEST: bool = cfg!(feature = "testing");
/// Entries of an order that are passed over at a time.
const STEP: usize = if IS_TEST { 3 } else { 4_096 };
/// So many steps are walked without knowing what is in them; beyond, they are counted.
const NEAR: usize = if IS_TEST { 2 } else { 64 };
/// Ids in a word of a set.
const WORD: usize = usize::BITS as usize;
/// Entries that one core looks at in less time than it takes to share them with another.
const SHARED: usize = if IS_TEST { 5 } else { 262_144 };

/// Ids, and how many they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Ids {
    bits: FixedBitSet,
    count: usize,
}

impl Ids {
    pub(super) fn new(ids: &[u32]) -> Self {
        let is_few = ids.len() <= SHARED;
        let most = match is_few {
            true => ids.iter().max(),
            false => ids.par_iter().max(),
        };
        let length = most.map_or(0, |most| *most as usize + 1);
        let bits = |ids: &[u32]| {
            let mut bits = FixedBitSet::with_capacity(length);
            ids.iter().for_each(|id| bits.insert(*id as usize));
            bits
        };
        let either = |mut all: FixedBitSet, some: FixedBitSet| {
            all.union_with(&some);
            all
        };
        let all = match is_few {
            true => bits(ids),
            false => {
                let parts = ids.par_chunks(each_core(ids.len(), SHARED)).map(bits);
                parts.reduce_with(either).unwrap_or_default()
            }
        };
        Self::from(all)
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn octets(&self) -> usize {
        self.bits.len() / 8
    }

    /// Ascending.
    pub(super) fn ids(&self) -> impl Iterator<Item = i64> {
        self.numbers()
            .map(|id| i64::try_from(id).unwrap_or(i64::MAX))
    }

    /// The same, as what stands at a place in memory.
    pub(super) fn numbers(&self) -> impl Iterator<Item = usize> {
        self.bits.ones()
    }

    /// Those of the steps that are in it, without so many at the begin, or at the end when they are read `backwards`. Nothing where it is
    /// not known how many there are in each step and they are not near.
    pub(super) fn window<'a>(
        &self,
        steps: impl Iterator<Item = Step<'a>>,
        skip: u64,
        limit: u64,
        backwards: bool,
    ) -> Option<Vec<i64>> {
        let (mut skip, limit) = (
            usize::try_from(skip).unwrap_or(usize::MAX),
            usize::try_from(limit).unwrap_or(usize::MAX),
        );
        let is_in = |id: &&u32| self.contains(**id);
        let mut page = Vec::with_capacity(Ord::min(limit, self.count));
        for (turn, (step, inside)) in steps.enumerate() {
            let inside = match inside {
                Some(inside) => inside as usize,
                None if turn >= NEAR => return None,
                None => step.iter().filter(is_in).count(),
            };
            if inside <= skip {
                skip -= inside;
                continue;
            }
            let left = limit - page.len();
            let those = step.iter().filter(is_in).copied().map(i64::from);
            match backwards {
                false => page.extend(those.skip(skip).take(left)),
                true => page.extend(those.rev().skip(skip).take(left)),
            }
            skip = 0;
            if page.len() >= limit {
                break;
            }
        }
        Some(page)
    }

    /// How many are in each step of an order. On all cores where it takes long.
    pub(super) fn steps(&self, order: &[u32]) -> Vec<u32> {
        let words = self.words_for(order);
        order
            .par_chunks(STEP)
            .with_min_len(SHARED / STEP)
            .map(|step| self.inside(step, words.as_ref()))
            .collect()
    }

    /// How many of it are of each class, where an octet for each id says which. On all cores where it takes long.
    pub(super) fn tally(&self, classes: &[u8]) -> Vec<u32> {
        const WORDS: usize = SHARED.div_ceil(WORD);
        let pieces = self.bits.as_slice().par_chunks(WORDS).enumerate();
        let each = pieces.map(|(piece, words)| {
            let mut counts = vec![0; 1 << u8::BITS];
            for (index, word) in words.iter().enumerate() {
                let (first, mut left) = ((piece * WORDS + index) * WORD, *word);
                while left != 0 {
                    if let Some(class) = classes.get(first + left.trailing_zeros() as usize) {
                        counts[usize::from(*class)] += 1;
                    }
                    left &= left - 1;
                }
            }
            counts
        });
        let both = |mut all: Vec<u32>, some: Vec<u32>| {
            all.iter_mut()
                .zip(some)
                .for_each(|(all, some)| *all += some);
            all
        };
        each.reduce(|| vec![0; 1 << u8::BITS], both)
    }

    /// The ids that are of so many classes from the `first` on, where an octet for each id says of which. On all cores where it takes long.
    pub(super) fn of_classes(classes: &[u8], first: u8, count: u8) -> Self {
        let words = classes.par_chunks(WORD).with_min_len(SHARED / WORD);
        let words = words.map(|classes| {
            let mut is_in = [0_u8; WORD];
            for (is_in, class) in is_in.iter_mut().zip(classes) {
                *is_in = u8::from(class.wrapping_sub(first) < count);
            }
            // Eight octets of 0 or 1 become eight bits: the product moves the lowest bit of the octet n to the bit 56 + n, and no two of
            // all that it moves meet.
            let octets = is_in.chunks_exact(8).map(|eight| {
                let eight = eight
                    .iter()
                    .rev()
                    .fold(0, |all, one| all << 8 | u64::from(*one));
                (eight.wrapping_mul(0x0102_0408_1020_4080) >> 56) as usize
            });
            octets
                .enumerate()
                .fold(0, |word, (at, octet)| word | octet << (8 * at))
        });
        let words: Vec<usize> = words.collect();
        Self::from(FixedBitSet::with_capacity_and_blocks(classes.len(), words))
    }

    fn inside(&self, step: &[u32], words: Option<&FixedBitSet>) -> u32 {
        let may_be = |id: u32, words: &FixedBitSet| words.contains(id as usize / WORD);
        let ids = step.iter();
        match words {
            Some(words) => ids
                .map(|id| u32::from(may_be(*id, words) && self.contains(*id)))
                .sum(),
            None => ids.map(|id| u32::from(self.contains(*id))).sum(),
        }
    }

    /// Which words have any, where most have none: a bit for each word is much nearer to the processor than all words.
    fn words_for(&self, order: &[u32]) -> Option<FixedBitSet> {
        if self.count * WORD >= order.len() {
            return None;
        }
        let all = self.bits.as_slice();
        let mut words = FixedBitSet::with_capacity(all.len());
        words.extend((0..all.len()).filter(|at| all[*at] != 0));
        Some(words)
    }

    pub(super) fn contains(&self, id: u32) -> bool {
        self.bits.contains(id as usize)
    }

    /// Those that are in both.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self::from(&self.bits & &other.bits)
    }

    /// Those that are in it alone.
    pub(super) fn without(&self, other: &Self) -> Self {
        let mut bits = self.bits.clone();
        bits.difference_with(&other.bits);
        Self::from(bits)
    }

    /// Those that are in either.
    pub(super) fn or(&self, other: &Self) -> Self {
        Self::from(&self.bits | &other.bits)
    }

    /// Whether of those that `changed` just those are in it that are in it `now`.
    pub(super) fn agrees(&self, changed: &[i64], now: &[u32]) -> bool {
        let before = changed.iter().filter(|id| {
            let id = u32::try_from(**id);
            id.is_ok_and(|id| self.contains(id))
        });
        before.count() == now.len() && now.iter().all(|id| self.contains(*id))
    }

    /// Without `changed`, and with those of them that are in it now.
    pub(super) fn patched(&self, changed: &[i64], now: &[u32]) -> Self {
        let mut bits = self.bits.clone();
        for id in changed {
            if let Some(id) = usize::try_from(*id).ok().filter(|id| *id < bits.len()) {
                bits.remove(id);
            }
        }
        for id in now {
            bits.grow_and_insert(*id as usize);
        }
        Self::from(bits)
    }
}

/// How many of all each core has, `least` at least.
fn each_core(all: usize, least: usize) -> usize {
    all.div_ceil(rayon::current_num_threads()).max(least)
}

/// Whether it is so long that [`Ids::window`] may not find all of it without steps.
pub(super) fn has_far(order: &[u32]) -> bool {
    order.len() > NEAR * STEP
}

/// Whether so many of a set that is in it, if it is spread evenly, stand where [`Ids::window`] looks without steps.
pub(super) fn has_near(order: &[u32], set: &Ids, wanted: u64) -> bool {
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    wanted.saturating_mul(order.len()) <= set.len().saturating_mul(NEAR * STEP)
}

/// Entries of an order, and how many of a set are among them where that is known.
pub(super) type Step<'a> = (&'a [u32], Option<u32>);

/// The steps of an order, the last one first when it is read `backwards`, with how many of a set each has, where somebody counted them.
pub(super) fn walk<'a>(
    order: &'a [u32],
    counted: Option<&'a [u32]>,
    backwards: bool,
) -> impl Iterator<Item = Step<'a>> {
    let count = order.len().div_ceil(STEP);
    (0..count).map(move |turn| {
        let index = if backwards { count - 1 - turn } else { turn };
        let from = index * STEP;
        let step = &order[from..Ord::min(from + STEP, order.len())];
        (
            step,
            counted.and_then(|counted| counted.get(index).copied()),
        )
    })
}

impl From<FixedBitSet> for Ids {
    fn from(bits: FixedBitSet) -> Self {
        let count = bits.count_ones(..);
        Self { bits, count }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_window_has_what_is_inside_in_the_order_given_from_either_end() {
        let order: Vec<u32> = (0..100).map(|number| number * 37 % 101).collect();
        let inside: Vec<u32> = order.iter().copied().filter(|id| id % 3 != 1).collect();
        let set = Ids::new(&inside);
        assert_eq!(set.len(), inside.len());
        let steps = set.steps(&order);
        let many: Vec<u32> = (0..1_000).rev().collect();
        for some in [
            vec![],
            vec![0],
            vec![63, 64, 999],
            vec![500; 2],
            many.clone(),
        ] {
            let (set, some) = (Ids::new(&some), HashSet::<u32>::from_iter(some));
            let inside = |step: &[u32]| step.iter().filter(|id| some.contains(id)).count() as u32;
            let counted: Vec<u32> = many.chunks(STEP).map(inside).collect();
            assert_eq!(set.steps(&many), counted);
        }
        assert_eq!(steps.iter().sum::<u32>() as usize, inside.len());
        for (skip, limit) in [(0, 1), (0, 100), (5, 10), (60, 50), (66, 4), (99, 9)] {
            let forwards: Vec<i64> = inside.iter().copied().map(i64::from).collect();
            let backwards = forwards.iter().rev().copied();
            let (skip_by, some) = (skip as u64, limit as u64);
            let ahead: Vec<i64> = forwards.iter().copied().skip(skip).take(limit).collect();
            let back: Vec<i64> = backwards.skip(skip).take(limit).collect();
            for steps in [None, Some(steps.as_slice())] {
                for (backwards, wanted) in [(false, &ahead), (true, &back)] {
                    match set.window(walk(&order, steps, backwards), skip_by, some, backwards) {
                        Some(page) => assert_eq!(page, *wanted),
                        None => assert!(steps.is_none() && order.len() > NEAR * STEP),
                    }
                }
            }
        }
    }

    #[test]
    fn classes_are_told_by_an_octet_for_each_id() {
        let classes: Vec<u8> = (0..1_000_u32).map(|id| (id * 37 % 256) as u8).collect();
        for (first, count) in [(0, 0), (0, 1), (3, 90), (200, 55), (0, 255), (255, 1)] {
            let set = Ids::of_classes(&classes, first, count);
            let of = |id: &i64| classes[*id as usize];
            let inside = |id: &i64| {
                of(id) >= first && u32::from(of(id)) < u32::from(first) + u32::from(count)
            };
            let wanted: Vec<i64> = (0..1_000).filter(inside).collect();
            assert_eq!(
                set.ids().collect::<Vec<_>>(),
                wanted,
                "{count} from {first} on"
            );
            assert_eq!(set.len(), wanted.len());
            let tally = set.tally(&classes);
            for (class, count) in tally.into_iter().enumerate() {
                let those = wanted.iter().filter(|id| usize::from(of(id)) == class);
                assert_eq!(count as usize, those.count());
            }
        }
        // What nobody has said anything of is of no class.
        assert_eq!(Ids::new(&[5, 7]).tally(&[0; 6])[0], 1);
    }

    #[test]
    fn what_changed_is_in_it_if_it_is_in_it_now() {
        let set = Ids::new(&[1, 5, 9]).patched(&[5, 9, 7, 200, -1], &[9, 7, 200]);
        assert_eq!(set.ids().collect::<Vec<_>>(), [1, 7, 9, 200]);
        assert_eq!(set.len(), 4);
        assert!(set.agrees(&[1, 5, -1, 200], &[1, 200]));
        assert!(!set.agrees(&[1, 5], &[1, 5]) && !set.agrees(&[1, 7], &[1]));
    }
}
