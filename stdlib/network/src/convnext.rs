//! ConvNeXt (Liu et al. 2022).

use crate::block::{Activation, Block, Conv, LayerNorm, Linear, Residual};
use crate::network::{CLASSES, Classifier, Network};
use crate::trunk::Trunk;

const EPSILON: f32 = 1e-6;
/// Channels and repeats of ConvNeXt-T.
const TINY: [(usize, usize); 4] = [(96, 3), (192, 3), (384, 9), (768, 3)];

/// ConvNeXt-T.
pub(crate) fn tiny() -> Network {
    let norm = |name: String, channels| Block::LayerNorm(LayerNorm { name, channels, epsilon: EPSILON });
    let linear = |name: String, inputs, outputs, activation| Linear { name, inputs, outputs, activation };
    // A convolution of windows side by side.
    let patches = |name: String, inputs, outputs, side| {
        Block::Conv(Conv::new(name, inputs, outputs, side).stride(side).padding(0))
    };
    let mut trunk = Trunk::default();
    let mut channels = 3;
    for (stage, (outputs, repeats)) in TINY.into_iter().enumerate() {
        let place = 2 * stage;
        if stage == 0 {
            let stem = patches("features.0.0".into(), channels, outputs, 4);
            trunk.unit(vec![stem, norm("features.0.1".into(), outputs)]);
        } else {
            let narrower = patches(format!("features.{place}.1"), channels, outputs, 2);
            trunk.unit(vec![norm(format!("features.{place}.0"), channels), narrower]);
        }
        channels = outputs;
        for repeat in 0..repeats {
            let name = |part: &str| format!("features.{}.{repeat}.{part}", place + 1);
            let wide = 4 * channels;
            trunk.push(Block::Residual(Residual {
                body: vec![
                    Block::Conv(Conv::new(name("block.0"), channels, channels, 7).depthwise()),
                    norm(name("block.2"), channels),
                    Block::Linear(linear(name("block.3"), channels, wide, Activation::Gelu)),
                    Block::Linear(linear(name("block.5"), wide, channels, Activation::Identity)),
                ],
                shortcut: Vec::new(),
                scale: Some(name("layer_scale")),
                activation: Activation::Identity,
            }));
        }
    }
    Network {
        name: "convnext_tiny".into(),
        input_size: 224,
        trunk: trunk.blocks,
        units: trunk.units,
        head: vec![Block::Mean, norm("classifier.0".into(), channels)],
        features: channels,
        classifier: Classifier::Linear(linear("classifier.2".into(), channels, CLASSES, Activation::Identity)),
    }
}
