//! How much of the time a device computes, and how much it waits for photos.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counts the time in which at least one batch is computed.
#[derive(Debug, Default)]
pub(super) struct Meter(Mutex<Count>);

#[derive(Debug, Default)]
struct Count {
    first: Option<Instant>,
    last: Option<Instant>,
    /// Batches under way, and since when there are any.
    under_way: usize,
    since: Option<Instant>,
    busy: Duration,
    batches: usize,
    images: usize,
}

impl Meter {
    /// Measures the work on a batch of so many images.
    pub(super) fn of<T>(&self, images: usize, work: impl FnOnce() -> T) -> T {
        self.change(|count, now| {
            count.first.get_or_insert(now);
            count.under_way += 1;
            count.since.get_or_insert(now);
        });
        let done = work();
        self.change(|count, now| {
            count.last = Some(now);
            count.batches += 1;
            count.images += images;
            count.under_way -= 1;
            if count.under_way == 0
                && let Some(since) = count.since.take()
            {
                count.busy += now - since;
            }
        });
        done
    }

    fn change(&self, change: impl FnOnce(&mut Count, Instant)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
    }

    /// The part of the time in which nothing was computed; `None` before the first batch is done.
    pub(super) fn waiting(&self) -> Option<f64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).waiting()
    }

    /// In words; `None` where nothing was computed.
    pub(super) fn told(&self) -> Option<String> {
        let count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, waiting) = (count.seconds()?, 100.0 * count.waiting()?);
        Some(format!(
            "{} images in {} batches, {:.0} a second; computing {:.0} % of the time, waiting for photos {waiting:.0} %\n",
            count.images,
            count.batches,
            count.images as f64 / all,
            100.0 - waiting
        ))
    }
}

impl Count {
    /// From the start of the first batch to the end of the last that is done.
    fn seconds(&self) -> Option<f64> {
        Some(self.last?.duration_since(self.first?).as_secs_f64().max(f64::EPSILON))
    }

    fn waiting(&self) -> Option<f64> {
        let last = self.last?;
        // Batches that overlap may have been under way all the time.
        let ongoing = self.since.map_or(Duration::ZERO, |since| last.saturating_duration_since(since));
        let busy = (self.busy + ongoing).as_secs_f64();
        Some((1.0 - busy / self.seconds()?).clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::Meter;

    #[test]
    fn batches_that_overlap_are_no_waiting() {
        let meter = Meter::default();
        meter.of(1, || {
            meter.of(1, || thread::sleep(Duration::from_millis(2)));
            // One is done while another is still computed.
            assert_eq!(meter.waiting(), Some(0.0));
        });
        assert_eq!(meter.waiting(), Some(0.0));
    }
}
