//! How long training waited for photos, and how busy its devices were.

use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use pipe_core::{Failure, Job, Looks};
use pipe_nn::ComputeDevice;

use crate::train::batches::{Batch, Batches};
use crate::watches::Watches;

/// Batches that wait for the device, at most.
const WAITING: usize = 2;

/// Goes through epochs, and measures them.
pub(super) struct Meter {
    watches: Watches,
    waiting: Duration,
    working: Duration,
    looks: Looks,
}

impl Meter {
    pub(super) fn new(devices: &[ComputeDevice]) -> Self {
        let watches = Watches::start(devices);
        Self { watches, waiting: Duration::ZERO, working: Duration::ZERO, looks: Looks::default() }
    }

    /// Goes through an epoch: one thread puts batches together, this one learns from them.
    pub(super) fn epoch(
        &mut self,
        batches: &Batches<'_>,
        epoch: usize,
        job: &Job<'_>,
        learn: &mut dyn FnMut(Batch) -> bool,
    ) -> Result<(), Failure> {
        let (send, receive) = sync_channel(WAITING);
        thread::scope(|scope| {
            let loader = scope.spawn(move || batches.each(epoch, &mut |batch| send.send(batch).is_ok()));
            let mut since = Instant::now();
            for batch in &receive {
                self.waiting += since.elapsed();
                since = Instant::now();
                let go_on = learn(batch);
                self.working += since.elapsed();
                if self.looks.is_due() {
                    job.load(self.watches.load(self.waiting_share()));
                }
                if !go_on {
                    break;
                }
                since = Instant::now();
            }
            drop(receive);
            loader
                .join()
                .unwrap_or_else(|_| Err(Failure::new("pipe::internal", "the thread that reads photos panicked")))
        })
    }

    fn seconds(&self) -> f64 {
        (self.waiting + self.working).as_secs_f64().max(f64::EPSILON)
    }

    /// The part of the time in which it waited.
    fn waiting_share(&self) -> f64 {
        self.waiting.as_secs_f64() / self.seconds()
    }

    /// In words, after so many photos.
    pub(super) fn told(&self, photos: usize) -> String {
        let (all, waiting) = (self.seconds(), 100.0 * self.waiting_share());
        format!(
            "{photos} photos in {all:.1} s, {:.0} a second; training {:.0} % of the time, waiting for photos {waiting:.0} %\n{}",
            photos as f64 / all,
            100.0 - waiting,
            self.watches.told()
        )
    }
}
