//! The operations of `operations` on a backend that differentiates.

use burn::backend::Autodiff;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::backend::Backend;
use burn::tensor::ops::{ConvOptions, FloatTensor};
use burn::tensor::{Tensor, TensorPrimitive};
use pipe_network::Activation;

use crate::operations::{BatchNorm, Operations};

impl<B: Operations, C: CheckpointStrategy> Operations for Autodiff<B, C> {
    fn activate(x: Tensor<Self, 4>, activation: Activation) -> Tensor<Self, 4> {
        if activation == Activation::Identity {
            return x;
        }
        let x = x.into_primitive().tensor();
        let out = primitive(B::activate(tensor::<B>(x.primitive.clone()), activation));
        tensor(match Activate.prepare::<C>([x.node.clone()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((x.primitive, activation), out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        })
    }

    fn shift(x: Tensor<Self, 4>, bias: Tensor<Self, 4>, activation: Activation) -> Tensor<Self, 4> {
        let (x, bias) = (x.into_primitive().tensor(), bias.into_primitive().tensor());
        let inner = |of: &FloatTensor<Self>| tensor::<B>(of.primitive.clone());
        let out = primitive(B::shift(inner(&x), inner(&bias), activation));
        let nodes = [x.node.clone(), bias.node.clone()];
        tensor(match Shift.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((x.primitive, bias.primitive, activation), out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        })
    }

    fn normalize(x: Tensor<Self, 4>, norm: &BatchNorm<Self>, activation: Activation) -> Tensor<Self, 4> {
        let inner = BatchNorm {
            weight: norm.weight.clone().inner(),
            bias: norm.bias.clone().inner(),
            mean: norm.mean.clone().inner(),
            variance: norm.variance.clone().inner(),
            epsilon: norm.epsilon,
        };
        let x = x.into_primitive().tensor();
        let node = |of: &Tensor<Self, 4>| of.clone().into_primitive().tensor().node;
        let nodes = [x.node.clone(), node(&norm.weight), node(&norm.bias)];
        let out = primitive(B::normalize(tensor::<B>(x.primitive.clone()), &inner, activation));
        tensor(match Normalize.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((x.primitive, inner, activation), out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        })
    }

    fn depthwise(x: Tensor<Self, 4>, weight: Tensor<Self, 4>, options: ConvOptions<2>) -> Tensor<Self, 4> {
        let (x, weight) = (x.into_primitive().tensor(), weight.into_primitive().tensor());
        let (of_x, of_weight) = (tensor::<B>(x.primitive.clone()), tensor::<B>(weight.primitive.clone()));
        let out = primitive(B::depthwise(of_x, of_weight, options.clone()));
        let nodes = [x.node.clone(), weight.node.clone()];
        tensor(match Depthwise.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((x.primitive, weight.primitive, options), out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        })
    }
}

#[derive(Debug)]
struct Activate;

impl<B: Operations> Backward<B, 1> for Activate {
    type State = (FloatTensor<B>, Activation);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = tensor::<B>(gradients.consume::<B>(&ops.node));
        let (x, activation) = ops.state;
        if let [Some(parent)] = ops.parents {
            gradients.register::<B>(parent.id, primitive(B::activate_backward(tensor(x), gradient, activation)));
        }
    }
}

#[derive(Debug)]
struct Shift;

impl<B: Operations> Backward<B, 2> for Shift {
    type State = (FloatTensor<B>, FloatTensor<B>, Activation);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = tensor::<B>(gradients.consume::<B>(&ops.node));
        let (x, bias, activation) = ops.state;
        let parents = ops.parents.map(|parent| parent.map(|parent| parent.id));
        register(parents, B::shift_backward(tensor(x), tensor(bias), activation, gradient), gradients);
    }
}

#[derive(Debug)]
struct Normalize;

impl<B: Operations> Backward<B, 3> for Normalize {
    type State = (FloatTensor<B>, BatchNorm<B>, Activation);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = tensor::<B>(gradients.consume::<B>(&ops.node));
        let (x, norm, activation) = ops.state;
        let parents = ops.parents.map(|parent| parent.map(|parent| parent.id));
        register(parents, B::normalize_backward(tensor(x), &norm, activation, gradient), gradients);
    }
}

#[derive(Debug)]
struct Depthwise;

impl<B: Operations> Backward<B, 2> for Depthwise {
    type State = (FloatTensor<B>, FloatTensor<B>, ConvOptions<2>);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let (x, weight, options) = ops.state;
        let [of_x, of_weight] = ops.parents;
        if let Some(parent) = of_x {
            let back = B::conv2d_x_backward(x.clone(), weight.clone(), gradient.clone(), options.clone());
            gradients.register::<B>(parent.id, back);
        }
        if let Some(parent) = of_weight {
            let [.., height, width] = tensor::<B>(weight).dims();
            let back = B::depthwise_weight_backward(tensor(x), tensor(gradient), [height, width], &options);
            gradients.register::<B>(parent.id, primitive(back));
        }
    }
}

/// Gives those that want one their gradient.
fn register<B: Backend, const N: usize>(
    parents: [Option<NodeId>; N],
    all: [Tensor<B, 4>; N],
    gradients: &mut Gradients,
) {
    for (parent, gradient) in parents.into_iter().zip(all) {
        if let Some(parent) = parent {
            gradients.register::<B>(parent, primitive(gradient));
        }
    }
}

fn tensor<B: Backend>(primitive: FloatTensor<B>) -> Tensor<B, 4> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}

fn primitive<B: Backend>(tensor: Tensor<B, 4>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}
