//! Forward passes against torchvision, timm and onnxruntime: the CPU's own and Burn's.

use std::sync::Arc;

use crate::common::hashed::uniform;
use crate::common::{fixture, json_fixture, real_data};
use pipe_cpu::{Isa, Plan, Worker};
use pipe_network::{NETWORKS, Naming, Network, Pool, Variant, Weights, WeightsError, network};
use pipe_nn::{Backbone, ComputeDevice, PixelScale, Precision};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize};
use serde_json::Value;

fn tensor(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let view = file.tensor(name).unwrap_or_else(|_| panic!("no {name}"));
    view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// The rule of `tests/reference/backbones.py`.
fn values(full_name: &str, shape: &[usize], gain: f64, residual: f64) -> Vec<f32> {
    let uniform = uniform(full_name, shape.iter().product());
    let kind = full_name.rsplit(['.', '/']).next().unwrap();
    let rule = |u: f64| match (kind, shape) {
        ("weight", [_, inputs, h, w]) => (2.0 * u - 1.0) * (gain * (6.0 / (inputs * h * w) as f64).sqrt()),
        ("weight" | "in_proj_weight", [_, inputs]) => (2.0 * u - 1.0) * (3.0 / *inputs as f64).sqrt(),
        ("weight", [_]) if full_name.ends_with("bn3.weight") => (0.5 + u) * residual,
        ("weight" | "running_var" | "layer_scale" | "gamma", _) => 0.5 + u,
        ("running_mean", _) => u - 0.5,
        ("class_token" | "pos_embedding" | "cls_token" | "pos_embed", _) => 2.0 * u - 1.0,
        _ => 0.2 * (u - 0.5),
    };
    uniform.into_iter().map(|u| rule(u) as f32).collect()
}

/// Weights from a file with the names and shapes that the other library wrote.
pub(crate) fn weights(model: &str, described: &Value, network: &Network) -> (Weights, Naming) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), state_dict(model, described)).unwrap();
    Weights::read(file.path(), network).unwrap()
}

fn state_dict(model: &str, described: &Value) -> Vec<u8> {
    let number = |key: &str| described[key].as_f64().unwrap_or(1.0);
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = described["tensors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tensor| {
            let (name, shape): (String, Vec<usize>) = serde_json::from_value(tensor.clone()).unwrap();
            let numbers = values(&format!("{model}/{name}"), &shape, number("gain"), number("residual_gain"));
            (name, shape, numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
        })
        .collect();
    let views =
        tensors.iter().map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    serialize(views, None).unwrap()
}

/// Equal within 1e-4 of the largest value.
fn close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let worst = found.iter().zip(expected).fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
    assert!(worst <= 1e-4 * largest, "{what}: off by {worst}, largest {largest}");
}

/// The first columns of `[rows, whole]`, as many as the reference has.
fn columns(numbers: &[f32], rows: usize, expected: &[f32]) -> Vec<f32> {
    numbers.chunks_exact(numbers.len() / rows).flat_map(|row| row[..expected.len() / rows].to_vec()).collect()
}

fn worker(network: &Network, weights: &Weights, height: usize, width: usize, isa: Isa, threads: usize) -> Worker {
    Worker::new(Arc::new(Plan::new(network, weights, height, width, isa).unwrap()), threads)
}

/// The CPU's features and logits of images `[count, 3, height, width]`.
fn on_cpu(worker: &mut Worker, images: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (height, width) = worker.size();
    let mut all = (Vec::new(), Vec::new());
    for image in images.chunks_exact(3 * height * width) {
        let (features, logits) = worker.logits(planes(image, height, width));
        all.0.extend(features);
        all.1.extend(logits.unwrap_or_default());
    }
    all
}

fn planes(image: &[f32], height: usize, width: usize) -> impl FnMut(usize, usize, &mut [f32]) + '_ {
    move |channel, y, row| row.copy_from_slice(&image[(channel * height + y) * width..][..width])
}

fn images(name: &str, shape: [usize; 4]) -> Vec<f32> {
    uniform(name, shape.iter().product()).into_iter().map(|u| (4.0 * u - 2.0) as f32).collect()
}

/// Inputs of a network in the reference: suffix of its numbers, name, shape.
fn inputs(network: &Network) -> Vec<(&'static str, &'static str, [usize; 4])> {
    if network.name == "vit_b_16" {
        return vec![("", "backbones/input_224", [2, 3, 224, 224])];
    }
    vec![("", "backbones/input", [2, 3, 64, 64]), ("_odd", "backbones/input_odd", [1, 3, 97, 75])]
}

