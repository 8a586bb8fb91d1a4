//! A model as an artifact: all that is needed to use it, in one document.

use std::collections::BTreeMap;

use pipe_core::{Document, Failure, Inputs, Job, Meta};
use pipe_network::{Network, network};
use pipe_nn::Head;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize};
use serde_json::{Value, json};

use crate::features::Pool;

/// Writes a trained head, with how its features are made, as a model.
pub(super) fn write(
    head: &Head,
    classes: &[String],
    features: &Meta,
    training: Value,
    job: &Job<'_>,
) -> Result<Document, Failure> {
    let bytes = |numbers: &[f32]| -> Vec<u8> { numbers.iter().flat_map(|number| number.to_le_bytes()).collect() };
    let (weight, bias) = (bytes(&head.weight), bytes(&head.bias));
    let failed = |error: safetensors::SafeTensorError| {
        Failure::new("pipe::internal", format!("cannot write the weights: {error}"))
    };
    let view = |shape: Vec<usize>, data| TensorView::new(Dtype::F32, shape, data).map_err(failed);
    let tensors =
        [("weight", view(vec![head.outputs(), head.features], &weight)?), ("bias", view(vec![head.outputs()], &bias)?)];
    let mut parts = BTreeMap::new();
    parts.insert("head".to_owned(), job.store.put(&serialize(tensors, None).map_err(failed)?)?);
    // The weights that the features were made with.
    parts.extend(features.parts.clone());
    let meta = &features.json;
    let activation = if head.classes == 2 { "sigmoid" } else { "softmax" };
    let json = json!({
        "type": "classifier",
        "classes": classes,
        "image": meta["image"],
        "backbone": meta["backbone"],
        "head": { "features": head.features, "outputs": head.outputs(), "activation": activation },
        "layers": layers(head, meta),
        "parameters": parameters(head, meta),
        "training": training,
    });
    Ok(Document { json, parts })
}

/// Reads the head of the model at an input back, with its classes.
pub(crate) fn read_head(inputs: &Inputs<'_>, input: &str) -> Result<(Head, Vec<String>), Failure> {
    let broken = || Failure::new("pipe::data", "the model has no readable head").help("train it again");
    let model = inputs.document(input)?;
    let bytes = inputs.part(input, "head")?.ok_or_else(broken)?;
    let file = SafeTensors::deserialize(&bytes).map_err(|_| broken())?;
    let tensor = |name: &str| file.tensor(name).map_err(|_| broken());
    let numbers = |name: &str| -> Result<Vec<f32>, Failure> {
        Ok(crate::features::decode_features(tensor(name)?.data()).collect())
    };
    let classes: Vec<String> = serde_json::from_value(model.json["classes"].clone()).map_err(|_| broken())?;
    let features = *tensor("weight")?.shape().get(1).ok_or_else(broken)?;
    Ok((Head { classes: classes.len(), features, weight: numbers("weight")?, bias: numbers("bias")? }, classes))
}

fn layers(head: &Head, meta: &Value) -> Vec<Value> {
    let backbone = backbone(meta).and_then(|network| {
        let side = meta["image"]["size"].as_u64().map_or(network.input_size, |size| size as usize);
        network.layers(side, side)
    });
    let rows = backbone.unwrap_or_default().into_iter().map(|layer| {
        json!({
            "layer": layer.name, "kind": layer.kind, "output": layer.output,
            "parameters": layer.parameters, "multiply_adds": layer.multiply_adds,
        })
    });
    let own = json!({
        "layer": "head", "kind": "linear", "output": [head.outputs(), 1, 1],
        "parameters": own(head), "multiply_adds": head.weight.len(),
    });
    rows.chain([own]).collect()
}

fn parameters(head: &Head, meta: &Value) -> Value {
    let backbone = backbone(meta).map_or(0, |network| network.parameters());
    json!({ "backbone": backbone, "head": own(head), "total": backbone + own(head) })
}

fn own(head: &Head) -> usize {
    head.weight.len() + head.bias.len()
}

fn backbone(meta: &Value) -> Option<Network> {
    let pool: Pool = serde_json::from_value(meta["backbone"]["pool"].clone()).unwrap_or_default();
    Some(network(meta["backbone"]["model"].as_str()?)?.pooled(pool.of_network()))
}
