//! The memory of a worker, and what each thread of a team may do with it.

use std::marker::PhantomData;
use std::ops::Range;
use std::thread;

use super::LANES;
use super::meeting::Meeting;

/// The memory of a worker: maps in blocks of sixteen channels, `[channels / 16][height][width][16]`.
#[derive(Debug, Clone)]
pub(crate) struct Memory(Vectors);

/// Sixteen numbers on a cache line of their own.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Vector([f32; LANES]);

/// Numbers, each vector of them on a cache line of its own.
#[derive(Debug, Clone)]
pub(crate) struct Vectors(Vec<Vector>);

impl Vectors {
    /// As many zeros as fill whole vectors.
    pub(crate) fn zeros(numbers: usize) -> Self {
        Self(vec![Vector([0.0; LANES]); numbers.div_ceil(LANES)])
    }

    /// Numbers, and zeros to the end of a vector.
    pub(crate) fn of(numbers: &[f32]) -> Self {
        let mut vectors = Self::zeros(numbers.len());
        vectors.numbers_mut()[..numbers.len()].copy_from_slice(numbers);
        vectors
    }

    pub(crate) fn numbers(&self) -> &[f32] {
        // Sound: a `Vector` is sixteen `f32` and nothing else (`repr(C)`, 64 bytes).
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * LANES) }
    }

    pub(crate) fn numbers_mut(&mut self) -> &mut [f32] {
        // Sound: as above, and borrowed for as long as the slice lives.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * LANES) }
    }
}

/// Which numbers of the memory each member of a team owns during a step.
#[derive(Debug, Clone)]
pub(crate) struct Shares {
    members: usize,
    /// What is owned and by whom, in order; none overlap, and none are empty.
    owned: Vec<(Range<usize>, usize)>,
}

impl Shares {
    /// The ranges of each member, which must not overlap.
    pub(crate) fn new(of_members: Vec<Vec<Range<usize>>>) -> Self {
        let members = of_members.len();
        let with_owner =
            |(member, ranges): (usize, Vec<Range<usize>>)| ranges.into_iter().map(move |own| (own, member));
        let mut all: Vec<(Range<usize>, usize)> = of_members.into_iter().enumerate().flat_map(with_owner).collect();
        all.retain(|(range, _)| !range.is_empty());
        all.sort_by_key(|(range, _)| range.start);
        let mut owned: Vec<(Range<usize>, usize)> = Vec::new();
        for (range, member) in all {
            match owned.last_mut() {
                Some((last, _)) if range.start < last.end => panic!("{last:?} and {range:?} are owned twice"),
                Some((last, owner)) if range.start == last.end && *owner == member => last.end = range.end,
                _ => owned.push((range, member)),
            }
        }
        Self { members, owned }
    }

    /// What is owned from the first number of a part on.
    fn from(&self, part: &Range<usize>) -> &[(Range<usize>, usize)] {
        &self.owned[self.owned.partition_point(|(range, _)| range.end <= part.start)..]
    }

    fn owns(&self, member: usize, part: &Range<usize>) -> bool {
        let holds = |(range, owner): &(Range<usize>, usize)| {
            *owner == member && range.start <= part.start && part.end <= range.end
        };
        part.is_empty() || self.from(part).first().is_some_and(holds)
    }

    fn is_of_another(&self, member: usize, part: &Range<usize>) -> bool {
        let touched = self.from(part).iter().take_while(|(range, _)| range.start < part.end);
        !part.is_empty() && touched.into_iter().any(|(_, owner)| *owner != member)
    }
}

impl Memory {
    /// Of so many numbers, all 0.
    pub(crate) fn new(numbers: usize) -> Self {
        Self(Vectors::zeros(numbers))
    }

    pub(crate) fn numbers(&self) -> &[f32] {
        self.0.numbers()
    }

    pub(crate) fn numbers_mut(&mut self) -> &mut [f32] {
        self.0.numbers_mut()
    }

    /// All of it, for one thread.
    pub(crate) fn view(&mut self) -> View<'_> {
        let numbers = self.0.numbers_mut();
        View { start: numbers.as_mut_ptr(), length: numbers.len(), share: None, memory: PhantomData }
    }

    /// Runs steps on as many threads as each of them has shares: `work` gets the step, the member and
    /// its view. A step begins when all members are through the one before.
    pub(crate) fn together(
        &mut self,
        members: usize,
        steps: &[Shares],
        work: impl Fn(usize, usize, &mut View<'_>) + Sync,
    ) {
        assert!(steps.iter().all(|shares| shares.members == members));
        let numbers = self.0.numbers_mut();
        let (start, length) = (Start(numbers.as_mut_ptr()), numbers.len());
        let meeting = Meeting::of(members);
        let member = |number: usize| {
            let _guard = meeting.guard();
            for (step, shares) in steps.iter().enumerate() {
                let share = Some((shares, number));
                work(step, number, &mut View { start: start.get(), length, share, memory: PhantomData });
                meeting.wait();
            }
        };
        thread::scope(|scope| {
            // A thread that cannot be started must not be waited for either.
            let _guard = meeting.guard();
            for number in 1..members {
                let member = &member;
                scope.spawn(move || member(number));
            }
            member(0);
        });
    }
}