/// Both readers of a description give the numbers of the other library.
fn check(model: &str, network: &Network, weights: &Weights, expected: &SafeTensors<'_>) {
    for (suffix, input, shape @ [count, _, height, width]) in inputs(network) {
        let images = images(input, shape);
        let compare = |reader: &str, features: &[f32], logits: &[f32]| {
            for (kind, numbers) in [("features", features), ("logits", logits)] {
                let name = format!("{model}/{kind}{suffix}");
                let expected = tensor(expected, &name);
                close(&columns(numbers, count, &expected), &expected, &format!("{name} by {reader}"));
            }
        };
        for isa in Isa::available() {
            let (features, logits) = on_cpu(&mut worker(network, weights, height, width, isa, 1), &images);
            compare(isa.name(), &features, &logits);
            // To the last bit the same, however many threads share a photo.
            let threads = if isa == Isa::best() { [2, 5].as_slice() } else { &[3] };
            for &threads in threads {
                let shared = on_cpu(&mut worker(network, weights, height, width, isa, threads), &images);
                assert!((&shared.0, &shared.1) == (&features, &logits), "{model} by {} on {threads}", isa.name());
            }
        }
        let burn = Backbone::new(network, weights, ComputeDevice::Cpu, Precision::F32);
        let (features, logits) = burn.logits(images, count, height, width).unwrap();
        compare("Burn", &features, &logits.unwrap());
    }
}

fn torchvision(name: &str) {
    let described = &json_fixture("backbones.json")["networks"][name];
    let network = network(name).unwrap();
    let whole = |key: &str| described[key].as_u64().unwrap() as usize;
    assert_eq!(network.parameters() + network.classifier_parameters(), whole("parameters"));
    assert_eq!(network.classifier_parameters(), whole("classifier_parameters"));
    assert_eq!(network.features, whole("features"));
    let side = network.input_size;
    let layers = network.layers(side, side).unwrap();
    let work: u64 = layers.iter().chain(&network.classifier_layer(side, side)).map(|layer| layer.multiply_adds).sum();
    assert_eq!(work as usize, whole("flops"), "multiply-adds of {name}");
    let rows: usize = layers.iter().map(|layer| layer.parameters).sum();
    assert_eq!(rows, network.parameters(), "the table of layers has every parameter");
    let (weights, naming) = weights(name, described, &network);
    assert_eq!(naming, if name.starts_with("resnet") { Naming::Either } else { Naming::Torchvision });
    let numbers = fixture("backbones.safetensors");
    check(name, &network, &weights, &SafeTensors::deserialize(&numbers).unwrap());
}

macro_rules! as_torchvision {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            torchvision(stringify!($name));
        })*

        #[test]
        fn every_network_is_compared() {
            assert_eq!([$(stringify!($name)),*], *NETWORKS);
        }
    };
}

as_torchvision! {
    efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5 efficientnet_b6
    efficientnet_b7 efficientnet_v2_s mobilenet_v2 mobilenet_v3_small mobilenet_v3_large resnet18 resnet34 resnet50
    resnet101 squeezenet1_1 convnext_tiny vit_b_16
}

/// timm's names, and where its version of a network differs.
fn timm(model: &str) {
    let described = &json_fixture("timm_backbones.json")["networks"][model];
    let network = network(described["torchvision"].as_str().unwrap()).unwrap();
    let (weights, naming) = weights(model, described, &network);
    assert_eq!(naming, if model.starts_with("resnet") { Naming::Either } else { Naming::Timm });
    let is_tensorflows = described["padding_same"].as_bool().unwrap();
    let variant = if is_tensorflows { Variant::Tensorflow } else { Variant::Timm };
    let numbers = fixture("timm_backbones.safetensors");
    check(model, &network.variant(variant), &weights, &SafeTensors::deserialize(&numbers).unwrap());
}

#[test]
fn timms_networks() {
    for model in json_fixture("timm_backbones.json")["networks"].as_object().unwrap().keys() {
        timm(model);
    }
}

#[test]
fn checkpoints_of_torch_save_are_read() {
    let network = network("resnet18").unwrap();
    for file in ["checkpoint.pth", "checkpoint_legacy.pth"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/fixtures").join(file);
        let (weights, _) = Weights::read(&path, &network).unwrap();
        let all = network.tensors().into_iter().chain(network.classifier_tensors());
        for spec in all {
            let expected = (uniform(&format!("checkpoint/{}", spec.name), 1)[0] - 0.5) as f32;
            let found = weights.numbers(&spec.name);
            assert_eq!(found.len(), spec.numbers(), "{}", spec.name);
            assert!(found.iter().all(|number| (number - expected).abs() < 2e-4), "{}: {}", spec.name, found[0]);
        }
    }
}

