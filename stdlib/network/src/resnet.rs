//! ResNet (He et al. 2015), in torchvision's version: the stride is on the 3x3 convolution.

use crate::block::{Activation, Block, Conv, Linear, MaxPool, Residual};
use crate::network::{CLASSES, Classifier, Network};
use crate::trunk::Trunk;

const EPSILON: f32 = 1e-5;

/// Blocks of two 3x3 convolutions: the paper's table 1, 18 and 34 layers.
pub(crate) fn basic(name: &str, repeats: [usize; 4]) -> Network {
    resnet(name, repeats, 1, |name, inputs, width, stride| {
        vec![
            conv(name, "1", inputs, width, 3).stride(stride).activation(Activation::Relu),
            conv(name, "2", width, width, 3),
        ]
    })
}

/// Blocks of a 3x3 convolution between two of 1x1: the paper's table 1, 50 layers and more.
pub(crate) fn bottleneck(name: &str, repeats: [usize; 4]) -> Network {
    resnet(name, repeats, 4, |name, inputs, width, stride| {
        vec![
            conv(name, "1", inputs, width, 1).activation(Activation::Relu),
            conv(name, "2", width, width, 3).stride(stride).activation(Activation::Relu),
            conv(name, "3", width, 4 * width, 1),
        ]
    })
}

/// `conv1` with `bn1`, of the block of that name.
fn conv(block: &str, number: &str, inputs: usize, outputs: usize, kernel: usize) -> Conv {
    Conv::new(format!("{block}conv{number}"), inputs, outputs, kernel).norm(format!("{block}bn{number}"), EPSILON)
}

fn resnet(
    name: &str,
    repeats: [usize; 4],
    expansion: usize,
    body: fn(&str, usize, usize, usize) -> Vec<Conv>,
) -> Network {
    let stem = conv("", "1", 3, 64, 7).stride(2).activation(Activation::Relu);
    let pool = MaxPool { kernel: 3, stride: 2, padding: 1, ceil: false };
    let mut trunk = Trunk::default();
    trunk.push(Block::Conv(stem));
    trunk.push(Block::MaxPool(pool));
    let mut channels = 64;
    for (stage, repeats) in repeats.into_iter().enumerate() {
        let width = 64 << stage;
        for repeat in 0..repeats {
            let stride = if repeat == 0 && stage > 0 { 2 } else { 1 };
            let block = format!("layer{}.{repeat}.", stage + 1);
            let outputs = expansion * width;
            let shortcut = Conv::new(format!("{block}downsample.0"), channels, outputs, 1).stride(stride);
            let shortcut = Block::Conv(shortcut.norm(format!("{block}downsample.1"), EPSILON));
            trunk.push(Block::Residual(Residual {
                body: body(&block, channels, width, stride).into_iter().map(Block::Conv).collect(),
                shortcut: if stride > 1 || channels != outputs { vec![shortcut] } else { Vec::new() },
                scale: None,
                activation: Activation::Relu,
            }));
            channels = outputs;
        }
    }
    let classifier = Linear { name: "fc".into(), inputs: channels, outputs: CLASSES, activation: Activation::Identity };
    Network {
        name: name.to_owned(),
        input_size: 224,
        trunk: trunk.blocks,
        units: trunk.units,
        head: vec![Block::Mean],
        features: channels,
        classifier: Classifier::Linear(classifier),
    }
}
