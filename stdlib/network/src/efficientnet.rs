//! EfficientNet (Tan and Le 2019) and EfficientNetV2 (Tan and Le 2021).

use crate::block::{Activation, Block, Conv, Linear, SqueezeExcite};
use crate::network::{CLASSES, Classifier, Network};
use crate::trunk::Trunk;

const ACTIVATION: Activation = Activation::Silu;

/// The first table 1: expansion, kernel, stride, channels, repeats, of B0.
const B0: [(usize, usize, usize, usize, usize); 7] = [
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
];

/// B0 to B7: factors for the width and the depth, and the side of the images.
const FACTORS: [(f64, f64, usize); 8] = [
    (1.0, 1.0, 224),
    (1.0, 1.1, 240),
    (1.1, 1.2, 260),
    (1.2, 1.4, 300),
    (1.4, 1.8, 380),
    (1.6, 2.2, 456),
    (1.8, 2.6, 528),
    (2.0, 3.1, 600),
];

/// EfficientNet-B0 to B7.
pub(crate) fn b(number: usize) -> Option<Network> {
    let &(width, depth, input_size) = FACTORS.get(number)?;
    // torchvision trains the larger ones with TensorFlow's.
    let builder = Builder { epsilon: if number >= 5 { 1e-3 } else { 1e-5 } };
    let wide = |channels: usize| divisible(channels as f64 * width);
    let mut channels = wide(32);
    let mut trunk = Trunk::default();
    trunk.push(builder.conv("features.0", (3, channels), 3, 2));
    for (stage, (expansion, kernel, first_stride, outputs, repeats)) in B0.into_iter().enumerate() {
        for repeat in 0..(repeats as f64 * depth).ceil() as usize {
            let stride = if repeat == 0 { first_stride } else { 1 };
            let name = format!("features.{}.{repeat}", stage + 1);
            builder.mobile(&mut trunk, &name, (channels, wide(outputs)), expansion, kernel, stride);
            channels = wide(outputs);
        }
    }
    Some(builder.network(&format!("efficientnet_b{number}"), input_size, B0.len(), trunk, (channels, 4 * channels)))
}

/// A stage of V2-S, the second paper's table 4: whether fused, expansion, stride, channels, repeats.
const V2_S: [(bool, usize, usize, usize, usize); 6] = [
    (true, 1, 1, 24, 2),
    (true, 4, 2, 48, 4),
    (true, 4, 2, 64, 4),
    (false, 4, 2, 128, 6),
    (false, 6, 1, 160, 9),
    (false, 6, 2, 256, 15),
];

/// EfficientNetV2-S.
pub(crate) fn v2_s() -> Network {
    let builder = Builder { epsilon: 1e-3 };
    let mut channels = 24;
    let mut trunk = Trunk::default();
    trunk.push(builder.conv("features.0", (3, channels), 3, 2));
    for (stage, (is_fused, expansion, first_stride, outputs, repeats)) in V2_S.into_iter().enumerate() {
        for repeat in 0..repeats {
            let stride = if repeat == 0 { first_stride } else { 1 };
            let name = format!("features.{}.{repeat}", stage + 1);
            if is_fused {
                builder.fused(&mut trunk, &name, (channels, outputs), expansion, stride);
            } else {
                builder.mobile(&mut trunk, &name, (channels, outputs), expansion, 3, stride);
            }
            channels = outputs;
        }
    }
    builder.network("efficientnet_v2_s", 384, V2_S.len(), trunk, (channels, 1280))
}

/// Channels are multiples of 8, and no more than a tenth below what they should be.
pub(crate) fn divisible(channels: f64) -> usize {
    let rounded = (((channels + 4.0) / 8.0) as usize * 8).max(8);
    if (rounded as f64) < 0.9 * channels { rounded + 8 } else { rounded }
}

struct Builder {
    epsilon: f32,
}

impl Builder {
    /// A convolution `.0`, its norm `.1`, the activation.
    fn conv(&self, name: &str, (inputs, outputs): (usize, usize), kernel: usize, stride: usize) -> Block {
        let conv = Conv::new(format!("{name}.0"), inputs, outputs, kernel).stride(stride);
        Block::Conv(conv.norm(format!("{name}.1"), self.epsilon).activation(ACTIVATION))
    }

    /// The convolution that ends a block: 1x1, no activation.
    fn project(&self, name: &str, inputs: usize, outputs: usize) -> Block {
        Block::Conv(Conv::new(format!("{name}.0"), inputs, outputs, 1).norm(format!("{name}.1"), self.epsilon))
    }

    /// A mobile inverted bottleneck: expand, depthwise, squeeze-excite, project.
    fn mobile(
        &self,
        trunk: &mut Trunk,
        name: &str,
        (inputs, outputs): (usize, usize),
        expansion: usize,
        kernel: usize,
        stride: usize,
    ) {
        let wide = divisible((inputs * expansion) as f64);
        let mut body = Vec::new();
        let step = |place: usize| format!("{name}.block.{place}");
        if expansion > 1 {
            body.push(self.conv(&step(0), (inputs, wide), 1, 1));
        }
        let place = step(body.len());
        let depthwise = Conv::new(format!("{place}.0"), wide, wide, kernel).stride(stride).depthwise();
        body.push(Block::Conv(depthwise.norm(format!("{place}.1"), self.epsilon).activation(ACTIVATION)));
        body.push(Block::SqueezeExcite(SqueezeExcite {
            name: step(body.len()),
            channels: wide,
            // A quarter of what enters the block, not of what is inside it.
            squeezed: (inputs / 4).max(1),
            activation: ACTIVATION,
            gate: Activation::Sigmoid,
        }));
        body.push(self.project(&step(body.len()), wide, outputs));
        trunk.join(body, stride == 1 && inputs == outputs);
    }

    /// A bottleneck whose first two convolutions are one of 3x3.
    fn fused(&self, trunk: &mut Trunk, name: &str, (inputs, outputs): (usize, usize), expansion: usize, stride: usize) {
        let wide = if expansion > 1 { divisible((inputs * expansion) as f64) } else { outputs };
        let mut body = vec![self.conv(&format!("{name}.block.0"), (inputs, wide), 3, stride)];
        if expansion > 1 {
            body.push(self.project(&format!("{name}.block.1"), wide, outputs));
        }
        trunk.join(body, stride == 1 && inputs == outputs);
    }

    /// The whole, once its stages are there: the last convolution comes behind them.
    fn network(
        &self,
        name: &str,
        input_size: usize,
        stages: usize,
        mut trunk: Trunk,
        channels: (usize, usize),
    ) -> Network {
        let (_, features) = channels;
        trunk.push(self.conv(&format!("features.{}", stages + 1), channels, 1, 1));
        let classifier = Linear {
            name: "classifier.1".into(),
            inputs: features,
            outputs: CLASSES,
            activation: Activation::Identity,
        };
        Network {
            name: name.to_owned(),
            input_size,
            trunk: trunk.blocks,
            units: trunk.units,
            head: vec![Block::Mean],
            features,
            classifier: Classifier::Linear(classifier),
        }
    }
}
