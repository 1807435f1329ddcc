//! All certificates in the order of a field and, where they are very many, in which part of it each stands: where one is, and which of
//! some come first, is found without looking through all of it.

use std::ops::{Deref, Range};

use fixedbitset::FixedBitSet;

use super::ids::{self, Ids, Step};

const IS_TEST: bool = cfg!(feature = "testing");
/// From how many on it is worth an octet more for each.
const MANY: usize = if IS_TEST { 4 } else { 2_000_000 };
/// Parts, which an octet tells apart, beside [`NONE`].
const PARTS: usize = if IS_TEST { 3 } else { 255 };
/// What is not there is in no part.
const NONE: u8 = u8::MAX;
/// So many are looked for one by one.
const FEW: usize = if IS_TEST { 2 } else { 200 };
/// So many of a part are looked for one by one: several entries are compared with one id at once, but each with a set.
const ONE_BY_ONE: usize = if IS_TEST { 1 } else { 8 };
/// Entries that are looked at together.
const PIECE: usize = if IS_TEST { 4 } else { 1_024 };
/// Of so many entries one is in a set at most that is counted in less time than it takes to keep the counts.
const SPARSE: usize = if IS_TEST { 2 } else { 128 };
/// Of so many entries one is in a stretch at least that is made into a set by looking at the parts of all.
const BROAD: usize = if IS_TEST { 2 } else { 16 };

/// Ids, each once, in an order.
#[derive(Debug)]
pub(super) struct Sorted {
    ids: Vec<u32>,
    parts: Option<Parts>,
}

#[derive(Debug)]
struct Parts {
    /// By id.
    of: Vec<u8>,
    /// Where each begins, and the end of the last.
    begins: Vec<usize>,
}

impl Deref for Sorted {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        &self.ids
    }
}

impl Sorted {
    pub(super) fn new(ids: Vec<u32>) -> Self {
        let parts = (ids.len() >= MANY).then(|| Parts::new(&ids));
        Self { ids, parts }
    }

    /// Octets of so many in an order.
    pub(super) fn octets_of(count: usize) -> usize {
        let each = size_of::<u32>() + usize::from(count >= MANY);
        count.saturating_mul(each)
    }

    pub(super) fn octets(&self) -> usize {
        let parts = self.parts.as_ref().map_or(0, |parts| parts.of.len());
        self.ids.len() * size_of::<u32>() + parts
    }

    /// Where an id stands, from a place on.
    pub(super) fn place(&self, id: i64, from: usize) -> Option<usize> {
        let id = u32::try_from(id).ok()?;
        // What ends it is asked for most.
        if self.ids.last() == Some(&id) {
            return Some(self.ids.len() - 1);
        }
        let within = match &self.parts {
            Some(parts) => parts.range(*parts.of.get(id as usize)?)?,
            None => 0..self.ids.len(),
        };
        let begin = Ord::max(within.start, from);
        let within = self.ids.get(begin..within.end)?;
        // Several entries are compared at once.
        let piece = within.chunks(PIECE).position(|piece| piece.contains(&id))?;
        let rest = &within[piece * PIECE..];
        let at = rest.iter().position(|other| *other == id)?;
        Some(begin + piece * PIECE + at)
    }

    /// Where these stand that are in it, ascending. The ids ascend too.
    pub(super) fn places(&self, ids: &[u32]) -> Vec<usize> {
        let (Some(first), Some(last)) = (ids.first(), ids.last()) else {
            return Vec::new();
        };
        if self.parts.is_some() && ids.len() <= FEW {
            let each = ids.iter().filter_map(|id| self.place(i64::from(*id), 0));
            let mut places: Vec<usize> = each.collect();
            places.sort_unstable();
            return places;
        }
        let span = last - first;
        let mut wanted = FixedBitSet::with_capacity(span as usize + 1);
        wanted.extend(ids.iter().map(|id| (id - first) as usize));
        let is_wanted = |id: &u32| wanted.contains(id.wrapping_sub(*first) as usize);
        // Most pieces have none of them, which is found out for several entries at once.
        let may_have = |piece: &[u32]| {
            let near = |id: &u32| id.wrapping_sub(*first) <= span;
            piece.iter().fold(false, |found, id| found | near(id))
        };
        let pieces = self.ids.chunks(PIECE).enumerate();
        let there = pieces
            .filter(|(_, piece)| may_have(piece))
            .flat_map(|(index, piece)| {
                let each = piece.iter().enumerate().filter(|(_, id)| is_wanted(id));
                each.map(move |(at, _)| index * PIECE + at)
            });
        there.collect()
    }

