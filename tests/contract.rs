//! What weights expect of images: presets that give it, warnings where it is not given.

use pipe_network::{Library, Normalization};
use serde_json::Value;

use crate::common::photos::{PIPELINE, project};
use crate::common::weights::safetensors;
use crate::common::{Project, json_fixture};

/// The pipeline over a few photos, with these params of images and of features.
fn with(images: &str, features: &str) -> Project {
    let project = project(20);
    let yaml = PIPELINE.replace("size: \"${size}\"", images).replace("weights: random", features);
    project.write("pipe.yaml", yaml.replace("params: { epochs: 3, size: 32 }", "params: { epochs: 3 }"));
    project
}

/// Images of a few photos.
const IMAGES: &str = "nodes:
  photos: { kind: dataset.synthetic, with: { count: 2 } }
  images: { kind: preprocess.image, from: photos, with: { PARAMS } }
";

#[test]
fn a_preset_is_the_same_as_what_it_stands_for() {
    let key = |params: &str| {
        let project = Project::with(&IMAGES.replace("PARAMS", params));
        project.ok(&["run", "photos"]);
        let plan: Value = serde_json::from_str(&project.ok(&["plan", "--format", "json"]).stdout).unwrap();
        let nodes = plan["nodes"].as_array().unwrap();
        let images = nodes.iter().find(|node| node["name"] == "images").unwrap();
        images["key"].as_str().unwrap_or_else(|| panic!("{plan}")).to_owned()
    };
    for (preset, params) in [
        ("preset: torchvision/squeezenet1_1", "size: 224, filter: bilinear, fit: cover, crop_pct: 0.875"),
        ("preset: timm/resnet50.a1_in1k", "size: 224, filter: bicubic, fit: cover, crop_pct: 0.95"),
        ("preset: torchvision/resnet50.IMAGENET1K_V1", "size: 224, filter: bilinear, fit: cover, crop_pct: 0.875"),
        ("preset: keras/imagenet", "size: 224, filter: nearest, fit: stretch"),
        ("preset: torchvision/squeezenet1_1, size: 64, fit: stretch", "size: 64, filter: bilinear"),
    ] {
        assert_eq!(key(preset), key(params), "{preset}");
        assert_ne!(key(preset), key("size: 33"), "{preset}");
    }
}

#[test]
fn a_crop_that_is_not_made_is_a_mistake() {
    let ran = Project::with(&IMAGES.replace("PARAMS", "crop_pct: 0.875")).pipe(&["check"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("nothing is cropped") && ran.stderr.contains("fit: cover"), "{}", ran.stderr);
}

#[test]
fn weights_expect_what_their_libraries_say() {
    let said = json_fixture("contracts.json");
    let known: Vec<_> = pipe_network::all_known_weights().collect();
    assert_eq!(known.len(), said["torchvision"].as_array().unwrap().len() + said["timm"].as_array().unwrap().len());
    for known in known {
        let (library, is_of_torchvision) = match known.library {
            Library::Torchvision => ("torchvision", true),
            Library::Timm => ("timm", false),
        };
        let is_meant =
            |row: &&Value| row["name"] == known.name && (!is_of_torchvision || row["network"] == known.network);
        let row = said[library].as_array().unwrap().iter().find(is_meant).unwrap_or_else(|| panic!("{known:?}"));
        assert_eq!(row["size"], known.size, "{known:?}");
        assert_eq!(row["filter"], known.filter, "{known:?}");
        let mean = if known.normalization == Normalization::Imagenet { 0.485 } else { 0.5 };
        assert_eq!(row["mean"][0], mean, "{known:?}");
        if is_of_torchvision {
            // The shorter side before the crop, in whole pixels.
            assert_eq!(row["resize"], (known.size as f64 / known.crop).floor() as usize, "{known:?}");
            assert_eq!(row["sha256"], known.sha256.unwrap(), "{known:?}");
            assert_eq!(row["usual"], known.is_usual, "{known:?}");
        } else {
            assert_eq!(row["crop"], known.crop, "{known:?}");
        }
    }
}

#[test]
fn a_preset_that_is_none_is_told_with_those_that_are() {
    for (preset, said) in [
        ("torchvision/resnet52", "did you mean `torchvision/resnet50`?"),
        ("inception", "`keras/imagenet` is one"),
        ("\"\"", "`keras/imagenet` is one"),
        ("timm/resnet34", "there is `torchvision/resnet34` and `timm/resnet34.a1_in1k`"),
    ] {
        let ran = with(&format!("preset: {preset}"), "weights: random").pipe(&["check"]);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        let text: String = ran.stderr.replace('│', "").split_whitespace().collect();
        assert!(text.contains(&said.replace(' ', "")), "{}", ran.stderr);
    }
}

/// What is said of weights that chance made, in a file of this name.
fn warning(model: &str, file: &str, images: &str, normalize: &str, config: Option<&str>) -> String {
    let project = Project::with(&format!(
        "nodes:
  photos: {{ kind: dataset.synthetic, with: {{ count: 2 }} }}
  images: {{ kind: preprocess.image, from: photos, with: {{ {images} }} }}
  features:
    {{ kind: features.backbone, from: images, with: {{ model: {model}, weights: {file}, normalize: {normalize} }} }}
"
    ));
    project.write(file, safetensors(model));
    if let Some(config) = config {
        project.write("config.json", config);
    }
    let ran = project.ok(&["run"]);
    ran.stderr.lines().find(|line| line.contains("warning:")).unwrap_or_default().trim().to_owned()
}

#[test]
fn images_that_weights_do_not_expect_are_told_with_both_sides() {
    let run = |images: &str, features: &str, config: Option<&str>| {
        warning("squeezenet1_1", "w.safetensors", images, features, config)
    };
    assert_eq!(run("preset: torchvision/squeezenet1_1", "imagenet", None), "");
    assert_eq!(
        run("size: 64, filter: nearest", "none", None),
        "features: warning: torchvision/squeezenet1_1 expects size 224, filter bilinear, fit cover, normalize imagenet; \
         it is fed size 64, filter nearest, fit stretch, normalize none; \
         `preset: torchvision/squeezenet1_1` with nothing beside it makes such images"
    );
    assert_eq!(
        run("preset: torchvision/squeezenet1_1", "none", None),
        "features: warning: torchvision/squeezenet1_1 expects normalize imagenet; it is fed normalize none"
    );
    // What timm leaves beside its weights says it more exactly.
    let config = r#"{ "architecture": "squeezenet1_1", "pretrained_cfg": { "input_size": [3, 128, 128],
        "interpolation": "bicubic", "crop_pct": 0.9, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5] } }"#;
    assert_eq!(
        run("preset: torchvision/squeezenet1_1", "imagenet", Some(config)),
        "features: warning: squeezenet1_1 expects size 128, filter bicubic, crop_pct 0.9, \
         normalize { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] }; \
         it is fed size 224, filter bilinear, crop_pct 0.875, normalize imagenet"
    );
}

