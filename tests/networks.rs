//! Forward passes against torchvision and onnxruntime.

use crate::common::hashed::uniform;
use crate::common::{fixture, json_fixture, real_data};
use pipe_nn::{Backbone, ComputeDevice, Weights, network};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize};

fn tensor(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let view = file.tensor(name).unwrap();
    view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// The rule of `tests/reference/networks.py`.
fn values(full_name: &str, shape: &[usize]) -> Vec<f32> {
    let uniform = uniform(full_name, shape.iter().product());
    let kind = full_name.rsplit('.').next().unwrap();
    let rule = |u: f64| match (kind, shape) {
        ("weight", [_, inputs, h, w]) => (2.0 * u - 1.0) * (0.95 * (6.0 / (inputs * h * w) as f64).sqrt()),
        ("weight", [_, inputs]) => (2.0 * u - 1.0) * (3.0 / *inputs as f64).sqrt(),
        ("weight" | "running_var", _) => 0.5 + u,
        ("running_mean", _) => u - 0.5,
        _ => 0.2 * (u - 0.5),
    };
    uniform.into_iter().map(|u| rule(u) as f32).collect()
}

/// Equal within 1e-4 of the largest value.
fn close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let worst = found.iter().zip(expected).fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
    assert!(worst <= 1e-4 * largest, "{what}: off by {worst}, largest {largest}");
}

/// A state dict with the names and shapes that torchvision wrote, BatchNorm statistics and all.
fn check(name: &str) {
    let described = json_fixture("networks.json");
    let numbers = fixture("networks.safetensors");
    let expected = SafeTensors::deserialize(&numbers).unwrap();
    let network = network(name).unwrap();
    let spec = &described["networks"][name];
    let total = network.parameters() + network.classifier_parameters();
    assert_eq!(total as u64, spec["parameters"].as_u64().unwrap());
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = spec["tensors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tensor| {
            let tensor_name = tensor["name"].as_str().unwrap().to_owned();
            let shape: Vec<usize> = serde_json::from_value(tensor["shape"].clone()).unwrap();
            let bytes = values(&format!("{name}/{tensor_name}"), &shape).iter().flat_map(|x| x.to_le_bytes()).collect();
            (tensor_name, shape, bytes)
        })
        .collect();
    let views =
        tensors.iter().map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    let file = serialize(views, None).unwrap();
    let weights = Weights::from_safetensors(&file, &network).unwrap();
    let backbone = Backbone::new(&network, &weights, ComputeDevice::Cpu);
    for (suffix, input, [count, height, width]) in [("", "input", [2, 224, 224]), ("_odd", "input_odd", [1, 97, 131])] {
        let images = uniform(input, count * 3 * height * width).into_iter().map(|u| (4.0 * u - 2.0) as f32).collect();
        let (features, logits) = backbone.logits(images, count, height, width);
        close(&features, &tensor(&expected, &format!("{name}/features{suffix}")), &format!("{name} features{suffix}"));
        close(
            &logits.unwrap(),
            &tensor(&expected, &format!("{name}/logits{suffix}")),
            &format!("{name} logits{suffix}"),
        );
    }
}

#[test]
fn efficientnet_b0_equals_torchvision() {
    check("efficientnet_b0");
}

#[test]
fn mobilenet_v2_equals_torchvision() {
    check("mobilenet_v2");
}

#[test]
fn squeezenet1_1_equals_torchvision() {
    check("squeezenet1_1");
}

#[test]
fn real_weights_give_the_golden_vectors() {
    let Some(data) = real_data() else { return };
    let golden = std::fs::read(data.join("weights/vectors/golden.safetensors")).unwrap();
    let golden = SafeTensors::deserialize(&golden).unwrap();
    for (name, file, has_logits) in [
        ("mobilenet_v2", "mobilenet_v2_imagenet_features.safetensors", false),
        ("squeezenet1_1", "squeezenet1_1_imagenet.safetensors", true),
    ] {
        let network = network(name).unwrap();
        let bytes = std::fs::read(data.join("weights").join(file)).unwrap();
        let weights = Weights::from_safetensors(&bytes, &network).unwrap();
        let backbone = Backbone::new(&network, &weights, ComputeDevice::Cpu);
        let (features, logits) = backbone.logits(tensor(&golden, "input"), 3, 224, 224);
        close(&features, &tensor(&golden, &format!("{name}_features")), name);
        assert_eq!(logits.is_some(), has_logits);
        if let Some(logits) = logits {
            close(&logits, &tensor(&golden, &format!("{name}_logits")), name);
        }
    }
}

#[test]
fn features_do_not_depend_on_the_neighbours() {
    let network = network("squeezenet1_1").unwrap();
    let weights = Weights::random(&network, 3);
    let backbone = Backbone::new(&network, &weights, ComputeDevice::Cpu);
    let images: Vec<f32> = uniform("neighbours", 3 * 3 * 64 * 64).into_iter().map(|u| u as f32).collect();
    let together = backbone.features(images.clone(), 3, 64, 64);
    let alone: Vec<f32> =
        images.chunks_exact(3 * 64 * 64).flat_map(|image| backbone.features(image.to_vec(), 1, 64, 64)).collect();
    assert_eq!(together, alone);
}

/// A whole state dict as `tests/reference/torchvision_state_dict.py` writes it, counters and all:
/// too large to be committed, so `PIPE_TEST_STATE_DICT` names the folder that it was written to.
#[test]
fn a_state_dict_that_torchvision_wrote() {
    let Some(folder) = std::env::var_os("PIPE_TEST_STATE_DICT").map(std::path::PathBuf::from) else {
        eprintln!("SKIPPED: PIPE_TEST_STATE_DICT names no folder");
        return;
    };
    let golden = std::fs::read(folder.join("golden.safetensors")).unwrap();
    let golden = SafeTensors::deserialize(&golden).unwrap();
    let network = network("efficientnet_b0").unwrap();
    let file = std::fs::read(folder.join("efficientnet_b0.safetensors")).unwrap();
    let weights = Weights::from_safetensors(&file, &network).unwrap();
    let backbone = Backbone::new(&network, &weights, ComputeDevice::Cpu);
    let (features, logits) = backbone.logits(tensor(&golden, "input"), 2, 224, 224);
    close(&features, &tensor(&golden, "features"), "features");
    close(&logits.unwrap(), &tensor(&golden, "logits"), "logits");
}