#[test]
fn files_that_are_no_weights_are_told_and_run_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let network = network("resnet18").unwrap();
    let mark = folder.path().join("was run");
    // A pickle that calls `os.system`.
    let mut pickle = b"\x80\x02cos\nsystem\nX".to_vec();
    let command = format!("touch '{}'", mark.display());
    pickle.extend((command.len() as u32).to_le_bytes());
    pickle.extend(command.as_bytes());
    pickle.extend(b"\x85R.");
    let told = |bytes: &[u8]| {
        let path = folder.path().join("weights");
        std::fs::write(&path, bytes).unwrap();
        Weights::read(&path, &network).unwrap_err()
    };
    assert!(matches!(told(&pickle), WeightsError::Format(_) | WeightsError::Misfit { .. }));
    assert!(!mark.exists());
    assert!(matches!(told(b"\x89HDF\r\n\x1a\n..."), WeightsError::Hdf5));
    for bytes in
        [&b""[..], b"PK", b"PK\x03\x04 not a zip", b"\x80\x02.", b"\x10\0\0\0\0\0\0\0{\"a\":", b"text of no kind"]
    {
        assert!(matches!(told(bytes), WeightsError::Format(_) | WeightsError::Misfit { .. }), "{bytes:?}");
    }
    assert!(matches!(Weights::read(&folder.path().join("none"), &network), Err(WeightsError::Io(_))));
}

#[test]
fn patches_of_a_transformer_as_in_torchvision() {
    let whole = network("vit_b_16").unwrap();
    let network = whole.clone().pooled(Pool::Keep);
    let described = &json_fixture("backbones.json")["networks"]["vit_b_16"];
    let (weights, _) = weights("vit_b_16", described, &whole);
    let weights = weights.without_classifier(&whole);
    let numbers = fixture("backbones.safetensors");
    let expected = tensor(&SafeTensors::deserialize(&numbers).unwrap(), "vit_b_16/patches");
    let images = images("backbones/input_224", [2, 3, 224, 224]);
    let map = worker(&network, &weights, 224, 224, Isa::best(), 1).features(planes(&images, 224, 224));
    assert_eq!(map.len(), 14 * 14 * 768);
    let some =
        |map: &[f32]| -> Vec<f32> { map.chunks_exact(768).take(8).flat_map(|token| token[..64].to_vec()).collect() };
    close(&some(&map), &expected, "patches");
    let burn = Backbone::new(&network, &weights, ComputeDevice::Cpu, Precision::F32);
    let by_burn = burn.features(images[..3 * 224 * 224].to_vec(), 1, 224, 224).unwrap();
    close(&some(&by_burn), &expected, "patches by Burn");
}

#[test]
fn real_weights_give_the_golden_vectors() {
    let Some(data) = real_data() else { return };
    let golden = std::fs::read(data.join("weights/vectors/golden.safetensors")).unwrap();
    let golden = SafeTensors::deserialize(&golden).unwrap();
    let images = tensor(&golden, "input");
    for (name, file, has_logits) in [
        ("mobilenet_v2", "mobilenet_v2_imagenet_features.safetensors", false),
        ("squeezenet1_1", "squeezenet1_1_imagenet.safetensors", true),
    ] {
        let network = network(name).unwrap();
        let (weights, _) = Weights::read(&data.join("weights").join(file), &network).unwrap();
        let burn = Backbone::new(&network, &weights, ComputeDevice::Cpu, Precision::F32)
            .logits(images.clone(), 3, 224, 224)
            .unwrap();
        let mut readers = vec![("Burn", burn.0, burn.1.unwrap_or_default())];
        for isa in Isa::available() {
            let (features, logits) = on_cpu(&mut worker(&network, &weights, 224, 224, isa, 1), &images);
            readers.push((isa.name(), features, logits));
        }
        for (reader, features, logits) in readers {
            close(&features, &tensor(&golden, &format!("{name}_features")), &format!("{name} by {reader}"));
            assert_eq!(!logits.is_empty(), has_logits);
            if has_logits {
                close(&logits, &tensor(&golden, &format!("{name}_logits")), &format!("{name} by {reader}"));
            }
        }
    }
}

