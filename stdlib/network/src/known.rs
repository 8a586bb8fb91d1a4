//! Weights that others published, and the images that they expect.
//!
//! From the weights' own descriptions in torchvision 0.29.2 (`transforms()` of each) and timm 1.0.31
//! (`get_pretrained_cfg`), licences too; torchvision's is that of the library.

/// Weights that others trained and published.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KnownWeights {
    /// The network.
    pub network: &'static str,
    /// Who published them.
    pub library: Library,
    /// What they are called there.
    pub name: &'static str,
    /// Whether they are those that their library gives where nobody chooses.
    pub is_usual: bool,
    /// How the SHA-256 of their file begins, in hex digits, where the library tells: it stands in the file's name.
    pub sha256: Option<&'static str>,
    /// The side of the images that they expect, in pixels.
    pub size: usize,
    /// The part of the shorter side that is kept, in 0..=1: what remains of it after the crop.
    pub crop: f64,
    /// The filter of the resize, Pillow's name.
    pub filter: &'static str,
    /// What is taken away from pixels in 0..=1, and what they are divided by then.
    pub normalization: Normalization,
    /// Whether they were trained as TensorFlow's version of the network.
    pub is_tensorflows: bool,
    /// SPDX's name of the licence.
    pub license: &'static str,
}

/// Who publishes weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Library {
    /// torchvision.
    Torchvision,
    /// timm.
    Timm,
}

/// A mean and a standard deviation for each of red, green and blue in 0..=1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Normalization {
    /// Those of ImageNet's pixels: `[0.485, 0.456, 0.406]` and `[0.229, 0.224, 0.225]`.
    Imagenet,
    /// 0.5 for all: pixels in -1..=1.
    Half,
}

impl KnownWeights {
    /// Their library and what they are called there: `torchvision IMAGENET1K_V1`.
    pub fn published_as(&self) -> String {
        let library = match self.library {
            Library::Torchvision => "torchvision",
            Library::Timm => "timm",
        };
        format!("{library} {}", self.name)
    }

    /// What they are called, their library first: `torchvision/resnet50`, `torchvision/resnet50.IMAGENET1K_V1`
    /// where they are not the usual ones, `timm/resnet18.a1_in1k`.
    pub fn full_name(&self) -> String {
        match self.library {
            Library::Torchvision if self.is_usual => format!("torchvision/{}", self.network),
            Library::Torchvision => format!("torchvision/{}.{}", self.network, self.name),
            Library::Timm => format!("timm/{}", self.name),
        }
    }
}

/// The known weights of a network, the usual ones first.
pub fn known_weights(network: &str) -> Vec<KnownWeights> {
    let mut known: Vec<KnownWeights> = all_known_weights().filter(|known| known.network == network).collect();
    known.sort_by_key(|known| !known.is_usual);
    known
}

/// The known weights of all networks.
pub fn all_known_weights() -> impl Iterator<Item = KnownWeights> {
    let of_torchvision = TORCHVISION.iter().enumerate().map(|(at, &(network, name, sha256, size, resize, filter))| {
        // Those that are not the usual ones stand behind them.
        let is_usual = at == 0 || TORCHVISION[at - 1].0 != network;
        KnownWeights {
            network,
            library: Library::Torchvision,
            name,
            is_usual,
            sha256: Some(sha256),
            size,
            // Rounded down, so that dividing by it gives the whole of `resize`.
            crop: (size as f64 / resize as f64 * 1e6).floor() / 1e6,
            filter,
            normalization: Normalization::Imagenet,
            is_tensorflows: false,
            license: if name.contains("SWAG") { "CC-BY-NC-4.0" } else { "BSD-3-Clause" },
        }
    });
    let of_timm = TIMM.iter().map(|&(network, name, size, crop, normalization)| KnownWeights {
        network,
        library: Library::Timm,
        name,
        is_usual: true,
        sha256: None,
        size,
        crop,
        filter: "bicubic",
        normalization,
        is_tensorflows: name.starts_with("tf_"),
        license: "Apache-2.0",
    });
    of_torchvision.chain(of_timm)
}

