//! Versions of one network that libraries trained differently.

use crate::block::{Block, Conv, Padding};
use crate::network::Network;

/// Whose version of a network it is. The weights' names do not always tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// torchvision's, as the tables describe it.
    Torchvision,
    /// timm's: 1e-5 is added to the variance of every batch norm.
    Timm,
    /// TensorFlow's and Keras': 1e-3 is added to the variance of every batch norm, and convolutions
    /// with a stride pad as TensorFlow's `same` does. timm has such weights as `tf_...`.
    Tensorflow,
}

impl Network {
    /// The network as another library has it.
    pub fn variant(mut self, variant: Variant) -> Self {
        let epsilon = match variant {
            Variant::Torchvision => return self,
            Variant::Timm => 1e-5,
            Variant::Tensorflow => 1e-3,
        };
        let mut change = |conv: &mut Conv| {
            if let Some(norm) = &mut conv.norm {
                norm.epsilon = epsilon;
            }
            if variant == Variant::Tensorflow {
                conv.padding = Padding::Same;
            }
        };
        each_conv(&mut self.trunk, &mut change);
        each_conv(&mut self.head, &mut change);
        self
    }
}

fn each_conv(blocks: &mut [Block], change: &mut impl FnMut(&mut Conv)) {
    for block in blocks {
        match block {
            Block::Conv(conv) => change(conv),
            Block::Residual(residual) => {
                each_conv(&mut residual.body, change);
                each_conv(&mut residual.shortcut, change);
            }
            Block::Concat(branches) => branches.iter_mut().for_each(|branch| each_conv(branch, change)),
            _ => {}
        }
    }
}