    /// Whether a set has so few that each is looked for in less time than the database takes to sort them.
    pub(super) fn finds(&self, set: &Ids) -> bool {
        self.parts.is_some() && set.len() <= FEW
    }

    /// Those of a set in this order; nothing unless it has all of them.
    pub(super) fn few(&self, set: &Ids) -> Option<Vec<u32>> {
        let ids = set.ids().map(u32::try_from);
        let ids: Vec<u32> = ids.collect::<Result<_, _>>().ok()?;
        let places = self.places(&ids);
        let has_all = places.len() == ids.len();
        has_all.then(|| places.into_iter().map(|at| self.ids[at]).collect())
    }

    /// Whether a set has so few that what each step has of it is counted each time.
    pub(super) fn is_sparse(&self, set: &Ids) -> bool {
        self.parts.is_some() && set.len().saturating_mul(SPARSE) <= self.ids.len()
    }

    /// How many of a set, all of which are in it, each step has: each part, where there are parts. On all cores where it takes long.
    pub(super) fn counts(&self, set: &Ids) -> Vec<u32> {
        match &self.parts {
            Some(parts) => {
                let mut counts = set.tally(&parts.of);
                counts.truncate(PARTS);
                counts
            }
            None => set.steps(&self.ids),
        }
    }

    /// Those of a set, of which its steps have so many, without so many at the begin, or at the end when they are read `backwards`.
    pub(super) fn window(
        &self,
        set: &Ids,
        counts: &[u32],
        skip: u64,
        limit: u64,
        backwards: bool,
    ) -> Vec<i64> {
        let found = self.scattered(set, counts, skip, limit, backwards);
        found.unwrap_or_else(|| {
            let steps = self.walk(counts, backwards);
            let page = set.window(steps, skip, limit, backwards);
            page.unwrap_or_default()
        })
    }

    /// The same where they are few in each of many parts; nothing where they are not. Of a set that is not sparse all ids would be passed.
    fn scattered(
        &self,
        set: &Ids,
        counts: &[u32],
        skip: u64,
        limit: u64,
        backwards: bool,
    ) -> Option<Vec<i64>> {
        let parts = self.parts.as_ref().filter(|_| self.is_sparse(set))?;
        let (skip, limit) = (usize::try_from(skip).ok()?, usize::try_from(limit).ok()?);
        let (mut before, mut inside) = (0, 0);
        let mut wanted = [false; 1 << u8::BITS];
        for turn in 0..PARTS {
            let part = if backwards { PARTS - 1 - turn } else { turn };
            let count = *counts.get(part)? as usize;
            if inside == 0 && before + count <= skip {
                before += count;
            } else if count > 0 && before + inside < skip.saturating_add(limit) {
                wanted[part] = true;
                inside += count;
            }
        }
        let within = wanted.iter().filter(|is_wanted| **is_wanted).count();
        if inside > Ord::min(FEW, within * ONE_BY_ONE) {
            return None;
        }
        let part = |id: &u32| parts.of.get(*id as usize).copied().unwrap_or(NONE);
        let ids = set.numbers().filter_map(|id| u32::try_from(id).ok());
        let ids: Vec<u32> = ids.filter(|id| wanted[usize::from(part(id))]).collect();
        let mut places = self.places(&ids);
        if backwards {
            places.reverse();
        }
        let page = places.into_iter().skip(skip - before).take(limit);
        Some(page.map(|at| i64::from(self.ids[at])).collect())
    }

