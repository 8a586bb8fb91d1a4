//! Where the threads of a team wait for each other.

use std::hint;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// So often a thread looks before it leaves the core to others: steps take microseconds, and sleeping
/// and waking as long.
const LOOKS: usize = 4096;

/// Threads meet here, again and again.
#[derive(Debug)]
pub(super) struct Meeting {
    members: usize,
    arrived: Apart<AtomicUsize>,
    round: Apart<AtomicUsize>,
    is_broken: AtomicBool,
}

/// On a cache line of its own: who arrives does not disturb those who look at the round.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

/// Tells the others when its thread panics, so that nobody waits for it forever.
pub(super) struct Guard<'m>(&'m Meeting);

impl Meeting {
    pub(super) fn of(members: usize) -> Self {
        Self { members, arrived: Apart::default(), round: Apart::default(), is_broken: AtomicBool::new(false) }
    }

    pub(super) fn guard(&self) -> Guard<'_> {
        Guard(self)
    }

    /// Waits until all members are here. What each did before is seen by all behind.
    pub(super) fn wait(&self) {
        let round = self.round.0.load(Ordering::Acquire);
        if self.arrived.0.fetch_add(1, Ordering::AcqRel) + 1 == self.members {
            self.arrived.0.store(0, Ordering::Relaxed);
            self.round.0.store(round.wrapping_add(1), Ordering::Release);
            return;
        }
        let mut looks = 0;
        while self.round.0.load(Ordering::Acquire) == round {
            assert!(!self.is_broken.load(Ordering::Relaxed), "another thread of the team panicked");
            if looks < LOOKS {
                looks += 1;
                hint::spin_loop();
            } else {
                thread::yield_now();
            }
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.is_broken.store(true, Ordering::Relaxed);
        }
    }
}
