//! How busy a node's devices are.

use std::time::{Duration, Instant};

use serde::Serialize;

/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(500);

/// What a node that works on devices is waiting for, and how busy they are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Load {
    /// The part of the time in which nothing was there to work on, in 0..=1.
    pub waiting: f64,
    /// The part of the last moments in which a GPU computed, in 0..=1: the mean where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy: Option<f64>,
    /// The bytes of a GPU's memory that are taken, by whomever: the most where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
}

/// Looks at how busy devices are, from time to time.
#[derive(Debug, Default)]
pub struct Looks(Option<Instant>);

impl Looks {
    /// Whether it is time for another look, which then counts as done: at once for the first.
    pub fn is_due(&mut self) -> bool {
        let is_due = self.0.is_none_or(|last| last.elapsed() >= PAUSE);
        if is_due {
            self.0 = Some(Instant::now());
        }
        is_due
    }
}
