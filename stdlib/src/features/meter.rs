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
        let count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, last) = (count.first?, count.last?);
        let all = last.duration_since(first).as_secs_f64().max(f64::EPSILON);
        Some((1.0 - count.busy.as_secs_f64() / all).clamp(0.0, 1.0))
    }

    /// In words; `None` where nothing was computed.
    pub(super) fn told(&self) -> Option<String> {
        let count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = count.last?.duration_since(count.first?).as_secs_f64().max(f64::EPSILON);
        let computing = (100.0 * count.busy.as_secs_f64() / all).min(100.0);
        Some(format!(
            "{} images in {} batches, {:.0} a second; computing {computing:.0} % of the time, waiting for photos {:.0} %\n",
            count.images,
            count.batches,
            count.images as f64 / all,
            100.0 - computing
        ))
    }
}
