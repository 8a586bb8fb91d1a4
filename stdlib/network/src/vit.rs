//! The vision transformer (Dosovitskiy et al. 2020).

use crate::block::{Activation, Attention, Block, Conv, LayerNorm, Linear, Residual, Tokens};
use crate::network::{CLASSES, Classifier, Network};
use crate::trunk::Trunk;

const EPSILON: f32 = 1e-6;
/// ViT-B: layers, channels, channels of the layers between, heads.
const BASE: (usize, usize, usize, usize) = (12, 768, 3072, 12);

/// ViT-B/16 at 224 pixels.
pub(crate) fn b_16() -> Network {
    let (layers, channels, wide, heads) = BASE;
    let (input_size, patch) = (224, 16);
    let norm = |name: String| Block::LayerNorm(LayerNorm { name, channels, epsilon: EPSILON });
    let linear = |name: String, inputs, outputs, activation| Linear { name, inputs, outputs, activation };
    let mut trunk = Trunk::default();
    trunk.unit(vec![
        Block::Conv(Conv::new("conv_proj", 3, channels, patch).stride(patch).padding(0)),
        Block::Tokens(Tokens {
            class: "class_token".into(),
            positions: "encoder.pos_embedding".into(),
            channels,
            places: (input_size / patch) * (input_size / patch),
        }),
    ]);
    for layer in 0..layers {
        let name = |part: &str| format!("encoder.layers.encoder_layer_{layer}.{part}");
        trunk.unit(vec![
            Block::Residual(Residual::plain(vec![
                norm(name("ln_1")),
                Block::Attention(Attention { name: name("self_attention"), channels, heads }),
            ])),
            Block::Residual(Residual::plain(vec![
                norm(name("ln_2")),
                Block::Linear(linear(name("mlp.0"), channels, wide, Activation::Gelu)),
                Block::Linear(linear(name("mlp.3"), wide, channels, Activation::Identity)),
            ])),
        ]);
    }
    trunk.push(norm("encoder.ln".into()));
    Network {
        name: "vit_b_16".into(),
        input_size,
        trunk: trunk.blocks,
        units: trunk.units,
        head: vec![Block::FirstToken],
        features: channels,
        classifier: Classifier::Linear(linear("heads.head".into(), channels, CLASSES, Activation::Identity)),
    }
}
