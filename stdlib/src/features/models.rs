//! What `pipe models` lists: the networks that are described, and their usual weights.

use pipe_core::{Kind, Model, ModelLayer, ModelNode, ModelWeights};
use pipe_network::{KnownWeights, LayerRow, NETWORKS, Naming, Normalization, known_weights, network};

use super::BackboneFeatures;
use crate::preprocess::PreprocessImage;

/// Every network.
pub(crate) fn models() -> Vec<Model> {
    NETWORKS.iter().filter_map(|name| model(name)).collect()
}

fn model(name: &str) -> Option<Model> {
    let network = network(name)?;
    let side = network.input_size;
    let mut layers = network.layers(side, side)?;
    layers.push(network.classifier_layer(side, side)?);
    Some(Model {
        name: network.name.clone(),
        input_size: side,
        parameters: network.parameters() + network.classifier_parameters(),
        features: network.features,
        multiply_adds: layers.iter().map(|layer| layer.multiply_adds).sum(),
        layers: layers.into_iter().map(layer).collect(),
        weights: known_weights(name).iter().map(weights).collect(),
    })
}

fn layer(row: LayerRow) -> ModelLayer {
    ModelLayer {
        layer: row.name,
        kind: row.kind,
        output: row.output,
        parameters: row.parameters,
        multiply_adds: row.multiply_adds,
    }
}

/// Weights with the params that feed them what they expect.
fn weights(known: &KnownWeights) -> ModelWeights {
    let library = match known.library {
        Naming::Torchvision => "torchvision",
        Naming::Timm => "timm",
    };
    let normalize = match known.normalization {
        Normalization::Imagenet => "imagenet".to_owned(),
        Normalization::Half => "{ mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] }".to_owned(),
    };
    let variant = if known.is_tensorflows { ", variant: tensorflow" } else { "" };
    let images = format!(
        "{{ size: {}, filter: {}, fit: cover, crop_pct: {} }}",
        known.size,
        known.filter,
        (known.crop * 1e6).round() / 1e6
    );
    let features = format!("{{ model: {}, normalize: {normalize}{variant} }}", known.network);
    ModelWeights {
        name: format!("{library} {}", known.name),
        license: known.license,
        nodes: vec![
            ModelNode { kind: PreprocessImage::NAME, with: images },
            ModelNode { kind: BackboneFeatures::NAME, with: features },
        ],
    }
}
