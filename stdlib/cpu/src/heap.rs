//! Which part of a worker's memory holds what, and for how long.

use crate::kernels::LANES;

/// A memory that grows as wanted; what is given back is used again.
#[derive(Debug, Default)]
pub(crate) struct Heap {
    /// By place.
    parts: Vec<Part>,
    size: usize,
}

#[derive(Debug)]
struct Part {
    at: usize,
    numbers: usize,
    /// How many still need it.
    users: usize,
}

impl Heap {
    /// Room for so many numbers, with one user.
    pub(crate) fn take(&mut self, numbers: usize) -> usize {
        let numbers = numbers.next_multiple_of(LANES).max(LANES);
        let mut at = 0;
        let mut place = self.parts.len();
        for (number, part) in self.parts.iter().enumerate() {
            if part.at - at >= numbers {
                place = number;
                break;
            }
            at = part.at + part.numbers;
        }
        self.parts.insert(place, Part { at, numbers, users: 1 });
        self.size = self.size.max(at + numbers);
        at
    }

    /// One more user.
    pub(crate) fn keep(&mut self, at: usize) {
        if let Some(part) = self.parts.iter_mut().find(|part| part.at == at) {
            part.users += 1;
        }
    }

    /// One user less.
    pub(crate) fn give_back(&mut self, at: usize) {
        if let Some(place) = self.parts.iter().position(|part| part.at == at) {
            self.parts[place].users -= 1;
            if self.parts[place].users == 0 {
                self.parts.remove(place);
            }
        }
    }

    /// Numbers that were in use at once, at most.
    pub(crate) fn size(&self) -> usize {
        self.size
    }
}
