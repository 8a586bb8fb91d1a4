//! A network as a table of its layers: shapes, parameters, work.

use crate::block::{Block, Conv, Linear};
use crate::error::UnfitImage;
use crate::network::{Classifier, Network};
use crate::tensors::{TensorSpec, count};

/// One layer that has weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerRow {
    /// Its name in a state dict.
    pub name: String,
    /// What it is: `conv 3x3 /2`.
    pub kind: String,
    /// What comes out: channels, height, width.
    pub output: Map,
    /// Parameters.
    pub parameters: usize,
    /// Multiply-adds for one image.
    pub multiply_adds: u64,
}

/// Channels, height, width.
type Map = [usize; 3];

impl Network {
    /// The layers that have weights up to the features, for an image of `height` x `width` pixels.
    ///
    /// `None` where the image is too small for the network, or of another size than it takes.
    pub fn layers(&self, height: usize, width: usize) -> Option<Vec<LayerRow>> {
        self.table(height, width).map(|(table, ..)| table.rows)
    }

    /// Whether images of that size come out as features.
    ///
    /// # Errors
    /// What is wrong with the size.
    pub fn check_image(&self, height: usize, width: usize) -> Result<(), UnfitImage> {
        self.table(height, width).map(drop).ok_or_else(|| self.unfit(height, width))
    }

    /// What is wrong with a size that this network does not take.
    pub fn unfit(&self, height: usize, width: usize) -> UnfitImage {
        let takes = self.is_transformer().then_some(self.input_size);
        UnfitImage { network: self.name.clone(), height, width, takes }
    }

    /// The layer behind them.
    pub fn classifier_layer(&self, height: usize, width: usize) -> Option<LayerRow> {
        let (_, last, features) = self.table(height, width)?;
        let mut table = Table::default();
        match &self.classifier {
            Classifier::Conv(conv) => table.conv(conv, last)?,
            Classifier::Linear(linear) => table.linear(linear, features),
        };
        table.rows.pop()
    }

    /// Channels, height and width of the features, for an image of `height` x `width` pixels.
    ///
    /// `None` as in [`Network::layers`].
    pub fn feature_map(&self, height: usize, width: usize) -> Option<Map> {
        self.table(height, width).map(|(.., features)| features)
    }

    /// The layers, the last map and the features.
    fn table(&self, height: usize, width: usize) -> Option<(Table, Map, Map)> {
        let mut table = Table::default();
        let last = table.blocks(&self.trunk, [3, height, width])?;
        let features = table.blocks(&self.head, last)?;
        Some((table, last, features))
    }
}

#[derive(Default)]
struct Table {
    rows: Vec<LayerRow>,
}

impl Table {
    fn blocks(&mut self, blocks: &[Block], map: Map) -> Option<Map> {
        blocks.iter().try_fold(map, |map, block| self.block(block, map))
    }

    fn block(&mut self, block: &Block, map @ [channels, height, width]: Map) -> Option<Map> {
        let mut specs = Vec::new();
        block.tensors(&mut specs);
        Some(match block {
            Block::Conv(conv) => self.conv(conv, map)?,
            Block::Linear(linear) => self.linear(linear, map),
            Block::LayerNorm(norm) => {
                self.push(&norm.name, "layer norm".into(), map, &specs, 0);
                map
            }
            Block::MaxPool(pool) => [channels, pool.output_size(height)?, pool.output_size(width)?],
            Block::SqueezeExcite(block) => {
                block.convs().iter().try_fold([channels, 1, 1], |map, conv| self.dense(conv, "squeeze-excite", map))?;
                map
            }
            Block::Attention(attention) => {
                let places = (height * width) as u64;
                let projections = 4 * places * (channels * channels) as u64;
                let products = 2 * places * places * channels as u64;
                let kind = format!("attention x{}", attention.heads);
                self.push(&attention.name, kind, map, &specs, projections + products);
                map
            }
            Block::Residual(residual) => {
                let map = self.blocks(&residual.shortcut, map).and(self.blocks(&residual.body, map))?;
                if let Some(name) = &residual.scale {
                    self.push(name, "scale".into(), map, &specs, 0);
                }
                map
            }
            Block::Concat(branches) => {
                let mut whole = None;
                for branch in branches {
                    let [outputs, height, width] = self.blocks(branch, map)?;
                    let before = whole.map_or(0, |[channels, ..]: Map| channels);
                    whole = Some([before + outputs, height, width]);
                }
                whole?
            }
            Block::Tokens(tokens) => {
                if height * width != tokens.places {
                    return None;
                }
                let map = [channels, 1, tokens.places + 1];
                self.push(&tokens.positions, "tokens".into(), map, &specs, 0);
                map
            }
            Block::FirstToken | Block::Mean => [channels, 1, 1],
            Block::PatchTokens => [channels, height, width.checked_sub(1)?],
        })
    }

    fn conv(&mut self, conv: &Conv, map: Map) -> Option<Map> {
        self.dense(conv, if conv.is_depthwise() { "depthwise" } else { "conv" }, map)
    }

    fn dense(&mut self, conv: &Conv, kind: &str, [_, height, width]: Map) -> Option<Map> {
        let map = [conv.outputs, conv.output_size(height)?, conv.output_size(width)?];
        let step = if conv.stride > 1 { format!(" /{}", conv.stride) } else { String::new() };
        let kind = format!("{kind} {0}x{0}{step}", conv.kernel);
        let each = conv.inputs / conv.groups * conv.kernel * conv.kernel;
        let mut specs = Vec::new();
        conv.tensors(&mut specs);
        self.push(&conv.name, kind, map, &specs, (each * map.iter().product::<usize>()) as u64);
        Some(map)
    }

    fn linear(&mut self, linear: &Linear, [_, height, width]: Map) -> Map {
        let mut specs = Vec::new();
        linear.tensors(&mut specs);
        let work = (height * width * linear.inputs * linear.outputs) as u64;
        let map = [linear.outputs, height, width];
        self.push(&linear.name, "linear".into(), map, &specs, work);
        map
    }

    fn push(&mut self, name: &str, kind: String, output: Map, specs: &[TensorSpec], multiply_adds: u64) {
        self.rows.push(LayerRow { name: name.to_owned(), kind, output, parameters: count(specs), multiply_adds });
    }
}