/// Network, weights, how their SHA-256 begins, size after the crop, the shorter side before, filter.
const TORCHVISION: [(&str, &str, &str, usize, usize, &str); 25] = [
    ("efficientnet_b0", "IMAGENET1K_V1", "7f5810bc", 224, 256, "bicubic"),
    ("efficientnet_b1", "IMAGENET1K_V2", "c27df63c", 240, 255, "bilinear"),
    ("efficientnet_b1", "IMAGENET1K_V1", "bac287d4", 240, 256, "bicubic"),
    ("efficientnet_b2", "IMAGENET1K_V1", "c35c1473", 288, 288, "bicubic"),
    ("efficientnet_b3", "IMAGENET1K_V1", "b3899882", 300, 320, "bicubic"),
    ("efficientnet_b4", "IMAGENET1K_V1", "23ab8bcd", 380, 384, "bicubic"),
    ("efficientnet_b5", "IMAGENET1K_V1", "1a07897c", 456, 456, "bicubic"),
    ("efficientnet_b6", "IMAGENET1K_V1", "24a108a5", 528, 528, "bicubic"),
    ("efficientnet_b7", "IMAGENET1K_V1", "c5b4e57e", 600, 600, "bicubic"),
    ("efficientnet_v2_s", "IMAGENET1K_V1", "dd5fe13b", 384, 384, "bilinear"),
    ("mobilenet_v2", "IMAGENET1K_V2", "7ebf99e0", 224, 232, "bilinear"),
    ("mobilenet_v2", "IMAGENET1K_V1", "b0353104", 224, 256, "bilinear"),
    ("mobilenet_v3_small", "IMAGENET1K_V1", "047dcff4", 224, 256, "bilinear"),
    ("mobilenet_v3_large", "IMAGENET1K_V2", "5c1a4163", 224, 232, "bilinear"),
    ("mobilenet_v3_large", "IMAGENET1K_V1", "8738ca79", 224, 256, "bilinear"),
    ("resnet18", "IMAGENET1K_V1", "f37072fd", 224, 256, "bilinear"),
    ("resnet34", "IMAGENET1K_V1", "b627a593", 224, 256, "bilinear"),
    ("resnet50", "IMAGENET1K_V2", "11ad3fa6", 224, 232, "bilinear"),
    ("resnet50", "IMAGENET1K_V1", "0676ba61", 224, 256, "bilinear"),
    ("resnet101", "IMAGENET1K_V2", "cd907fc2", 224, 232, "bilinear"),
    ("resnet101", "IMAGENET1K_V1", "63fe2227", 224, 256, "bilinear"),
    ("squeezenet1_1", "IMAGENET1K_V1", "b8a52dc0", 224, 256, "bilinear"),
    ("convnext_tiny", "IMAGENET1K_V1", "983f1562", 224, 236, "bilinear"),
    ("vit_b_16", "IMAGENET1K_V1", "c867db91", 224, 256, "bilinear"),
    ("vit_b_16", "IMAGENET1K_SWAG_LINEAR_V1", "4e70ced5", 224, 224, "bicubic"),
];

/// Network, weights, size, crop, normalisation; all are resized with a bicubic filter.
const TIMM: [(&str, &str, usize, f64, Normalization); 18] = [
    ("efficientnet_b0", "efficientnet_b0.ra_in1k", 224, 0.875, Normalization::Imagenet),
    ("efficientnet_b1", "efficientnet_b1.ft_in1k", 224, 0.875, Normalization::Imagenet),
    ("efficientnet_b2", "efficientnet_b2.ra_in1k", 256, 0.875, Normalization::Imagenet),
    ("efficientnet_b3", "efficientnet_b3.ra2_in1k", 288, 0.875, Normalization::Imagenet),
    ("efficientnet_b4", "efficientnet_b4.ra2_in1k", 320, 0.875, Normalization::Imagenet),
    ("efficientnet_b5", "tf_efficientnet_b5.ns_jft_in1k", 456, 0.934, Normalization::Imagenet),
    ("efficientnet_b6", "tf_efficientnet_b6.ns_jft_in1k", 528, 0.942, Normalization::Imagenet),
    ("efficientnet_b7", "tf_efficientnet_b7.ns_jft_in1k", 600, 0.949, Normalization::Imagenet),
    ("efficientnet_v2_s", "tf_efficientnetv2_s.in21k_ft_in1k", 300, 1.0, Normalization::Half),
    ("mobilenet_v2", "mobilenetv2_100.ra_in1k", 224, 0.875, Normalization::Imagenet),
    ("mobilenet_v3_small", "mobilenetv3_small_100.lamb_in1k", 224, 0.875, Normalization::Imagenet),
    ("mobilenet_v3_large", "mobilenetv3_large_100.ra_in1k", 224, 0.875, Normalization::Imagenet),
    ("resnet18", "resnet18.a1_in1k", 224, 0.95, Normalization::Imagenet),
    ("resnet34", "resnet34.a1_in1k", 224, 0.95, Normalization::Imagenet),
    ("resnet50", "resnet50.a1_in1k", 224, 0.95, Normalization::Imagenet),
    ("resnet101", "resnet101.a1_in1k", 224, 0.95, Normalization::Imagenet),
    ("convnext_tiny", "convnext_tiny.fb_in1k", 224, 0.875, Normalization::Imagenet),
    ("vit_b_16", "vit_base_patch16_224.augreg2_in21k_ft_in1k", 224, 0.9, Normalization::Half),
];
