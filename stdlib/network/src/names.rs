//! The names that timm gives to the weights of the same networks.

use crate::tensors::TensorSpec;

/// Blocks of each stage of timm's MobileNets; torchvision counts them through.
const STAGES: [(&str, &[usize]); 3] = [
    ("mobilenet_v2", &[1, 2, 3, 4, 3, 3, 1]),
    ("mobilenet_v3_large", &[1, 2, 3, 4, 2, 3, 1]),
    ("mobilenet_v3_small", &[1, 2, 3, 2, 3, 1]),
];

/// timm's name of a tensor of a network, all of whose tensors are `all`. `None` where timm does not
/// have the network.
pub(crate) fn timm(network: &str, tensor: &str, all: &[TensorSpec]) -> Option<String> {
    match network {
        "vit_b_16" => Some(vit(tensor)),
        "convnext_tiny" => convnext(tensor),
        name if name.starts_with("resnet") => Some(tensor.to_owned()),
        name if name.starts_with("efficientnet") => mobile(tensor, all, &[]),
        name => mobile(tensor, all, STAGES.iter().find(|(of, _)| *of == name)?.1),
    }
}

fn vit(tensor: &str) -> String {
    const PARTS: [(&str, &str); 11] = [
        ("class_token", "cls_token"),
        ("encoder.pos_embedding", "pos_embed"),
        ("conv_proj", "patch_embed.proj"),
        ("encoder.layers.encoder_layer_", "blocks."),
        ("encoder.ln", "norm"),
        ("heads.head", "head"),
        ("self_attention.in_proj_", "attn.qkv."),
        ("self_attention.out_proj", "attn.proj"),
        ("mlp.0", "mlp.fc1"),
        ("mlp.3", "mlp.fc2"),
        ("ln_", "norm"),
    ];
    PARTS.iter().fold(tensor.to_owned(), |name, (ours, theirs)| name.replace(ours, theirs))
}

fn convnext(tensor: &str) -> Option<String> {
    const PARTS: [(&str, &str); 5] = [
        ("layer_scale", "gamma"),
        ("block.0", "conv_dw"),
        ("block.2", "norm"),
        ("block.3", "mlp.fc1"),
        ("block.5", "mlp.fc2"),
    ];
    if let Some(rest) = tensor.strip_prefix("classifier.") {
        return Some(rest.replace("0.", "head.norm.").replace("2.", "head.fc."));
    }
    let (place, rest) = tensor.strip_prefix("features.")?.split_once('.')?;
    let place: usize = place.parse().ok()?;
    let rest = PARTS.iter().fold(rest.to_owned(), |name, (ours, theirs)| name.replace(ours, theirs));
    Some(match place {
        0 => format!("stem.{rest}"),
        place if place % 2 == 0 => format!("stages.{}.downsample.{rest}", place / 2),
        place => format!("stages.{}.blocks.{rest}", place / 2),
    })
}

/// EfficientNets and MobileNets: a block's convolutions are named by what they do.
fn mobile(tensor: &str, all: &[TensorSpec], stages: &[usize]) -> Option<String> {
    let (before, part) = tensor.rsplit_once('.')?;
    if let Some(name) = match before {
        "features.0.0" => Some("conv_stem"),
        "features.0.1" => Some("bn1"),
        // Of MobileNetV3, whose classifier has two layers.
        "classifier.0" => Some("conv_head"),
        "classifier.1" | "classifier.3" => Some("classifier"),
        _ => None,
    } {
        return Some(format!("{name}.{part}"));
    }
    let words: Vec<&str> = before.split('.').collect();
    let number: usize = words.get(1)?.parse().ok()?;
    let (block, place) = match stages {
        // `features.STAGE.BLOCK.block.`
        [] if words.get(3) == Some(&"block") => {
            (words[..4].join("."), format!("blocks.{}.{}", number.checked_sub(1)?, words[2]))
        }
        // `features.NUMBER.block.` and MobileNetV2's `features.NUMBER.conv.`
        _ if matches!(words.get(2), Some(&"block" | &"conv")) => {
            (words[..3].join("."), format!("blocks.{}", stage_of(number - 1, stages)?))
        }
        // The last convolution; timm counts MobileNetV3's among the blocks.
        _ if stages.len() > 1 && all.iter().any(|spec| spec.name == "classifier.0.weight") => {
            let name = if words.last() == Some(&"0") { "conv" } else { "bn1" };
            return Some(format!("blocks.{}.0.{name}.{part}", stages.len() - 1));
        }
        _ => {
            let name = if words.last() == Some(&"0") { "conv_head" } else { "bn2" };
            return Some(format!("{name}.{part}"));
        }
    };
    let unit = before.strip_prefix(&format!("{block}."))?;
    if let Some((_, layer)) = unit.split_once(".fc") {
        let name = if layer == "1" { "conv_reduce" } else { "conv_expand" };
        return Some(format!("{place}.se.{name}.{part}"));
    }
    let units = convolutions(&block, all);
    let (at, is_norm) = match units.iter().position(|(conv, _)| *conv == before) {
        Some(at) => (at, false),
        // A norm follows its convolution: the last number is one higher.
        None => {
            let (stem, last) = before.rsplit_once('.')?;
            let conv = format!("{stem}.{}", last.parse::<usize>().ok()?.checked_sub(1)?);
            (units.iter().position(|(name, _)| *name == conv)?, true)
        }
    };
    let names: &[&str] = match units.as_slice() {
        [_] => &["conv"],
        [(_, true), _] => &["conv_dw", "conv_pw"],
        [_, _] => &["conv_exp", "conv_pwl"],
        _ => &["conv_pw", "conv_dw", "conv_pwl"],
    };
    let name = if is_norm { format!("bn{}", at + 1) } else { (*names.get(at)?).to_owned() };
    Some(format!("{place}.{name}.{part}"))
}

/// The convolutions of a block that a norm follows, and whether each is depthwise.
fn convolutions<'a>(block: &str, all: &'a [TensorSpec]) -> Vec<(&'a str, bool)> {
    let of_block = all.iter().filter(|spec| spec.name.strip_prefix(block).is_some_and(|rest| rest.starts_with('.')));
    of_block
        .filter_map(|spec| {
            let name = spec.name.strip_suffix(".weight")?;
            let [outputs, inputs, _, _] = spec.shape.as_slice() else { return None };
            (!name.contains(".fc")).then_some((name, *inputs == 1 && *outputs > 1))
        })
        .collect()
}

/// `STAGE.BLOCK` of the block of that number.
fn stage_of(number: usize, stages: &[usize]) -> Option<String> {
    let mut first = 0;
    for (stage, blocks) in stages.iter().enumerate() {
        if number < first + blocks {
            return Some(format!("{stage}.{}", number - first));
        }
        first += blocks;
    }
    None
}
