//! How threads share a step.

use std::ops::Range;

/// A thread of the team that runs a plan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    number: usize,
    of: usize,
    /// Where the room of its own begins that a step may want; the first has the plan's.
    room: Option<usize>,
}

impl Member {
    /// One thread for all.
    pub(crate) const ALONE: Self = Self { number: 0, of: 1, room: None };

    /// The members of a team of so many; `room` numbers for each behind the first lie from `at` on.
    pub(crate) fn team(of: usize, at: usize, room: usize) -> Vec<Self> {
        let room_of = |number: usize| number.checked_sub(1).map(|before| at + before * room);
        (0..of).map(|number| Self { number, of, room: room_of(number) }).collect()
    }

    /// Its part of so many units, as large as the others'.
    pub(crate) fn part(self, units: usize) -> Range<usize> {
        units * self.number / self.of..units * (self.number + 1) / self.of
    }

    /// The largest part of so many units.
    pub(crate) fn most(self, units: usize) -> usize {
        units.div_ceil(self.of)
    }

    /// Whether it is the one that does what cannot be shared.
    pub(crate) fn is_first(self) -> bool {
        self.number == 0
    }

    /// Where room lies that every member has of its own; the first has it at `at`.
    pub(crate) fn room(self, at: usize) -> usize {
        self.room.unwrap_or(at)
    }
}
