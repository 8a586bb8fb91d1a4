//! Which kernel is the fastest is found by trying, by one thread at a time.
//!
//! Nothing else is to run on a card while its clock is read, and CubeCL's tuner gives a thread that comes meanwhile
//! the first kernel of its list, which rounds its sums otherwise.

use std::collections::{HashMap, HashSet};
use std::sync::{LazyLock, Mutex, PoisonError};

use burn::tensor::DType;
use burn::tensor::backend::{Device, DeviceId};
use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubek::matmul::launch::MatmulAutotuneKey;

use crate::Window;

/// What kernels are tried for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Trial {
    /// A product on that kind of card.
    Product { card: String, is_exact: bool, shapes: MatmulAutotuneKey },
    /// A convolution by Burn's kernels, which are tried for each card.
    Convolution {
        card: (&'static str, DeviceId),
        what: &'static str,
        shapes: [[usize; 4]; 2],
        window: Window,
        numbers: DType,
    },
}

/// Runs what tries kernels where none were tried for the same: after all others that do.
pub(crate) fn one_at_a_time<T>(trial: Trial, run: impl FnOnce() -> T) -> T {
    static TRIED: LazyLock<Mutex<HashSet<Trial>>> = LazyLock::new(Mutex::default);
    let mut tried = TRIED.lock().unwrap_or_else(PoisonError::into_inner);
    if tried.contains(&trial) {
        drop(tried);
        return run();
    }
    let out = run();
    tried.insert(trial);
    out
}

/// The card that a tensor lies on.
pub(crate) fn card<R: CubeRuntime>(of: &CubeTensor<R>) -> (&'static str, DeviceId) {
    (R::name(&of.client), of.device.to_id())
}

/// What that card is: all that CubeCL knows of it, summed up once.
pub(crate) fn kind_of_card<R: CubeRuntime>(of: &CubeTensor<R>) -> String {
    static KNOWN: LazyLock<Mutex<HashMap<(&str, DeviceId), String>>> = LazyLock::new(Mutex::default);
    let card = card(of);
    let summed_up = || format!("{}-{:016x}", card.0, of.client.properties().checksum());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.entry(card).or_insert_with(summed_up).clone()
}
