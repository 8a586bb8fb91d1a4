//! A frozen network that turns images into features.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::backend::Cuda;
#[cfg(feature = "wgpu")]
use burn::backend::Wgpu;
use burn::backend::cuda::CudaDevice;
use burn::tensor::DType;
use burn::tensor::backend::Backend;

use pipe_gpu::Products;
use pipe_network::{Network, Weights};

use crate::forward::Forward;
use crate::operations::Operations;
use crate::work::{Work, work};
use crate::{ComputeDevice, DeviceFailure, PixelScale, Precision};

/// The bytes of maps that are alive at once, for each byte of the largest pair of neighbours.
const ALIVE: u64 = 4;
/// The bytes that training keeps for each byte of a map: before its norm, behind it, and a gradient.
const KEPT: u64 = 3;
/// Images in a batch at most; more make no GPU faster.
const LARGEST: usize = 256;
/// Where nothing is known of the memory.
const USUAL: usize = 32;

/// A frozen network on a device. Clones share it.
///
/// Behind a trait object, so that Burn is compiled into this crate alone.
#[derive(Clone)]
pub struct Backbone(Arc<dyn Frozen>);

/// Features, and logits where there are any.
type Both = (Vec<f32>, Option<Vec<f32>>);

trait Frozen: Send + Sync {
    fn features(&self, images: Vec<f32>, shape: [usize; 4]) -> Result<Vec<f32>, DeviceFailure>;
    fn features_of_pixels(
        &self,
        pixels: &[u8],
        shape: [usize; 3],
        scale: &PixelScale,
    ) -> Result<Vec<f32>, DeviceFailure>;
    fn logits(&self, images: Vec<f32>, shape: [usize; 4]) -> Result<Both, DeviceFailure>;
    fn measure(&self, pixels: &[u8], shape: [usize; 3], times: usize) -> Result<Duration, DeviceFailure>;
}

impl<B: Operations> Frozen for Forward<B> {
    fn features(&self, images: Vec<f32>, shape: [usize; 4]) -> Result<Vec<f32>, DeviceFailure> {
        self.features(self.images(images, shape))
    }

    fn features_of_pixels(
        &self,
        pixels: &[u8],
        shape: [usize; 3],
        scale: &PixelScale,
    ) -> Result<Vec<f32>, DeviceFailure> {
        self.features(self.images_of_pixels(pixels, shape, scale))
    }

    fn logits(&self, images: Vec<f32>, shape: [usize; 4]) -> Result<Both, DeviceFailure> {
        self.logits(self.images(images, shape))
    }

    fn measure(&self, pixels: &[u8], shape: [usize; 3], times: usize) -> Result<Duration, DeviceFailure> {
        let images = self.images_of_pixels(pixels, shape, &PixelScale { mean: [0.5; 3], std: [0.25; 3] });
        // Kernels are compiled and chosen, and the images are there.
        self.features(images.clone())?;
        let began = Instant::now();
        (0..times).try_for_each(|_| self.features(images.clone()).map(drop))?;
        Ok(began.elapsed())
    }
}

impl Backbone {
    /// Puts a network with its weights on a device. The CPU computes in `f32` alone.
    pub fn new(network: &Network, weights: &Weights, device: ComputeDevice, precision: Precision) -> Self {
        let precision = device.precision(precision);
        work(Placing { network, weights, products: device.products(precision), precision }, device)
    }

    /// The features of `count` images, `[count, features]` row-major.
    ///
    /// `images` is `[count, 3, height, width]` row-major, normalised as the weights want it.
    ///
    /// # Errors
    /// When the device fails, or its memory is too small.
    pub fn features(
        &self,
        images: Vec<f32>,
        count: usize,
        height: usize,
        width: usize,
    ) -> Result<Vec<f32>, DeviceFailure> {
        self.0.features(images, [count, 3, height, width])
    }

