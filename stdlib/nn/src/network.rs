//! A network as data: a typed list of blocks, made from the tables of its paper.
//!
//! Readers of the description: the forward pass, the names and shapes of its weights, and what is
//! shown of it. Names are torchvision's.

/// A convolutional network that turns an image into a feature vector and then into logits.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// What it is called: `mobilenet_v2`.
    pub name: &'static str,
    /// The side of the images that it was made for, in pixels.
    pub input_size: usize,
    /// Length of the feature vector: the channels of the last block, averaged over height and width.
    pub features: usize,
    /// What images go through, in order.
    pub blocks: Vec<Block>,
    /// What turns features into logits, where it has not been replaced.
    pub classifier: Classifier,
}

/// One step of a network.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// A convolution with what follows it.
    Conv(Conv),
    /// The greatest value of each window.
    MaxPool {
        /// Side of the window.
        kernel: usize,
        /// Step of the window.
        stride: usize,
        /// Whether a window may hang over the end.
        ceil: bool,
    },
    /// Channels weighed by what they hold on average.
    SqueezeExcite(SqueezeExcite),
    /// `x + f(x)`.
    Residual(Vec<Block>),
    /// The outputs of several branches, their channels one after another.
    Concat(Vec<Vec<Block>>),
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
    /// Zeros added on each side.
    pub padding: usize,
    /// Groups; as many as channels in a depthwise convolution.
    pub groups: usize,
    /// Batch normalisation. A convolution has a bias where it has none.
    pub norm: Option<Norm>,
    /// The activation.
    pub activation: Activation,
}

/// Batch normalisation.
#[derive(Debug, Clone, PartialEq)]
pub struct Norm {
    /// The name before `.weight`.
    pub name: String,
    /// Added to the variance.
    pub epsilon: f32,
}

/// Squeeze and excitation (Hu et al. 2018): `x * sigmoid(fc2(silu(fc1(mean(x)))))`.
#[derive(Debug, Clone, PartialEq)]
pub struct SqueezeExcite {
    /// The name before `.fc1.weight`.
    pub name: String,
    /// Channels in and out.
    pub channels: usize,
    /// Channels between.
    pub squeezed: usize,
}

/// An elementwise function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x`.
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `x * sigmoid(x)`.
    Silu,
}

/// What turns features into logits.
#[derive(Debug, Clone, PartialEq)]
pub enum Classifier {
    /// A dense layer over the feature vector.
    Linear {
        /// The name before `.weight`.
        name: String,
        /// Classes.
        outputs: usize,
    },
    /// A convolution before the average over height and width.
    Conv(Conv),
}

/// A weight that a network has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name in a state dict.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Whether it counts as a parameter; the running statistics of a norm do not.
    pub is_parameter: bool,
}

/// One line of a network's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerRow {
    /// The layer's name in a state dict.
    pub name: String,
    /// What it is: `conv 3x3 /2`.
    pub kind: String,
    /// Channels out.
    pub channels: usize,
    /// Parameters.
    pub parameters: usize,
}

impl Network {
    /// The weights that the blocks have, in the order of the forward pass.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        let mut specs = Vec::new();
        walk(&self.blocks, &mut |block| match block {
            Block::Conv(conv) => conv.tensors(&mut specs),
            Block::SqueezeExcite(block) => block.convs().iter().for_each(|conv| conv.tensors(&mut specs)),
            _ => {}
        });
        specs
    }

    /// The weights of the classifier.
    pub fn classifier_tensors(&self) -> Vec<TensorSpec> {
        let mut specs = Vec::new();
        match &self.classifier {
            Classifier::Conv(conv) => conv.tensors(&mut specs),
            Classifier::Linear { name, outputs } => {
                specs.push(TensorSpec::parameter(format!("{name}.weight"), vec![*outputs, self.features]));
                specs.push(TensorSpec::parameter(format!("{name}.bias"), vec![*outputs]));
            }
        }
        specs
    }

    /// How many parameters the blocks have, running statistics not counted.
    pub fn parameters(&self) -> usize {
        count(&self.tensors())
    }

    /// How many parameters the classifier has.
    pub fn classifier_parameters(&self) -> usize {
        count(&self.classifier_tensors())
    }

    /// The layers that have weights.
    pub fn layers(&self) -> Vec<LayerRow> {
        let mut rows = Vec::new();
        let row = |conv: &Conv, kind: &str| {
            let mut specs = Vec::new();
            conv.tensors(&mut specs);
            let (kernel, stride) = (conv.kernel, conv.stride);
            let step = if stride > 1 { format!(" /{stride}") } else { String::new() };
            let kind = format!("{kind} {kernel}x{kernel}{step}");
            LayerRow { name: conv.name.clone(), kind, channels: conv.outputs, parameters: count(&specs) }
        };
        walk(&self.blocks, &mut |block| match block {
            Block::Conv(conv) => rows.push(row(conv, if conv.groups > 1 { "depthwise" } else { "conv" })),
            Block::SqueezeExcite(block) => rows.extend(block.convs().iter().map(|conv| row(conv, "squeeze-excite"))),
            _ => {}
        });
        rows
    }
}

impl Conv {
    pub(crate) fn tensors(&self, specs: &mut Vec<TensorSpec>) {
        let shape = vec![self.outputs, self.inputs / self.groups, self.kernel, self.kernel];
        specs.push(TensorSpec::parameter(format!("{}.weight", self.name), shape));
        let per_channel = vec![self.outputs];
        match &self.norm {
            None => specs.push(TensorSpec::parameter(format!("{}.bias", self.name), per_channel)),
            Some(norm) => {
                for part in ["weight", "bias"] {
                    specs.push(TensorSpec::parameter(format!("{}.{part}", norm.name), per_channel.clone()));
                }
                for part in ["running_mean", "running_var"] {
                    let name = format!("{}.{part}", norm.name);
                    specs.push(TensorSpec { name, shape: per_channel.clone(), is_parameter: false });
                }
            }
        }
    }
}

impl SqueezeExcite {
    /// Its two dense layers, which are 1x1 convolutions of the averages.
    pub(crate) fn convs(&self) -> [Conv; 2] {
        let conv = |part: &str, inputs, outputs, activation| Conv {
            name: format!("{}.{part}", self.name),
            inputs,
            outputs,
            kernel: 1,
            stride: 1,
            padding: 0,
            groups: 1,
            norm: None,
            activation,
        };
        [
            conv("fc1", self.channels, self.squeezed, Activation::Silu),
            conv("fc2", self.squeezed, self.channels, Activation::Identity),
        ]
    }
}

impl TensorSpec {
    fn parameter(name: String, shape: Vec<usize>) -> Self {
        Self { name, shape, is_parameter: true }
    }
}

fn count(specs: &[TensorSpec]) -> usize {
    specs.iter().filter(|spec| spec.is_parameter).map(|spec| spec.shape.iter().product::<usize>()).sum()
}

/// Visits every block, those inside others too, in the order of the forward pass.
fn walk(blocks: &[Block], visit: &mut impl FnMut(&Block)) {
    for block in blocks {
        visit(block);
        match block {
            Block::Residual(inner) => walk(inner, visit),
            Block::Concat(branches) => branches.iter().for_each(|branch| walk(branch, visit)),
            _ => {}
        }
    }
}
