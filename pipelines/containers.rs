//! The containers pipeline of `containers.yaml`, built in Rust. Its keys are the same, so what one has
//! computed the other finds.
//!
//! `cargo run --release --example containers -- run` runs it on the photos and weights below the
//! folder that `PIPE_DATA` names, or `data`; `plan`, `why head`, `show eval` and `expand` work too.

use std::path::PathBuf;
use std::process::ExitCode;

use pipe::stdlib::dataset::Csv;
use pipe::stdlib::eval::EvalClassifier;
use pipe::stdlib::features::{BackboneFeatures, Model, Normalize, WeightsFrom};
use pipe::stdlib::preprocess::{Filter, Fit, PreprocessImage};
use pipe::stdlib::split::{Balance, HashSplit};
use pipe::stdlib::train::{Optimizer, TrainHead};
use pipe::{Builder, Handle, types};

fn main() -> ExitCode {
    let data = std::env::var_os("PIPE_DATA").map_or_else(|| PathBuf::from("data"), PathBuf::from);
    let mut pipeline = Builder::new("containers");
    let photos = data.join("dev-containers");
    let labels = Csv { objects: vec![photos.join("objects").into()], ..Csv::new(photos.join("label.csv")) };
    let labels = pipeline.add("labels", labels, ());
    let split = HashSplit {
        test: (0..=24).into(),
        validation: (25..=49).into(),
        balance: Balance::Truncate,
        ..HashSplit::default()
    };
    let split = pipeline.add("split", split, labels);
    let features = mobilenet(&mut pipeline, split, &data.join("weights"));
    let optimizer = Optimizer::adam(0.001);
    let head = TrainHead { epochs: 100, batch_size: 64, optimizer, ..TrainHead::default() };
    let (model, _history) = pipeline.add("head", head, features);
    pipeline.add("eval", EvalClassifier {}, (model, features));
    pipe::run(&pipeline)
}

/// A function is a sub-pipeline: photos as these weights want them, and their features.
fn mobilenet(
    pipeline: &mut Builder,
    split: Handle<types::Records>,
    weights: &std::path::Path,
) -> Handle<types::Features> {
    let images = PreprocessImage {
        size: 224,
        filter: Filter::Bilinear,
        fit: Fit::Cover,
        crop_pct: 0.875,
        ..PreprocessImage::default()
    };
    let images = pipeline.add("images", images, split);
    let weights = weights.join("mobilenet_v2_imagenet_features.safetensors");
    let backbone = BackboneFeatures {
        normalize: Normalize::Imagenet,
        ..BackboneFeatures::new(Model::MobilenetV2, WeightsFrom::File(weights.into()))
    };
    pipeline.add("features", backbone, images)
}
