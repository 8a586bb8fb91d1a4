//! A frozen network that turns images into features.

use std::fmt;
use std::sync::Arc;

#[cfg(feature = "wgpu")]
use burn::backend::Wgpu;
use burn::backend::cuda::CudaDevice;
use burn::backend::{Cuda, Flex};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, bf16, f16};

use pipe_gpu::Products;
use pipe_network::{Network, Weights};

use crate::forward::Forward;
use crate::operations::Operations;
use crate::{ComputeDevice, PixelScale, Precision};

/// The bytes of maps that are alive at once, for each byte of the largest pair of neighbours.
const ALIVE: u64 = 4;
/// Images in a batch at most; more make no GPU faster.
const LARGEST: usize = 256;
/// Where nothing is known of the memory.
const USUAL: usize = 32;

/// A frozen network on a device. Clones share it.
///
/// Behind a trait object, so that Burn is compiled into this crate alone.
#[derive(Clone)]
pub struct Backbone(Arc<dyn Frozen>);

trait Frozen: Send + Sync {
    fn features(&self, images: Vec<f32>, shape: [usize; 4]) -> Vec<f32>;
    fn features_of_pixels(&self, pixels: &[u8], shape: [usize; 3], scale: &PixelScale) -> Vec<f32>;
    fn logits(&self, images: Vec<f32>, shape: [usize; 4]) -> (Vec<f32>, Option<Vec<f32>>);
}

impl<B: Operations> Frozen for Forward<B> {
    fn features(&self, images: Vec<f32>, shape: [usize; 4]) -> Vec<f32> {
        self.features(self.images(images, shape))
    }

    fn features_of_pixels(&self, pixels: &[u8], shape: [usize; 3], scale: &PixelScale) -> Vec<f32> {
        self.features(self.images_of_pixels(pixels, shape, scale))
    }

    fn logits(&self, images: Vec<f32>, shape: [usize; 4]) -> (Vec<f32>, Option<Vec<f32>>) {
        self.logits(self.images(images, shape))
    }
}

impl Backbone {
    /// Puts a network with its weights on a device. The CPU computes in `f32` alone.
    pub fn new(network: &Network, weights: &Weights, device: ComputeDevice, precision: Precision) -> Self {
        let products = precision.products();
        match device {
            ComputeDevice::Cpu => Self::on::<Flex>(network, weights, &Default::default(), products),
            ComputeDevice::Cuda(number) => {
                let device = CudaDevice::new(number);
                match precision {
                    Precision::F32 | Precision::Tf32 => Self::on::<Cuda>(network, weights, &device, products),
                    Precision::F16 => Self::on::<Cuda<f16>>(network, weights, &device, products),
                    Precision::Bf16 => Self::on::<Cuda<bf16>>(network, weights, &device, products),
                }
            }
            #[cfg(feature = "wgpu")]
            ComputeDevice::Wgpu(adapter) => {
                let device = adapter.device();
                match precision {
                    Precision::F32 | Precision::Tf32 => Self::on::<Wgpu>(network, weights, &device, products),
                    Precision::F16 => Self::on::<Wgpu<f16>>(network, weights, &device, products),
                    Precision::Bf16 => Self::on::<Wgpu<bf16>>(network, weights, &device, products),
                }
            }
        }
    }

    fn on<B: Operations>(network: &Network, weights: &Weights, device: &B::Device, products: Products) -> Self {
        Self(Arc::new(Forward::<B>::new(network, weights, device, products)))
    }

    /// The features of `count` images, `[count, features]` row-major.
    ///
    /// `images` is `[count, 3, height, width]` row-major, normalised as the weights want it.
    pub fn features(&self, images: Vec<f32>, count: usize, height: usize, width: usize) -> Vec<f32> {
        self.0.features(images, [count, 3, height, width])
    }

    /// The features of `count` images as they are: `pixels` is `[count, height, width, 3]` row-major, and
    /// is normalised on the device.
    pub fn features_of_pixels(
        &self,
        pixels: &[u8],
        [count, height, width]: [usize; 3],
        scale: &PixelScale,
    ) -> Vec<f32> {
        self.0.features_of_pixels(pixels, [count, height, width], scale)
    }

    /// Features as [`Backbone::features`], and logits `[count, classes]` where the weights have a
    /// classifier.
    pub fn logits(&self, images: Vec<f32>, count: usize, height: usize, width: usize) -> (Vec<f32>, Option<Vec<f32>>) {
        self.0.logits(images, [count, 3, height, width])
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
    let layers = network.layers(height, width).unwrap_or_default();
    let numbers = |map: [usize; 3]| map.iter().product::<usize>() as u64;
    let image = numbers([3, height, width]);
    let maps: Vec<u64> = [image].into_iter().chain(layers.iter().map(|layer| numbers(layer.output))).collect();
    let largest = maps.windows(2).map(|pair| pair[0] + pair[1]).max().unwrap_or(image);
    let each = 4 * ALIVE * largest;
    // Half of the memory: others use it too, and the weights lie there.
    let fits = (memory / 2 / together.max(1) as u64 / each).clamp(1, LARGEST as u64);
    1 << fits.ilog2()
}

impl fmt::Debug for Backbone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Backbone")
    }
}
