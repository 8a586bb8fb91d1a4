//! The blocks that networks are made of.
//!
//! What flows between them is a map: channels at each of height x width places. Names are those
//! of torchvision's state dicts.

/// One step of a network.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// A convolution with what follows it.
    Conv(Conv),
    /// A dense layer over the channels of each place.
    Linear(Linear),
    /// Normalisation over the channels of each place.
    LayerNorm(LayerNorm),
    /// The greatest value of each window.
    MaxPool(MaxPool),
    /// Channels weighed by what they hold on average.
    SqueezeExcite(SqueezeExcite),
    /// Every place looks at every other.
    Attention(Attention),
    /// `activation(shortcut(x) + body(x))`.
    Residual(Residual),
    /// The outputs of several branches, their channels one after another.
    Concat(Vec<Vec<Block>>),
    /// The places in one row behind a place of their own, with what tells them apart.
    Tokens(Tokens),
    /// The first place alone.
    FirstToken,
    /// All places but the first.
    PatchTokens,
    /// The mean over all places.
    Mean,
}

/// A 2-D convolution, then normalisation, then an activation.
#[derive(Debug, Clone, PartialEq)]
pub struct Conv {
    /// The name before `.weight`.
    pub name: String,
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Step of the kernel.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: Padding,
    /// Groups: 1, or as many as channels in a depthwise convolution.
    pub groups: usize,
    /// Batch normalisation. A convolution has a bias where it has none.
    pub norm: Option<Norm>,
    /// The activation.
    pub activation: Activation,
}

/// Zeros around the input of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// So many on each side.
    Each(usize),
    /// TensorFlow's `same`: as many as give `ceil(size / stride)` places, the odd one at the end.
    Same,
}

/// Batch normalisation.
#[derive(Debug, Clone, PartialEq)]
pub struct Norm {
    /// The name before `.weight`.
    pub name: String,
    /// Added to the variance.
    pub epsilon: f32,
}

/// `activation(weight x + bias)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// The name before `.weight`.
    pub name: String,
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// The activation.
    pub activation: Activation,
}

/// Layer normalisation (Ba et al. 2016), with a scale and a bias a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerNorm {
    /// The name before `.weight`.
    pub name: String,
    /// Channels.
    pub channels: usize,
    /// Added to the variance.
    pub epsilon: f32,
}

/// The greatest value of each window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPool {
    /// Side of the window.
    pub kernel: usize,
    /// Step of the window.
    pub stride: usize,
    /// How far windows hang over each side.
    pub padding: usize,
    /// Whether a last window may hang over the end further.
    pub ceil: bool,
}

/// Squeeze and excitation (Hu et al. 2018): `x * gate(fc2(activation(fc1(mean(x)))))`.
#[derive(Debug, Clone, PartialEq)]
pub struct SqueezeExcite {
    /// The name before `.fc1.weight`.
    pub name: String,
    /// Channels in and out.
    pub channels: usize,
    /// Channels between.
    pub squeezed: usize,
    /// The activation between.
    pub activation: Activation,
    /// What makes weights in 0..=1 of the outputs.
    pub gate: Activation,
}

/// Self-attention with several heads (Vaswani et al. 2017), PyTorch's `MultiheadAttention`.
#[derive(Debug, Clone, PartialEq)]
pub struct Attention {
    /// The name before `.in_proj_weight`.
    pub name: String,
    /// Channels in and out.
    pub channels: usize,
    /// Heads, each of `channels / heads` channels.
    pub heads: usize,
}

/// `activation(shortcut(x) + body(x))`.
#[derive(Debug, Clone, PartialEq)]
pub struct Residual {
    /// What is added to the input.
    pub body: Vec<Block>,
    /// What the input goes through on the other side; nothing at most times.
    pub shortcut: Vec<Block>,
    /// A factor for each channel of the body, `[channels, 1, 1]`: its name.
    pub scale: Option<String>,
    /// What follows the sum.
    pub activation: Activation,
}

/// The input of a transformer (Dosovitskiy et al. 2020): a class token, then the places row by row,
/// all with a learned vector for their position added.
#[derive(Debug, Clone, PartialEq)]
pub struct Tokens {
    /// The name of the class token, `[1, 1, channels]`.
    pub class: String,
    /// The name of the positions, `[1, 1 + places, channels]`.
    pub positions: String,
    /// Channels.
    pub channels: usize,
    /// Places, without the class token.
    pub places: usize,
}

/// An elementwise function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `x`.
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `x * sigmoid(x)`.
    Silu,
    /// `x * min(max(x + 3, 0), 6) / 6`.
    HardSwish,
    /// `x * (1 + erf(x / sqrt(2))) / 2`.
    Gelu,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `min(max(x + 3, 0), 6) / 6`.
    HardSigmoid,
}