    /// The same steps with these counts, the last one first when it is read `backwards`.
    fn walk<'a>(
        &'a self,
        counts: &'a [u32],
        backwards: bool,
    ) -> Box<dyn Iterator<Item = Step<'a>> + 'a> {
        let Some(parts) = &self.parts else {
            return Box::new(ids::walk(&self.ids, Some(counts), backwards));
        };
        Box::new((0..PARTS).map(move |turn| {
            let part = if backwards { PARTS - 1 - turn } else { turn };
            let within = parts.begins[part]..parts.begins[part + 1];
            (&self.ids[within], counts.get(part).copied())
        }))
    }

    /// What stands side by side in it.
    pub(super) fn set(&self, stretch: Range<usize>) -> Ids {
        let ids = &self.ids[stretch.clone()];
        let is_broad = stretch.len().saturating_mul(BROAD) > self.ids.len();
        let Some(parts) = self.parts.as_ref().filter(|_| is_broad) else {
            return Ids::new(ids);
        };
        let whole = parts.whole(&stretch);
        if whole.is_empty() {
            return Ids::new(ids);
        }
        let (begin, end) = (parts.begins[whole.start], parts.begins[whole.end]);
        let (before, after) = (&self.ids[stretch.start..begin], &self.ids[end..stretch.end]);
        let first = u8::try_from(whole.start).unwrap_or(NONE);
        let inside = Ids::of_classes(&parts.of, first, u8::try_from(whole.len()).unwrap_or(0));
        inside.or(&Ids::new(&[before, after].concat()))
    }

    /// Without the entries at these places, which ascend.
    pub(super) fn without(&self, places: &[usize]) -> Self {
        let mut ids = Vec::with_capacity(self.ids.len());
        let mut done = 0;
        for at in places {
            ids.extend_from_slice(&self.ids[done..*at]);
            done = at + 1;
        }
        ids.extend_from_slice(&self.ids[done..]);
        let parts = self.parts.as_ref().map(|parts| {
            let mut of = parts.of.clone();
            for at in places {
                of[self.ids[*at] as usize] = NONE;
            }
            let begins = parts.moved(|begin| begin - places.partition_point(|at| at < begin));
            Parts { of, begins }
        });
        Self { ids, parts }
    }

    /// With more ids, each before the entry at its place. The places ascend.
    pub(super) fn with(self, new: &[(u32, usize)]) -> Self {
        let mut ids = Vec::with_capacity(self.ids.len() + new.len());
        let mut done = 0;
        for (id, at) in new {
            ids.extend_from_slice(&self.ids[done..*at]);
            ids.push(*id);
            done = *at;
        }
        ids.extend_from_slice(&self.ids[done..]);
        let parts = self.parts.map(|parts| parts.with(new));
        Self { ids, parts }
    }
}

impl Parts {
    fn new(ids: &[u32]) -> Self {
        let each = ids.len().div_ceil(PARTS);
        let most = ids.iter().max().map_or(0, |most| *most as usize + 1);
        let mut of = vec![NONE; most];
        for (part, ids) in (0..).zip(ids.chunks(each)) {
            ids.iter().for_each(|id| of[*id as usize] = part);
        }
        let begins = (0..=PARTS).map(|part| Ord::min(part * each, ids.len()));
        Self {
            of,
            begins: begins.collect(),
        }
    }

    fn range(&self, part: u8) -> Option<Range<usize>> {
        let part = usize::from(part);
        Some(*self.begins.get(part)?..*self.begins.get(part + 1)?)
    }

    /// The parts that are in a stretch with all they have.
    fn whole(&self, stretch: &Range<usize>) -> Range<usize> {
        let first = self.begins.partition_point(|at| *at < stretch.start);
        let last = self.begins.partition_point(|at| *at <= stretch.end);
        first..last.saturating_sub(1)
    }

    fn moved(&self, to: impl Fn(&usize) -> usize) -> Vec<usize> {
        self.begins.iter().map(to).collect()
    }

