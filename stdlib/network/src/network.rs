//! A network.

use crate::block::{Block, Conv, Linear, walk};
use crate::tensors::{TensorSpec, count};

/// ImageNet's classes.
pub(crate) const CLASSES: usize = 1000;

/// A network that turns an image into a feature vector and then into logits.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// What it is called: `mobilenet_v2`.
    pub name: String,
    /// The side of the images that it was made for, in pixels.
    pub input_size: usize,
    /// From an image to the last map.
    pub trunk: Vec<Block>,
    /// How many blocks of the trunk in a row its paper counts as one: a bottleneck that the input does not
    /// go around is a list of its layers here.
    pub units: Vec<usize>,
    /// From the last map to the feature vector.
    pub head: Vec<Block>,
    /// Length of the feature vector.
    pub features: usize,
    /// What turns features into logits, where it has not been replaced.
    pub classifier: Classifier,
}

/// What turns features into logits.
#[derive(Debug, Clone, PartialEq)]
pub enum Classifier {
    /// A dense layer over the feature vector.
    Linear(Linear),
    /// A convolution of the last map, before the head.
    Conv(Conv),
}

impl Network {
    /// The network up to the maps behind its first blocks, so many as its paper counts them (all where there
    /// are fewer), and the rest of it, which takes these maps.
    pub fn cut(&self, count: usize) -> [Self; 2] {
        let (first, left) = self.units.split_at(count.min(self.units.len()));
        let (before, behind) = self.trunk.split_at(first.iter().sum());
        let part =
            |trunk: &[Block], units: &[usize]| Self { trunk: trunk.to_vec(), units: units.to_vec(), ..self.clone() };
        let mut first = Self { head: Vec::new(), ..part(before, first) };
        let side = self.input_size;
        first.features = first.feature_map(side, side).map_or(0, |[channels, ..]| channels);
        [first, part(behind, left)]
    }

    /// Whether places become tokens, beside one for the class.
    pub(crate) fn is_transformer(&self) -> bool {
        self.trunk.iter().any(|block| matches!(block, Block::Tokens(_)))
    }

    /// The weights up to the features, in the order of the forward pass.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        let mut specs = Vec::new();
        for blocks in [&self.trunk, &self.head] {
            walk(blocks, &mut |block| block.tensors(&mut specs));
        }
        specs
    }

    /// The weights of the classifier.
    pub fn classifier_tensors(&self) -> Vec<TensorSpec> {
        let mut specs = Vec::new();
        match &self.classifier {
            Classifier::Conv(conv) => conv.tensors(&mut specs),
            Classifier::Linear(linear) => linear.tensors(&mut specs),
        }
        specs
    }

    /// How many parameters there are up to the features, running statistics not counted.
    pub fn parameters(&self) -> usize {
        count(&self.tensors())
    }

    /// How many parameters the classifier has.
    pub fn classifier_parameters(&self) -> usize {
        count(&self.classifier_tensors())
    }
}