/// torchvision writes the digest of its weights into their files' names.
#[test]
fn weights_are_known_by_their_file() {
    let run = |model: &str, file: &str, images: &str, normalize: &str| warning(model, file, images, normalize, None);
    let preset = "preset: torchvision/mobilenet_v2.IMAGENET1K_V1";
    assert_eq!(run("mobilenet_v2", "mobilenet_v2-b0353104.safetensors", preset, "imagenet"), "");
    assert_eq!(
        run("mobilenet_v2", "mobilenet_v2-7ebf99e0.safetensors", preset, "imagenet"),
        "features: warning: torchvision/mobilenet_v2 expects crop_pct 0.965517; it is fed crop_pct 0.875; \
         `preset: torchvision/mobilenet_v2` with nothing beside it makes such images"
    );
    // Which of both it is cannot be told: only what both expect is held against the images.
    assert_eq!(run("mobilenet_v2", "w.safetensors", preset, "imagenet"), "");
    assert!(run("mobilenet_v2", "w.safetensors", "size: 64", "imagenet").contains("expects size 224, fit cover; "));
    // A ResNet's may be timm's, which differ in all but that pixels are normalised.
    assert_eq!(run("resnet18", "w.safetensors", "size: 64, filter: bicubic", "imagenet"), "");
    assert_eq!(
        run("resnet18", "w.safetensors", "size: 64", "none"),
        "features: warning: a network whose weights are called so expects normalised pixels, \
         `normalize: imagenet` most often; it is fed normalize none"
    );
}

#[test]
fn scaling_twice_is_a_mistake() {
    for normalize in [
        "normalize: { mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375] }",
        "normalize: { mean: [0, 0, 0], std: [255, 255, 255] }",
    ] {
        let ran = with("size: 32", &format!("weights: random, {normalize}")).pipe(&["check"]);
        assert_eq!(ran.code, 2);
        let text = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("divided by 255 already"), "{}", ran.stderr);
    }
}

#[test]
fn places_can_be_kept_or_averaged() {
    let length = |features: &str| {
        let project = with("size: 64", features);
        project.ok(&["run"]);
        let shown = project.ok(&["show", "head", "--format", "json"]).stdout;
        let model: Value = serde_json::from_str(&shown).unwrap();
        model["head"]["features"].as_u64().unwrap_or_else(|| panic!("{model}"))
    };
    let own = length("weights: random");
    let average = length("weights: random, pool: average");
    let all = length("weights: random, pool: none");
    assert_eq!(own, average);
    // SqueezeNet leaves 3 x 3 places of 64 x 64 pixels.
    assert_eq!(all - own, 512 * 8);
}
