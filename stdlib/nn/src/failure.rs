//! Why a device did not compute.
//!
//! CubeCL allocates on a thread of its own, which panics where the memory is exhausted; who waits for the
//! result then gets an error that does not say why, or panics too. So such panics are counted here, and not
//! printed.

use std::fmt::Display;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// What panics say where memory is exhausted: `IoError::BufferTooBig`, and whatever wants the buffer that is not there.
const EXHAUSTION: [&str; 2] = ["can't allocate buffer", "couldn't find resource for that handle"];
/// What is said of a thread that panicked, and told why, by all who wait for it.
const CONSEQUENCE: &str = "CallError";

/// How often a device's memory was exhausted in this process.
static EXHAUSTED: AtomicU64 = AtomicU64::new(0);

/// Why a device did not compute.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceFailure {
    /// What was asked for did not fit.
    #[error("the device's memory is too small for it")]
    OutOfMemory,
    /// Anything else, in the driver's words.
    #[error("the device failed: {0}")]
    Other(String),
}

/// A moment before work on a device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) fn now() -> Self {
        static FIRST: Once = Once::new();
        FIRST.call_once(|| {
            let print = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                let text = info.payload_as_str().unwrap_or_default();
                if EXHAUSTION.iter().any(|words| text.contains(words)) {
                    EXHAUSTED.fetch_add(1, Ordering::SeqCst);
                } else if !text.contains(CONSEQUENCE) {
                    print(info);
                }
            }));
        });
        Self(EXHAUSTED.load(Ordering::SeqCst))
    }

    /// Refuses work since then of which something did not fit: kernels that lack memory are left out, and
    /// what is read may look whole.
    pub(crate) fn check(self) -> Result<(), DeviceFailure> {
        if EXHAUSTED.load(Ordering::SeqCst) > self.0 { Err(DeviceFailure::OutOfMemory) } else { Ok(()) }
    }

    /// Does work that may panic in this thread where something did not fit.
    pub(crate) fn guard<T>(self, work: impl FnOnce() -> Result<T, DeviceFailure>) -> Result<T, DeviceFailure> {
        panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
            self.check()?;
            panic::resume_unwind(payload)
        })
    }

    /// The numbers of a tensor, row-major, once all work on it is done.
    pub(crate) fn read<B: Backend, const D: usize>(self, tensor: Tensor<B, D>) -> Result<Vec<f32>, DeviceFailure> {
        let data = tensor.try_into_data().map_err(|error| self.failure(&error))?;
        self.check()?;
        Ok(data.convert::<f32>().into_vec().unwrap_or_default())
    }

    /// Why work since then failed, from what Burn tells of it.
    pub(crate) fn failure(self, error: &impl Display) -> DeviceFailure {
        if EXHAUSTED.load(Ordering::SeqCst) > self.0 {
            return DeviceFailure::OutOfMemory;
        }
        let lines: Vec<String> = error.to_string().lines().map(|line| line.trim().to_owned()).collect();
        DeviceFailure::Other(lines.join(" "))
    }
}

#[cfg(all(test, feature = "wgpu"))]
mod tests {
    use burn::backend::Wgpu;
    use burn::tensor::Tensor;

    use super::{DeviceFailure, Moment};
    use crate::ComputeDevice;

    #[test]
    fn memory_that_is_too_small_is_known_as_such() {
        let Ok(ComputeDevice::Wgpu(adapter)) = ComputeDevice::wgpu(0) else {
            return eprintln!("SKIPPED: no GPU is known to Vulkan or Metal");
        };
        let moment = Moment::now();
        // 4 TiB.
        let tensor = Tensor::<Wgpu, 2>::zeros([1 << 20, 1 << 20], &adapter.device());
        let failure = tensor.try_into_data().map(drop).map_err(|error| moment.failure(&error));
        assert_eq!(failure, Err(DeviceFailure::OutOfMemory));
        let small = Tensor::<Wgpu, 1>::ones([3], &adapter.device());
        assert_eq!(small.into_data().into_vec::<f32>().unwrap(), [1.0; 3], "it goes on afterwards");
        assert_eq!(Moment::now().failure(&"lost"), DeviceFailure::Other("lost".to_owned()));
    }
}