    /// What comes to stand where a part begins is the last of the part before.
    fn with(mut self, new: &[(u32, usize)]) -> Self {
        for (id, at) in new {
            let id = *id as usize;
            if id >= self.of.len() {
                self.of.resize(id + 1, NONE);
            }
            let part = self.begins[1..PARTS].partition_point(|begin| begin < at);
            self.of[id] = u8::try_from(part).unwrap_or(u8::MAX);
        }
        let mut begins = self.moved(|begin| begin + new.partition_point(|(_, at)| at <= begin));
        begins[0] = 0;
        Self { begins, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of it is what is found by looking at all of it.
    fn check(sorted: &Sorted, wanted: &[u32]) {
        assert_eq!(&**sorted, wanted);
        for id in 0..40 {
            let at = wanted.iter().position(|other| i64::from(*other) == id);
            assert_eq!(sorted.place(id, 0), at, "{id} in {wanted:?}");
            if let Some(at) = at {
                assert_eq!(sorted.place(id, at), Some(at));
                assert!(sorted.place(id, at + 1).is_none() || at + 1 == wanted.len());
            }
        }
        for ids in [vec![], vec![3], vec![0, 7, 39], (0..40).collect()] {
            let there = wanted.iter().enumerate();
            let there = there.filter(|(_, id)| ids.contains(id)).map(|(at, _)| at);
            assert_eq!(sorted.places(&ids), there.collect::<Vec<_>>());
            let inside: Vec<u32> = wanted
                .iter()
                .copied()
                .filter(|id| ids.contains(id))
                .collect();
            let has_all = inside.len() == ids.len();
            assert_eq!(sorted.few(&Ids::new(&ids)), has_all.then_some(inside));
        }
        assert_eq!(sorted.place(-1, 0), None);
        assert_eq!(sorted.place(i64::MAX, 0), None);
        let every_other = wanted.iter().step_by(2).copied().collect();
        for set in [
            vec![],
            wanted[..1].to_vec(),
            wanted.to_vec(),
            wanted[1..].to_vec(),
            every_other,
        ] {
            let set = Ids::new(&set);
            let counts = sorted.counts(&set);
            for backwards in [false, true] {
                let mut all: Vec<u32> = Vec::new();
                for (step, inside) in sorted.walk(&counts, backwards) {
                    let count = step.iter().filter(|id| set.contains(**id)).count();
                    assert_eq!(inside, u32::try_from(count).ok());
                    match backwards {
                        false => all.extend(step),
                        true => all.extend(step.iter().rev()),
                    }
                }
                if backwards {
                    all.reverse();
                }
                assert_eq!(all, wanted);
                let mut inside: Vec<u32> = wanted.to_vec();
                inside.retain(|id| set.contains(*id));
                if backwards {
                    inside.reverse();
                }
                for (skip, limit) in [(0, 1), (0, 50), (1, 1), (1, 2), (2, 3), (50, 1)] {
                    let page = sorted.window(&set, &counts, skip as u64, limit as u64, backwards);
                    let expected = inside.iter().copied().map(i64::from);
                    let expected: Vec<i64> = expected.skip(skip).take(limit).collect();
                    assert_eq!(page, expected, "{skip} {limit} of {inside:?}");
                }
            }
        }
        let middle = wanted.len() / 2;
        for (begin, end) in [
            (0, wanted.len()),
            (0, middle),
            (middle, wanted.len()),
            (Ord::min(1, middle), wanted.len() - middle / 2),
            (middle, middle),
        ] {
            let mut inside: Vec<i64> = wanted[begin..end].iter().copied().map(i64::from).collect();
            inside.sort_unstable();
            let set = sorted.set(begin..end);
            assert_eq!(set.len(), inside.len());
            assert_eq!(
                set.ids().collect::<Vec<_>>(),
                inside,
                "{begin}..{end} of {wanted:?}"
            );
        }
    }

    #[test]
    fn it_is_known_where_each_stands_whatever_comes_and_goes() {
        for count in 1..20_u32 {
            let ids: Vec<u32> = (0..count).map(|number| number * 7 % 31).collect();
            let sorted = Sorted::new(ids.clone());
            check(&sorted, &ids);
            assert_eq!(sorted.is_sparse(&Ids::new(&ids[..1])), ids.len() >= MANY);
            assert!(sorted.octets() >= ids.len() * 4);
            for gone in 0..count as usize {
                for some in [1, 2, count as usize] {
                    let places: Vec<usize> = (gone..Ord::min(gone + some, ids.len())).collect();
                    let mut left = ids.clone();
                    left.drain(gone..Ord::min(gone + some, ids.len()));
                    if left.is_empty() {
                        continue;
                    }
                    check(&sorted.without(&places), &left);
                    for at in 0..=left.len() {
                        let new = [(35, at), (ids[gone], at), (39, left.len())];
                        let mut more = left.clone();
                        more.splice(at..at, [35, ids[gone]]);
                        more.push(39);
                        check(&sorted.without(&places).with(&new), &more);
                    }
                }
            }
        }
    }
}
