//! The tables of the papers, with torchvision's names.

use crate::network::{Activation, Block, Classifier, Conv, Network, Norm, SqueezeExcite};

/// The networks that are described here.
pub const NETWORKS: &[&str] = &["efficientnet_b0", "mobilenet_v2", "squeezenet1_1"];

/// PyTorch's default, which torchvision trains these networks with.
const EPSILON: f32 = 1e-5;
/// ImageNet's.
const CLASSES: usize = 1000;

/// The network of that name.
pub fn network(name: &str) -> Option<Network> {
    match name {
        "efficientnet_b0" => Some(efficientnet_b0()),
        "mobilenet_v2" => Some(mobilenet_v2()),
        "squeezenet1_1" => Some(squeezenet1_1()),
        _ => None,
    }
}

/// Sandler et al. 2018, table 2: expansion t, channels c, repeats n, stride s.
const MOBILENET_V2: [(usize, usize, usize, usize); 7] =
    [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)];

fn mobilenet_v2() -> Network {
    let mut blocks = vec![normed("features.0.0", "features.0.1", (3, 32), 3, 2, 1, Activation::Relu6)];
    let mut channels = 32;
    let mut place = 1;
    for (expansion, outputs, repeats, first_stride) in MOBILENET_V2 {
        for repeat in 0..repeats {
            let stride = if repeat == 0 { first_stride } else { 1 };
            let name = format!("features.{place}.conv");
            let wide = channels * expansion;
            let mut inner = Vec::new();
            if expansion > 1 {
                inner.push(step(&name, 0, (channels, wide), 1, 1, 1, Activation::Relu6));
            }
            inner.push(step(&name, inner.len(), (wide, wide), 3, stride, wide, Activation::Relu6));
            let last = inner.len();
            inner.push(normed(
                &format!("{name}.{last}"),
                &format!("{name}.{}", last + 1),
                (wide, outputs),
                1,
                1,
                1,
                Activation::Identity,
            ));
            join(&mut blocks, inner, stride == 1 && channels == outputs);
            channels = outputs;
            place += 1;
        }
    }
    blocks.push(normed("features.18.0", "features.18.1", (channels, 1280), 1, 1, 1, Activation::Relu6));
    let classifier = Classifier::Linear { name: "classifier.1".into(), outputs: CLASSES };
    Network { name: "mobilenet_v2", input_size: 224, features: 1280, blocks, classifier }
}

/// Tan and Le 2019, table 1: expansion, kernel, stride, channels, repeats.
const EFFICIENTNET_B0: [(usize, usize, usize, usize, usize); 7] = [
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
];

fn efficientnet_b0() -> Network {
    let mut blocks = vec![normed("features.0.0", "features.0.1", (3, 32), 3, 2, 1, Activation::Silu)];
    let mut channels = 32;
    for (stage, (expansion, kernel, first_stride, outputs, repeats)) in EFFICIENTNET_B0.into_iter().enumerate() {
        for repeat in 0..repeats {
            let stride = if repeat == 0 { first_stride } else { 1 };
            let name = format!("features.{}.{repeat}.block", stage + 1);
            let wide = channels * expansion;
            let mut inner = Vec::new();
            if expansion > 1 {
                inner.push(step(&name, 0, (channels, wide), 1, 1, 1, Activation::Silu));
            }
            inner.push(step(&name, inner.len(), (wide, wide), kernel, stride, wide, Activation::Silu));
            inner.push(Block::SqueezeExcite(SqueezeExcite {
                name: format!("{name}.{}", inner.len()),
                channels: wide,
                // A quarter of what enters the block, not of what is inside it.
                squeezed: (channels / 4).max(1),
            }));
            inner.push(step(&name, inner.len(), (wide, outputs), 1, 1, 1, Activation::Identity));
            join(&mut blocks, inner, stride == 1 && channels == outputs);
            channels = outputs;
        }
    }
    blocks.push(normed("features.8.0", "features.8.1", (channels, 1280), 1, 1, 1, Activation::Silu));
    let classifier = Classifier::Linear { name: "classifier.1".into(), outputs: CLASSES };
    Network { name: "efficientnet_b0", input_size: 224, features: 1280, blocks, classifier }
}

/// Iandola et al. 2016, in torchvision's version 1.1. A fire module: its place, channels in,
/// squeezed, and out of each of the two branches.
const SQUEEZENET1_1: [(usize, usize, usize, usize); 8] = [
    (3, 64, 16, 64),
    (4, 128, 16, 64),
    (6, 128, 32, 128),
    (7, 256, 32, 128),
    (9, 256, 48, 192),
    (10, 384, 48, 192),
    (11, 384, 64, 256),
    (12, 512, 64, 256),
];

fn squeezenet1_1() -> Network {
    let pool = || Block::MaxPool { kernel: 3, stride: 2, ceil: true };
    let mut blocks = vec![Block::Conv(biased("features.0", (3, 64), 3, 2, 0)), pool()];
    for (place, inputs, squeezed, each) in SQUEEZENET1_1 {
        // Places 5 and 8 are pools.
        if matches!(place, 6 | 9) {
            blocks.push(pool());
        }
        let name = format!("features.{place}");
        blocks.push(Block::Conv(biased(&format!("{name}.squeeze"), (inputs, squeezed), 1, 1, 0)));
        blocks.push(Block::Concat(vec![
            vec![Block::Conv(biased(&format!("{name}.expand1x1"), (squeezed, each), 1, 1, 0))],
            vec![Block::Conv(biased(&format!("{name}.expand3x3"), (squeezed, each), 3, 1, 1))],
        ]));
    }
    let classifier = Classifier::Conv(biased("classifier.1", (512, CLASSES), 1, 1, 0));
    Network { name: "squeezenet1_1", input_size: 224, features: 512, blocks, classifier }
}

/// The step at `place` of a block: a convolution `.0` and a norm `.1`.
fn step(
    name: &str,
    place: usize,
    channels: (usize, usize),
    kernel: usize,
    stride: usize,
    groups: usize,
    activation: Activation,
) -> Block {
    normed(&format!("{name}.{place}.0"), &format!("{name}.{place}.1"), channels, kernel, stride, groups, activation)
}

fn normed(
    name: &str,
    norm: &str,
    (inputs, outputs): (usize, usize),
    kernel: usize,
    stride: usize,
    groups: usize,
    activation: Activation,
) -> Block {
    Block::Conv(Conv {
        name: name.into(),
        inputs,
        outputs,
        kernel,
        stride,
        padding: kernel / 2,
        groups,
        norm: Some(Norm { name: norm.into(), epsilon: EPSILON }),
        activation,
    })
}

fn biased(name: &str, (inputs, outputs): (usize, usize), kernel: usize, stride: usize, padding: usize) -> Conv {
    let activation = Activation::Relu;
    Conv { name: name.into(), inputs, outputs, kernel, stride, padding, groups: 1, norm: None, activation }
}

fn join(blocks: &mut Vec<Block>, inner: Vec<Block>, residual: bool) {
    if residual {
        blocks.push(Block::Residual(inner));
    } else {
        blocks.extend(inner);
    }
}
