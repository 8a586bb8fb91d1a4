//! A small project over photos, and what its runs say.

use serde_json::Value;

use super::Project;

/// A small pipeline over photos in an object tree.
pub(crate) const PIPELINE: &str = "
name: small
params: { epochs: 3, size: 32 }
nodes:
  labels: { kind: dataset.csv, with: { labels: label.csv, objects: [objects] } }
  split: { kind: split.hash, from: labels, with: { test: 0..=60, validation: 61..=120 } }
  images: { kind: preprocess.image, from: split, with: { size: \"${size}\" } }
  features: { kind: features.backbone, from: images, with: { model: squeezenet1_1, weights: random } }
  head: { kind: train.head, from: features, with: { epochs: \"${epochs}\", batch_size: 8 } }
  eval: { kind: eval.classifier, from: { model: head, data: features } }
";

/// So many small JPEGs, each with other bytes, in two classes by turns.
pub(crate) fn photos(count: u8) -> Vec<Vec<u8>> {
    (0..count)
        .map(|number| {
            let pixel =
                |x: u32, y: u32| image::Rgb([number, (x * 3) as u8, (y * 3 + u32::from(number % 2) * 90) as u8]);
            let image = image::RgbImage::from_fn(40, 30, pixel);
            let mut jpeg = std::io::Cursor::new(Vec::new());
            image.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
            jpeg.into_inner()
        })
        .collect()
}

/// A project with so many photos in an object tree, and the pipeline over them.
pub(crate) fn project(count: u8) -> Project {
    let project = Project::with(PIPELINE);
    let mut csv = "objectId,value\n".to_owned();
    for (number, photo) in photos(count).iter().enumerate() {
        csv.push_str(&format!("{},{}\n", project.object("objects", photo), number % 2));
    }
    project.write("label.csv", csv);
    project
}

/// The nodes of that status.
pub(crate) fn nodes(event: &Value, status: &str) -> Vec<String> {
    let nodes = event["nodes"].as_object().unwrap().iter();
    nodes.filter(|(_, node)| node["status"] == status).map(|(name, _)| name.clone()).collect()
}

/// How many items a node computed, and how many it found in the store.
pub(crate) fn computed(event: &Value, node: &str) -> (u64, u64) {
    let node = &event["nodes"][node];
    (node["items_computed"].as_u64().unwrap(), node["items_reused"].as_u64().unwrap())
}