/// Where a memory begins.
#[derive(Clone, Copy)]
struct Start(*mut f32);

// Sound: members of a team write to what they alone own, and read what no other owns, until all have
// met; every access through a `View` is checked for that.
unsafe impl Send for Start {}
// Sound: as above.
unsafe impl Sync for Start {}

impl Start {
    fn get(self) -> *mut f32 {
        self.0
    }
}

/// A thread's sight of the memory during a step: it may write to what it owns, and read what no other
/// thread owns. All that a kernel touches is checked here.
pub(crate) struct View<'m> {
    start: *mut f32,
    length: usize,
    /// Who owns what, and which member this is; without shares all is its own.
    share: Option<(&'m Shares, usize)>,
    memory: PhantomData<&'m mut Memory>,
}

impl View<'_> {
    /// A pointer to `count` numbers from `at` on, to be read.
    #[inline]
    pub(super) fn part(&self, at: usize, count: usize) -> *const f32 {
        let part = self.inside(at, count);
        if let Some((shares, member)) = self.share {
            assert!(!shares.is_of_another(member, &part), "{part:?} belongs to another member");
        }
        // Sound: just checked. Not through a slice: that would end the life of the pointers before it.
        unsafe { self.start.add(at).cast_const() }
    }

    /// A pointer to `count` numbers from `at` on, to be written.
    #[inline]
    pub(super) fn part_mut(&mut self, at: usize, count: usize) -> *mut f32 {
        let part = self.inside(at, count);
        if let Some((shares, member)) = self.share {
            assert!(shares.owns(member, &part), "{part:?} does not belong to member {member}");
        }
        // Sound: as in `part`.
        unsafe { self.start.add(at) }
    }

    #[inline]
    fn inside(&self, at: usize, count: usize) -> Range<usize> {
        let end = at.checked_add(count).filter(|&end| end <= self.length);
        let Some(end) = end else { panic!("{count} numbers from {at} on lie outside of the memory") };
        at..end
    }

    /// Numbers to be written.
    pub(crate) fn own(&mut self, part: Range<usize>) -> &mut [f32] {
        // Sound: it lies inside and is this thread's alone, and the view is borrowed while it lives.
        unsafe { std::slice::from_raw_parts_mut(self.part_mut(part.start, part.len()), part.len()) }
    }

    /// Numbers to be read, and others to be written.
    pub(crate) fn pair(&mut self, from: Range<usize>, to: Range<usize>) -> (&[f32], &mut [f32]) {
        assert!(from.end <= to.start || to.end <= from.start);
        let (read, written) = (self.part(from.start, from.len()), self.part_mut(to.start, to.len()));
        // Sound: as in `own`; they do not overlap.
        unsafe { (std::slice::from_raw_parts(read, from.len()), std::slice::from_raw_parts_mut(written, to.len())) }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    /// Two members, a vector each, of a memory of three.
    fn halves() -> Shares {
        Shares::new(vec![std::iter::once(0..16).collect(), std::iter::once(16..32).collect()])
    }

    fn panics(work: impl Fn(usize, &mut View<'_>) + Sync) -> bool {
        let mut memory = Memory::new(48);
        let ran =
            catch_unwind(AssertUnwindSafe(|| memory.together(2, &[halves()], |_, member, view| work(member, view))));
        ran.is_err()
    }

    fn own(member: usize) -> Range<usize> {
        member * 16 + 4..member * 16 + 5
    }

    #[test]
    fn members_write_what_is_theirs_and_read_what_is_no_others() {
        assert!(!panics(|member, view| view.own(own(member)).fill(1.0)));
        let read =
            |from: Range<usize>| panics(|member, view| assert_eq!(view.pair(from.clone(), own(member)).0[0], 0.0));
        assert!(!read(32..48));
        assert!(panics(|_, view| view.own(0..16).fill(1.0)), "another's is written");
        assert!(panics(|_, view| view.own(32..33).fill(1.0)), "nobody's is written");
        assert!(read(15..17), "another's is read");
        assert!(panics(|_, view| view.own(40..56).fill(1.0)), "it lies outside");
    }

    #[test]
    fn a_member_that_panics_is_not_waited_for() {
        for member in 0..2 {
            assert!(panics(|number, _| assert!(number != member, "on purpose")));
        }
    }

    #[test]
    #[should_panic(expected = "owned twice")]
    fn nothing_is_owned_twice() {
        Shares::new(vec![std::iter::once(0..17).collect(), std::iter::once(16..32).collect()]);
    }
}