    /// The features of `count` images as they are: `pixels` is `[count, height, width, 3]` row-major, and
    /// is normalised on the device.
    ///
    /// # Errors
    /// When the device fails, or its memory is too small.
    pub fn features_of_pixels(
        &self,
        pixels: &[u8],
        [count, height, width]: [usize; 3],
        scale: &PixelScale,
    ) -> Result<Vec<f32>, DeviceFailure> {
        self.0.features_of_pixels(pixels, [count, height, width], scale)
    }

    /// How long the features of the same pixels take so many times, once they lie on the device; each time
    /// they come back. For benchmarks.
    ///
    /// # Errors
    /// When the device fails, or its memory is too small.
    pub fn measure(&self, pixels: &[u8], shape: [usize; 3], times: usize) -> Result<Duration, DeviceFailure> {
        self.0.measure(pixels, shape, times)
    }

    /// Features as [`Backbone::features`], and logits `[count, classes]` where the weights have a
    /// classifier.
    ///
    /// # Errors
    /// When the device fails, or its memory is too small.
    pub fn logits(&self, images: Vec<f32>, count: usize, height: usize, width: usize) -> Result<Both, DeviceFailure> {
        self.0.logits(images, [count, 3, height, width])
    }
}

/// Putting a network with its weights on a device.
struct Placing<'a> {
    network: &'a Network,
    weights: &'a Weights,
    products: Products,
    precision: Precision,
}

impl Work for Placing<'_> {
    type Out = Backbone;

    fn on<B: Operations>(self, device: &B::Device) -> Backbone {
        Backbone(Arc::new(Forward::<B>::new(self.network, self.weights, device, self.products, self.precision)))
    }
}

/// Whether a device computes with such numbers.
pub fn supports(device: ComputeDevice, precision: Precision) -> bool {
    let number = match precision {
        Precision::F32 => return true,
        Precision::Tf32 => return device.has_tf32(),
        Precision::F16 => DType::F16,
        Precision::Bf16 => DType::BF16,
    };
    match device {
        ComputeDevice::Cpu => false,
        ComputeDevice::Cuda(device) => Cuda::<f32>::supports_dtype(&CudaDevice::new(device), number),
        #[cfg(feature = "wgpu")]
        ComputeDevice::Wgpu(adapter) => Wgpu::<f32>::supports_dtype(&adapter.device(), number),
    }
}

/// How many images of a size a GPU with so many bytes of memory takes at once, where so many batches
/// are under way together: a power of two.
pub fn batch_size(network: &Network, height: usize, width: usize, memory: Option<u64>, together: usize) -> usize {
    let Some(memory) = memory else { return USUAL };
    let maps = maps(network, height, width);
    let largest = maps.windows(2).map(|pair| pair[0] + pair[1]).max().unwrap_or_default();
    let each = (4 * ALIVE * largest).max(4 * columns(network, height, width)).max(1);
    // Half of the memory: others use it too, and the weights lie there.
    let fits = (memory / 2 / together.max(1) as u64 / each).clamp(1, LARGEST as u64);
    1 << fits.ilog2()
}

/// How many images of a size a GPU with so many bytes of memory takes at once in training, where every map
/// is kept until its gradient is there.
pub(crate) fn training_batch(network: &Network, height: usize, width: usize, memory: u64) -> usize {
    let all: u64 = maps(network, height, width).iter().sum();
    let each = (4 * KEPT * all + 4 * columns(network, height, width)).max(1);
    (memory / 2 / each).max(1) as usize
}

/// How many numbers each map has, the image among them.
fn maps(network: &Network, height: usize, width: usize) -> Vec<u64> {
    let layers = network.layers(height, width).unwrap_or_default();
    let numbers = |map: [usize; 3]| map.iter().product::<usize>() as u64;
    [numbers([3, height, width])].into_iter().chain(layers.iter().map(|layer| numbers(layer.output))).collect()
}

/// How many numbers the largest matrix has that a convolution is made a product with: what lies below
/// each of its places.
fn columns(network: &Network, height: usize, width: usize) -> u64 {
    let layers = network.layers(height, width).unwrap_or_default();
    layers.iter().map(|layer| layer.multiply_adds / layer.output[0].max(1) as u64).max().unwrap_or_default()
}

impl fmt::Debug for Backbone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Backbone")
    }
}
