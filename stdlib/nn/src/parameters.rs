//! From the description of a network to its layers.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use pipe_gpu::Products;
use pipe_network::{Attention, Block, Conv, LayerNorm, Linear, Tokens};

use crate::layer::{Convolution, Heads, Layer, Scale};
use crate::operations::Dense;

/// Where layers get their numbers.
pub(crate) trait Parameters<B: Backend> {
    /// The numbers of that name in a state dict, as such a shape.
    fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Tensor<B, D>;

    /// In which numbers factors are taken.
    fn products(&self) -> Products;

    /// A convolution with what follows it.
    fn conv(&self, conv: &Conv) -> Convolution<B>;

    /// The second dense layer of squeeze-and-excitation.
    fn excite(&self, linear: &Linear) -> Dense<B> {
        self.linear(linear)
    }

    /// The layers of blocks.
    fn layers(&self, blocks: &[Block]) -> Vec<Layer<B>> {
        blocks.iter().map(|block| self.layer(block)).collect()
    }

    /// The layer of a block.
    fn layer(&self, block: &Block) -> Layer<B> {
        match block {
            Block::Conv(conv) => Layer::Conv(self.conv(conv)),
            Block::Linear(linear) => Layer::Linear(self.linear(linear)),
            Block::LayerNorm(norm) => Layer::Norm(self.scale(norm), norm.epsilon),
            Block::MaxPool(pool) => Layer::MaxPool(*pool),
            Block::SqueezeExcite(block) => {
                let [squeeze, excite] = block.linears();
                Layer::SqueezeExcite([self.linear(&squeeze), self.excite(&excite)])
            }
            Block::Attention(attention) => Layer::Attention(Box::new(self.heads(attention))),
            Block::Residual(residual) => Layer::Residual {
                body: self.layers(&residual.body),
                shortcut: self.layers(&residual.shortcut),
                scale: residual.scale.as_ref().map(|name| self.tensor(name, [1, residual.channels(), 1, 1])),
                activation: residual.activation,
            },
            Block::Concat(branches) => Layer::Concat(branches.iter().map(|branch| self.layers(branch)).collect()),
            Block::Tokens(tokens) => self.tokens(tokens),
            Block::FirstToken => Layer::FirstToken,
            Block::PatchTokens => Layer::PatchTokens,
            Block::Mean => Layer::Mean,
        }
    }

    /// A dense layer.
    fn linear(&self, linear: &Linear) -> Dense<B> {
        let names = [format!("{}.weight", linear.name), format!("{}.bias", linear.name)];
        self.dense(names, linear)
    }

    /// A dense layer whose weight and bias have names of their own.
    fn dense(&self, [weight, bias]: [String; 2], linear: &Linear) -> Dense<B> {
        Dense {
            weight: self.tensor(&weight, [linear.outputs, linear.inputs, 1, 1]),
            bias: self.tensor(&bias, [1, linear.outputs, 1, 1]),
            activation: linear.activation,
            products: self.products(),
        }
    }

    /// A factor and a summand for each channel.
    fn scale(&self, norm: &LayerNorm) -> Scale<B> {
        let part = |part: &str| self.tensor(&format!("{}.{part}", norm.name), [1, norm.channels, 1, 1]);
        Scale { weight: part("weight"), bias: part("bias") }
    }

    /// The dense layers of attention.
    fn heads(&self, attention: &Attention) -> Heads<B> {
        let (weight, bias, after) = attention.linears();
        let all = Linear { outputs: 3 * attention.channels, ..after.clone() };
        Heads {
            heads: attention.heads,
            queries_keys_values: self.dense([weight, bias], &all),
            after: self.linear(&after),
        }
    }

    /// What is added to the places of a transformer.
    fn tokens(&self, tokens: &Tokens) -> Layer<B> {
        let channels = tokens.channels;
        let class = self.tensor(&tokens.class, [1, 1, channels, 1]).swap_dims(1, 2);
        let positions = self.tensor(&tokens.positions, [1, 1 + tokens.places, channels, 1]).swap_dims(1, 2);
        let first = positions.clone().narrow(2, 0, 1) + class;
        Layer::Tokens(first, positions.narrow(2, 1, tokens.places))
    }
}
