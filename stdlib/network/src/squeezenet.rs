//! SqueezeNet (Iandola et al. 2016), in torchvision's version 1.1.

use crate::block::{Activation, Block, Conv, MaxPool};
use crate::network::{CLASSES, Classifier, Network};
use crate::trunk::Trunk;

/// A fire module: its place, channels in, squeezed, and out of each of the two branches.
const FIRES: [(usize, usize, usize, usize); 8] = [
    (3, 64, 16, 64),
    (4, 128, 16, 64),
    (6, 128, 32, 128),
    (7, 256, 32, 128),
    (9, 256, 48, 192),
    (10, 384, 48, 192),
    (11, 384, 64, 256),
    (12, 512, 64, 256),
];

/// SqueezeNet 1.1.
pub(crate) fn v1_1() -> Network {
    let pool = || Block::MaxPool(MaxPool { kernel: 3, stride: 2, padding: 0, ceil: true });
    let conv =
        |name: String, inputs, outputs, kernel| Conv::new(name, inputs, outputs, kernel).activation(Activation::Relu);
    let mut trunk = Trunk::default();
    trunk.push(Block::Conv(conv("features.0".into(), 3, 64, 3).stride(2).padding(0)));
    trunk.push(pool());
    for (place, inputs, squeezed, each) in FIRES {
        // Places 5 and 8 are pools.
        if matches!(place, 6 | 9) {
            trunk.push(pool());
        }
        let name = |part: &str| format!("features.{place}.{part}");
        trunk.unit(vec![
            Block::Conv(conv(name("squeeze"), inputs, squeezed, 1)),
            Block::Concat(vec![
                vec![Block::Conv(conv(name("expand1x1"), squeezed, each, 1))],
                vec![Block::Conv(conv(name("expand3x3"), squeezed, each, 3))],
            ]),
        ]);
    }
    Network {
        name: "squeezenet1_1".into(),
        input_size: 224,
        trunk: trunk.blocks,
        units: trunk.units,
        head: vec![Block::Mean],
        features: 512,
        classifier: Classifier::Conv(conv("classifier.1".into(), 512, CLASSES, 1)),
    }
}
