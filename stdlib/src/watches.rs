//! GPUs that are looked at while they work.

use pipe_core::Load;
use pipe_nn::{ComputeDevice, DeviceUse, Watch};

/// Looks at GPUs until it is dropped; at none where nothing tells of them.
pub(crate) struct Watches(Vec<Watch>);

impl Watches {
    pub(crate) fn start(devices: &[ComputeDevice]) -> Self {
        Self(devices.iter().copied().filter_map(Watch::start).collect())
    }

    /// How busy they are, beside the part of the time in which they had nothing to do.
    pub(crate) fn load(&self, waiting: f64) -> Load {
        let now: Vec<DeviceUse> = self.0.iter().filter_map(Watch::now).collect();
        let busy = now.iter().map(|used| used.busy).sum::<f64>() / now.len() as f64;
        Load { waiting, busy: (!now.is_empty()).then_some(busy), memory: now.iter().map(|used| used.memory).max() }
    }

    /// How busy they were, a line for each.
    pub(crate) fn told(&self) -> String {
        let line = |used: DeviceUse| {
            let (busy, gibibytes) = (100.0 * used.busy, used.memory as f64 / f64::from(1 << 30));
            format!("GPU busy {busy:.0} % of the time, {gibibytes:.1} GiB of its memory taken\n")
        };
        self.0.iter().filter_map(Watch::told).map(line).collect()
    }
}