impl Conv {
    /// A convolution that keeps the places (at stride 1), with a bias and no activation.
    pub(crate) fn new(name: impl Into<String>, inputs: usize, outputs: usize, kernel: usize) -> Self {
        Self {
            name: name.into(),
            inputs,
            outputs,
            kernel,
            stride: 1,
            padding: Padding::Each(kernel / 2),
            groups: 1,
            norm: None,
            activation: Activation::Identity,
        }
    }

    pub(crate) fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    pub(crate) fn padding(self, padding: usize) -> Self {
        Self { padding: Padding::Each(padding), ..self }
    }

    pub(crate) fn depthwise(self) -> Self {
        Self { groups: self.inputs, ..self }
    }

    pub(crate) fn norm(self, name: impl Into<String>, epsilon: f32) -> Self {
        Self { norm: Some(Norm { name: name.into(), epsilon }), ..self }
    }

    pub(crate) fn activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// The shape of its weights.
    pub fn weight_shape(&self) -> [usize; 4] {
        [self.outputs, self.inputs / self.groups, self.kernel, self.kernel]
    }

    /// Whether every channel is convolved with a kernel of its own.
    pub fn is_depthwise(&self) -> bool {
        self.groups > 1
    }

    /// Zeros before and after `size` places along one side.
    pub fn padding_of(&self, size: usize) -> (usize, usize) {
        match self.padding {
            Padding::Each(each) => (each, each),
            Padding::Same => {
                let wanted = (size.div_ceil(self.stride).max(1) - 1) * self.stride + self.kernel;
                let all = wanted.saturating_sub(size);
                (all / 2, all - all / 2)
            }
        }
    }

    /// Places along one side of the output, for `size` of the input; `None` where the kernel does not fit.
    pub fn output_size(&self, size: usize) -> Option<usize> {
        let (before, after) = self.padding_of(size);
        Some((size + before + after).checked_sub(self.kernel)? / self.stride + 1)
    }
}

impl MaxPool {
    /// Places along one side of the output, for `size` of the input; `None` where the window does not fit.
    pub fn output_size(&self, size: usize) -> Option<usize> {
        let free = (size + 2 * self.padding).checked_sub(self.kernel)?;
        let windows = if self.ceil { free.div_ceil(self.stride) } else { free / self.stride } + 1;
        // As in PyTorch, a window that begins behind the input does not count.
        let is_beyond = self.ceil && (windows - 1) * self.stride >= size + self.padding;
        Some(if is_beyond { windows - 1 } else { windows })
    }
}

impl SqueezeExcite {
    /// Its two dense layers, which are 1x1 convolutions of the averages.
    pub fn convs(&self) -> [Conv; 2] {
        [
            Conv::new(format!("{}.fc1", self.name), self.channels, self.squeezed, 1).activation(self.activation),
            Conv::new(format!("{}.fc2", self.name), self.squeezed, self.channels, 1).activation(self.gate),
        ]
    }

    /// The same as dense layers.
    pub fn linears(&self) -> [Linear; 2] {
        self.convs().map(|Conv { name, inputs, outputs, activation, .. }| Linear { name, inputs, outputs, activation })
    }
}

impl Attention {
    /// The dense layer from the input to queries, keys and values, as its two names and its shape,
    /// and the one behind.
    pub fn linears(&self) -> (String, String, Linear) {
        let name = &self.name;
        let after = Linear {
            name: format!("{name}.out_proj"),
            inputs: self.channels,
            outputs: self.channels,
            activation: Activation::Identity,
        };
        (format!("{name}.in_proj_weight"), format!("{name}.in_proj_bias"), after)
    }
}

impl Residual {
    /// `x + body(x)`.
    pub(crate) fn plain(body: Vec<Block>) -> Self {
        Self { body, shortcut: Vec::new(), scale: None, activation: Activation::Identity }
    }

    /// Channels out.
    pub fn channels(&self) -> usize {
        self.body.iter().rev().find_map(Block::outputs).unwrap_or_default()
    }
}

/// Visits every block, those inside others too, in the order of the forward pass.
pub(crate) fn walk(blocks: &[Block], visit: &mut impl FnMut(&Block)) {
    for block in blocks {
        match block {
            Block::Residual(residual) => {
                walk(&residual.body, visit);
                walk(&residual.shortcut, visit);
                visit(block);
            }
            Block::Concat(branches) => branches.iter().for_each(|branch| walk(branch, visit)),
            block => visit(block),
        }
    }
}
