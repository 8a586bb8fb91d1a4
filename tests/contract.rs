//! What weights expect of images: presets that give it, warnings where it is not given.

use crate::common::Project;
use crate::common::photos::{PIPELINE, project};

/// The pipeline over a few photos, with these params of images and of features.
fn with(images: &str, features: &str) -> Project {
    let project = project(20);
    let yaml = PIPELINE.replace("size: \"${size}\"", images).replace("weights: random", features);
    project.write("pipe.yaml", yaml.replace("params: { epochs: 3, size: 32 }", "params: { epochs: 3 }"));
    project
}

fn keys(project: &Project) -> String {
    let plan: serde_json::Value = serde_json::from_str(&project.ok(&["plan", "--format", "json"]).stdout).unwrap();
    format!("{}", plan["nodes"])
}

#[test]
fn a_preset_is_the_same_as_what_it_stands_for() {
    for (preset, params) in [
        ("preset: torchvision/squeezenet1_1", "size: 224, filter: bilinear, fit: cover, crop_pct: 0.875"),
        ("preset: timm/resnet50.a1_in1k", "size: 224, filter: bicubic, fit: cover, crop_pct: 0.95"),
        ("preset: keras/imagenet", "size: 224, filter: nearest, fit: stretch"),
        ("preset: torchvision/efficientnet_v2_s, size: 64, fit: stretch", "size: 64, filter: bilinear, crop_pct: 1.0"),
    ] {
        let (short, long) = (with(preset, "weights: random"), with(params, "weights: random"));
        assert_eq!(keys(&short), keys(&long), "{preset}");
    }
}

#[test]
fn every_preset_of_torchvision_resizes_as_torchvision_does() {
    // What `transforms()` of torchvision's usual weights say: the shorter side and the crop.
    let resized = |name: &str, size: f64| {
        let project = Project::new();
        let text = project.ok(&["models", name, "--format", "json"]).stdout;
        let model: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expects = model["weights"][0]["expects"].as_str().unwrap().to_owned();
        let crop: f64 = expects.rsplit("crop_pct: ").next().unwrap().parse().unwrap();
        (size / crop).floor() as usize
    };
    for (name, size, resize) in [
        ("efficientnet_b0", 224.0, 256),
        ("efficientnet_b1", 240.0, 255),
        ("efficientnet_b3", 300.0, 320),
        ("efficientnet_b4", 380.0, 384),
        ("mobilenet_v2", 224.0, 232),
        ("convnext_tiny", 224.0, 236),
        ("vit_b_16", 224.0, 256),
    ] {
        assert_eq!(resized(name, size), resize, "{name}");
    }
}

#[test]
fn a_preset_that_is_none_is_told_with_those_that_are() {
    for (preset, said) in [
        ("torchvision/resnet52", "there is no preset `torchvision/resnet52`; `keras/imagenet` is one"),
        ("timm/resnet50", "there is `torchvision/resnet50` and `timm/resnet50.a1_in1k`"),
    ] {
        let ran = with(&format!("preset: {preset}"), "weights: random").pipe(&["check"]);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        let text: String = ran.stderr.replace('│', "").split_whitespace().collect();
        assert!(text.contains(&said.replace(' ', "")), "{}", ran.stderr);
    }
}

#[test]
fn images_that_weights_do_not_expect_are_told_with_both_sides() {
    let Some(data) = crate::common::real_data() else { return };
    let weights = std::fs::read(data.join("weights/squeezenet1_1_imagenet.safetensors")).unwrap();
    let run = |images: &str, features: &str, config: Option<&str>| {
        let project = with(images, features);
        project.write("w.safetensors", &weights);
        if let Some(config) = config {
            project.write("config.json", config);
        }
        let ran = project.ok(&["run"]);
        let warning = ran.stderr.lines().find(|line| line.contains("warning:")).unwrap_or_default();
        warning.trim().to_owned()
    };
    assert_eq!(run("preset: torchvision/squeezenet1_1", "weights: w.safetensors, normalize: imagenet", None), "");
    assert_eq!(
        run("size: 64, filter: nearest", "weights: w.safetensors", None),
        "features: warning: torchvision/squeezenet1_1 expects size 224, filter bilinear, fit cover, normalize imagenet; \
         it is fed size 64, filter nearest, fit stretch, normalize none; \
         `preset: torchvision/squeezenet1_1` makes such images"
    );
    assert_eq!(
        run("preset: torchvision/squeezenet1_1", "weights: w.safetensors", None),
        "features: warning: torchvision/squeezenet1_1 expects normalize imagenet; it is fed normalize none"
    );
    // What timm leaves beside its weights says it more exactly.
    let config = r#"{ "architecture": "squeezenet1_1", "pretrained_cfg": { "input_size": [3, 128, 128],
        "interpolation": "bicubic", "crop_pct": 0.9, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5] } }"#;
    assert_eq!(
        run("preset: torchvision/squeezenet1_1", "weights: w.safetensors, normalize: imagenet", Some(config)),
        "features: warning: squeezenet1_1 expects size 128, filter bicubic, crop_pct 0.9, \
         normalize { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] }; \
         it is fed size 224, filter bilinear, crop_pct 0.875, normalize imagenet"
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
        let model: serde_json::Value = serde_json::from_str(&shown).unwrap();
        model["head"]["features"].as_u64().unwrap_or_else(|| panic!("{model}"))
    };
    let own = length("weights: random");
    let average = length("weights: random, pool: average");
    let all = length("weights: random, pool: none");
    assert_eq!(own, average);
    // SqueezeNet leaves 3 x 3 places of 64 x 64 pixels.
    assert_eq!(all - own, 512 * 8);
}
