//! MobileNetV2 (Sandler et al. 2018) and MobileNetV3 (Howard et al. 2019).

use crate::block::{Activation, Block, Conv, Linear, SqueezeExcite};
use crate::efficientnet::divisible;
use crate::network::{CLASSES, Classifier, Network};
use crate::trunk::Trunk;

/// The first table 2: expansion t, channels c, repeats n, stride s.
const V2: [(usize, usize, usize, usize); 7] =
    [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)];

/// MobileNetV2.
pub(crate) fn v2() -> Network {
    const EPSILON: f32 = 1e-5;
    let normed = |name: String, norm: String, inputs, outputs, kernel| {
        Conv::new(name, inputs, outputs, kernel).norm(norm, EPSILON).activation(Activation::Relu6)
    };
    let mut trunk = Trunk::default();
    trunk.push(Block::Conv(normed("features.0.0".into(), "features.0.1".into(), 3, 32, 3).stride(2)));
    let mut channels = 32;
    let mut place = 1;
    for (expansion, outputs, repeats, first_stride) in V2 {
        for repeat in 0..repeats {
            let stride = if repeat == 0 { first_stride } else { 1 };
            let wide = channels * expansion;
            let mut body = Vec::new();
            let step = |at: usize, part: usize| format!("features.{place}.conv.{at}.{part}");
            if expansion > 1 {
                body.push(Block::Conv(normed(step(0, 0), step(0, 1), channels, wide, 1)));
            }
            let at = body.len();
            body.push(Block::Conv(normed(step(at, 0), step(at, 1), wide, wide, 3).stride(stride).depthwise()));
            let [name, norm] = [at + 1, at + 2].map(|at| format!("features.{place}.conv.{at}"));
            body.push(Block::Conv(Conv::new(name, wide, outputs, 1).norm(norm, EPSILON)));
            trunk.join(body, stride == 1 && channels == outputs);
            channels = outputs;
            place += 1;
        }
    }
    trunk.push(Block::Conv(normed("features.18.0".into(), "features.18.1".into(), channels, 1280, 1)));
    let classifier =
        Linear { name: "classifier.1".into(), inputs: 1280, outputs: CLASSES, activation: Activation::Identity };
    Network {
        name: "mobilenet_v2".into(),
        input_size: 224,
        trunk: trunk.blocks,
        units: trunk.units,
        head: vec![Block::Mean],
        features: 1280,
        classifier: Classifier::Linear(classifier),
    }
}

const RE: Activation = Activation::Relu;
const HS: Activation = Activation::HardSwish;

/// A row of V3's tables: kernel, expanded channels, channels out, whether squeezed, activation, stride.
type Row = (usize, usize, usize, bool, Activation, usize);

/// Table 1.
const V3_LARGE: [Row; 15] = [
    (3, 16, 16, false, RE, 1),
    (3, 64, 24, false, RE, 2),
    (3, 72, 24, false, RE, 1),
    (5, 72, 40, true, RE, 2),
    (5, 120, 40, true, RE, 1),
    (5, 120, 40, true, RE, 1),
    (3, 240, 80, false, HS, 2),
    (3, 200, 80, false, HS, 1),
    (3, 184, 80, false, HS, 1),
    (3, 184, 80, false, HS, 1),
    (3, 480, 112, true, HS, 1),
    (3, 672, 112, true, HS, 1),
    (5, 672, 160, true, HS, 2),
    (5, 960, 160, true, HS, 1),
    (5, 960, 160, true, HS, 1),
];

/// Table 2.
const V3_SMALL: [Row; 11] = [
    (3, 16, 16, true, RE, 2),
    (3, 72, 24, false, RE, 2),
    (3, 88, 24, false, RE, 1),
    (5, 96, 40, true, HS, 2),
    (5, 240, 40, true, HS, 1),
    (5, 240, 40, true, HS, 1),
    (5, 120, 48, true, HS, 1),
    (5, 144, 48, true, HS, 1),
    (5, 288, 96, true, HS, 2),
    (5, 576, 96, true, HS, 1),
    (5, 576, 96, true, HS, 1),
];

/// MobileNetV3-Large.
pub(crate) fn v3_large() -> Network {
    v3("mobilenet_v3_large", &V3_LARGE, 1280)
}

/// MobileNetV3-Small.
pub(crate) fn v3_small() -> Network {
    v3("mobilenet_v3_small", &V3_SMALL, 1024)
}

fn v3(name: &str, rows: &[Row], features: usize) -> Network {
    const EPSILON: f32 = 1e-3;
    let normed = |name: String, inputs, outputs, kernel, activation| {
        let norm = format!("{name}.1");
        Conv::new(format!("{name}.0"), inputs, outputs, kernel).norm(norm, EPSILON).activation(activation)
    };
    let mut channels = 16;
    let mut trunk = Trunk::default();
    trunk.push(Block::Conv(normed("features.0".into(), 3, channels, 3, HS).stride(2)));
    for (row, &(kernel, wide, outputs, is_squeezed, activation, stride)) in rows.iter().enumerate() {
        let step = |at: usize| format!("features.{}.block.{at}", row + 1);
        let mut body = Vec::new();
        if wide != channels {
            body.push(Block::Conv(normed(step(0), channels, wide, 1, activation)));
        }
        let depthwise = normed(step(body.len()), wide, wide, kernel, activation);
        body.push(Block::Conv(depthwise.stride(stride).depthwise()));
        if is_squeezed {
            body.push(Block::SqueezeExcite(SqueezeExcite {
                name: step(body.len()),
                channels: wide,
                squeezed: divisible((wide / 4) as f64),
                activation: RE,
                gate: Activation::HardSigmoid,
            }));
        }
        body.push(Block::Conv(normed(step(body.len()), wide, outputs, 1, Activation::Identity)));
        trunk.join(body, stride == 1 && channels == outputs);
        channels = outputs;
    }
    let last = 6 * channels;
    trunk.push(Block::Conv(normed(format!("features.{}", rows.len() + 1), channels, last, 1, HS)));
    let linear = |name: &str, inputs, outputs, activation| Linear { name: name.into(), inputs, outputs, activation };
    Network {
        name: name.to_owned(),
        input_size: 224,
        trunk: trunk.blocks,
        units: trunk.units,
        head: vec![Block::Mean, Block::Linear(linear("classifier.0", last, features, HS))],
        features,
        classifier: Classifier::Linear(linear("classifier.3", features, CLASSES, Activation::Identity)),
    }
}