#[test]
fn features_do_not_depend_on_what_came_before() {
    let network = network("efficientnet_b0").unwrap();
    let weights = Weights::random(&network, 3);
    let images = images("neighbours", [3, 3, 70, 50]);
    let of = |worker: &mut Worker, image: usize| {
        worker.features(planes(&images[image * 3 * 70 * 50..][..3 * 70 * 50], 70, 50))
    };
    let new = || worker(&network, &weights, 70, 50, Isa::best(), 1);
    let alone: Vec<Vec<f32>> = (0..3).map(|image| of(&mut new(), image)).collect();
    let mut used = new();
    for image in [2, 0, 1, 0, 2] {
        assert_eq!(of(&mut used, image), alone[image]);
    }
}

#[test]
fn images_that_a_network_does_not_take_are_told() {
    let told = |name: &str, height, width| {
        let network = network(name).unwrap();
        let weights = Weights::random(&network, 0);
        Plan::new(&network, &weights, height, width, Isa::best()).err().map(|error| error.to_string())
    };
    assert_eq!(told("efficientnet_b0", 1, 1), None);
    assert_eq!(
        told("squeezenet1_1", 8, 8).unwrap(),
        "squeezenet1_1 does not take images of 8 x 8 pixels: it is too small"
    );
    assert_eq!(
        told("vit_b_16", 224, 240).unwrap(),
        "vit_b_16 does not take images of 224 x 240 pixels, but of 224 x 224"
    );
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
    let (weights, _) = Weights::read(&folder.join("efficientnet_b0.safetensors"), &network).unwrap();
    let (features, logits) =
        on_cpu(&mut worker(&network, &weights, 224, 224, Isa::best(), 1), &tensor(&golden, "input"));
    close(&features, &tensor(&golden, "features"), "features");
    close(&logits, &tensor(&golden, "logits"), "logits");
}

/// Windows that lie side by side, but do not fill the image.
#[test]
fn patches_are_padded_where_a_variant_says_so() {
    let network = network("convnext_tiny").unwrap();
    let weights = Weights::random(&network, 5);
    let network = network.variant(Variant::Tensorflow);
    let (height, width) = (45, 50);
    let images = images("padded patches", [1, 3, height, width]);
    let burn = Backbone::new(&network, &weights, ComputeDevice::Cpu, Precision::F32);
    let expected = burn.features(images.clone(), 1, height, width).unwrap();
    for threads in [1, 3] {
        let mut worker = worker(&network, &weights, height, width, Isa::best(), threads);
        close(&worker.features(planes(&images, height, width)), &expected, "features");
    }
}

/// Bytes travel to a device packed, and are normalised there.
#[test]
fn pixels_as_bytes_give_the_features_of_normalised_numbers() {
    let network = network("squeezenet1_1").unwrap();
    let burn = Backbone::new(&network, &Weights::random(&network, 3), ComputeDevice::Cpu, Precision::F32);
    // Sizes whose bytes fill the last word wholly, and not.
    for [count, height, width] in [[2, 40, 34], [3, 37, 33]] {
        let uniform = uniform("pixels", count * height * width * 3);
        let pixels: Vec<u8> = uniform.into_iter().map(|u| (256.0 * u) as u8).collect();
        let scale = PixelScale { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
        let mut images = Vec::new();
        for photo in pixels.chunks_exact(3 * height * width) {
            for channel in 0..3 {
                let values = photo.iter().skip(channel).step_by(3);
                images.extend(values.map(|&v| (f32::from(v) / 255.0 - scale.mean[channel]) / scale.std[channel]));
            }
        }
        let expected = burn.features(images, count, height, width).unwrap();
        let found = burn.features_of_pixels(&pixels, [count, height, width], &scale).unwrap();
        close(&found, &expected, "features");
    }
}

#[test]
fn blocks_count_as_in_the_papers() {
    let counts = [
        ("mobilenet_v2", 19),
        ("mobilenet_v3_small", 13),
        ("efficientnet_b0", 18),
        ("resnet18", 10),
        ("squeezenet1_1", 12),
        ("convnext_tiny", 22),
        ("vit_b_16", 14),
    ];
    for (name, blocks) in counts {
        let network = network(name).unwrap();
        assert_eq!(network.units.len(), blocks, "{name}");
        assert!(network.cut(blocks - 1)[0].trunk.len() < network.trunk.len(), "{name}");
    }
    for name in NETWORKS {
        let network = network(name).unwrap();
        assert_eq!(network.cut(usize::MAX)[0].trunk.len(), network.trunk.len(), "{name}");
    }
}
