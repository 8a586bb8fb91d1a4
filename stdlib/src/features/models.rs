//! What `pipe models` lists: the networks that are described, and their published weights.

use pipe_core::{Kind, Model, ModelLayer, ModelNode, ModelWeights};
use pipe_network::{KnownWeights, LayerRow, NETWORKS, known_weights, network};

use super::BackboneFeatures;
use super::normalize::{of_known, written};
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
    let (mean, std) = of_known(known.normalization);
    let normalize = written(mean, std);
    let variant = if known.is_tensorflows { ", variant: tensorflow" } else { "" };
    let images = format!("{{ preset: {} }}", known.full_name());
    let features = format!("{{ model: {}, normalize: {normalize}{variant} }}", known.network);
    ModelWeights {
        name: known.published_as(),
        usual: known.is_usual,
        license: known.license,
        expects: format!("size: {}, filter: {}, fit: cover, crop_pct: {}", known.size, known.filter, known.crop),
        nodes: vec![
            ModelNode { kind: PreprocessImage::NAME, with: images },
            ModelNode { kind: BackboneFeatures::NAME, with: features },
        ],
    }
}
