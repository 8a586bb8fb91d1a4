//! The pipeline that `pipe init` writes.

/// A commented starter pipeline that runs as it stands.
pub(crate) const STARTER: &str = r#"# A pipeline: what is made of what. `pipe run` runs it; run it again and nothing is left to do.
# `pipe nodes` lists what can stand after `kind:`, `pipe nodes train.head` documents one of them.
name: starter

# Values to change from outside: `pipe run --set epochs=20`.
params:
  epochs: 60

nodes:
  # Drawn images, so that this runs without any data. For your own photos, a folder a class:
  #   kind: dataset.folder
  #   with: { path: photos }
  # and `by: content` in the split, unless the photos are named by a hash.
  photos:
    kind: dataset.synthetic
    with: { count: 400, classes: 2, size: 64 }

  # By a byte of a hash, so that a photo keeps its place when more are added.
  split:
    kind: split.hash
    from: photos
    with: { test: 0..=37, validation: 38..=75 }

  images:
    kind: preprocess.image
    from: split
    with: { size: 64, filter: bilinear }

  # Weights trained on ImageNet do far better than random ones:
  #   with: { model: mobilenet_v2, weights: weights/mobilenet_v2.safetensors, normalize: imagenet }
  features:
    kind: features.backbone
    from: images
    with: { model: squeezenet1_1, weights: random, normalize: imagenet }

  head:
    kind: train.head
    from: features
    with: { epochs: "${epochs}", batch_size: 32, optimizer: { adam: { lr: 0.03 } } }

  eval:
    kind: eval.classifier
    from: { model: head, data: features }
"#;
