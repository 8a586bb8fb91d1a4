//! The networks that are described here.

use crate::network::Network;
use crate::{convnext, efficientnet, mobilenet, resnet, squeezenet, vit};

/// Their names, torchvision's.
pub const NETWORKS: &[&str] = &[
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_v2_s",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "squeezenet1_1",
    "convnext_tiny",
    "vit_b_16",
];

/// The network of that name.
pub fn network(name: &str) -> Option<Network> {
    let known = NETWORKS.contains(&name);
    let network = match name {
        "efficientnet_v2_s" => efficientnet::v2_s(),
        "mobilenet_v2" => mobilenet::v2(),
        "mobilenet_v3_small" => mobilenet::v3_small(),
        "mobilenet_v3_large" => mobilenet::v3_large(),
        "resnet18" => resnet::basic("resnet18", [2, 2, 2, 2]),
        "resnet34" => resnet::basic("resnet34", [3, 4, 6, 3]),
        "resnet50" => resnet::bottleneck("resnet50", [3, 4, 6, 3]),
        "resnet101" => resnet::bottleneck("resnet101", [3, 4, 23, 3]),
        "squeezenet1_1" => squeezenet::v1_1(),
        "convnext_tiny" => convnext::tiny(),
        "vit_b_16" => vit::b_16(),
        name => efficientnet::b(name.strip_prefix("efficientnet_b")?.parse().ok()?)?,
    };
    known.then_some(network)
}
