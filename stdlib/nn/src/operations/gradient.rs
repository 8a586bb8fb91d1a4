//! Operations on a backend that differentiates.

use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::Autodiff;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{FloatDType, Int, Tensor, TensorPrimitive};
use pipe_gpu::{Products, Window};
use pipe_network::Activation;

use super::{BatchNorm, Operations};

impl<B: Operations, C: CheckpointStrategy> Operations for Autodiff<B, C> {
    fn images(
        words: Tensor<Self, 1, Int>,
        shape: [usize; 3],
        normalize: [[f32; 3]; 2],
        numbers: FloatDType,
    ) -> Tensor<Self, 4> {
        Tensor::from_inner(B::images(words.inner(), shape, normalize, numbers))
    }

    fn activate(x: Tensor<Self, 4>, activation: Activation) -> Tensor<Self, 4> {
        if activation == Activation::Identity {
            return x;
        }
        let x = x.into_primitive().tensor();
        let out = primitive(B::activate(tensor::<B, 4>(x.primitive.clone()), activation));
        tensor(match Activate.prepare::<C>([x.node.clone()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((x.primitive, activation), out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        })
    }

    fn shift(x: Tensor<Self, 4>, bias: Tensor<Self, 4>, activation: Activation) -> Tensor<Self, 4> {
        let (x, bias) = (x.into_primitive().tensor(), bias.into_primitive().tensor());
        let inner = |of: &FloatTensor<Self>| tensor::<B, 4>(of.primitive.clone());
        let out = primitive(B::shift(inner(&x), inner(&bias), activation));
        let nodes = [x.node.clone(), bias.node.clone()];
        tensor(match Shift.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((x.primitive, bias.primitive, activation), out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        })
    }

    fn fork(x: Tensor<Self, 4>) -> [Tensor<Self, 4>; 2] {
        let x = x.into_primitive().tensor();
        let first = Arc::new(Mutex::new(None));
        [(); 2].map(|()| {
            let out = x.primitive.clone();
            tensor(match Fork.prepare::<C>([x.node.clone()]).compute_bound().stateful() {
                OpsKind::Tracked(prepared) => prepared.finish(Arc::clone(&first), out),
                OpsKind::UnTracked(prepared) => prepared.finish(out),
            })
        })
    }

    fn add(x: Tensor<Self, 4>, rest: Tensor<Self, 4>, activation: Activation) -> Tensor<Self, 4> {
        let (x, rest) = (x.into_primitive().tensor(), rest.into_primitive().tensor());
        let nodes = [x.node.clone(), rest.node.clone()];
        let out = primitive(B::add(tensor(x.primitive), tensor(rest.primitive), Activation::Identity));
        let sum = tensor(match Add.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((), out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        });
        Self::activate(sum, activation)
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
        let out = primitive(B::normalize(tensor::<B, 4>(x.primitive.clone()), &inner, activation));
        tensor(match Normalize.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((x.primitive, inner, activation), out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        })
    }

    fn weigh(x: Tensor<Self, 4>, weights: Tensor<Self, 4>) -> Tensor<Self, 4> {
        let (x, weights) = (x.into_primitive().tensor(), weights.into_primitive().tensor());
        let out = primitive(B::weigh(tensor(x.primitive.clone()), tensor(weights.primitive.clone())));
        tensor(match Weigh.prepare::<C>([x.node.clone(), weights.node.clone()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((x.primitive, weights.primitive), out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        })
    }

    fn average(x: Tensor<Self, 4>) -> Tensor<Self, 4> {
        let [.., height, width] = x.dims();
        let x = x.into_primitive().tensor();
        let out = primitive(B::average(tensor(x.primitive)));
        tensor(match Average.prepare::<C>([x.node.clone()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish([height, width], out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        })
    }

    fn moments(x: Tensor<Self, 4>) -> (Tensor<Self, 4>, Tensor<Self, 4>) {
        let (mean, variance) = B::moments(x.inner());
        (Tensor::from_inner(mean), Tensor::from_inner(variance))
    }

    fn multiply(left: Tensor<Self, 3>, right: Tensor<Self, 3>, products: Products) -> Tensor<Self, 3> {
        let (left, right) = (left.into_primitive().tensor(), right.into_primitive().tensor());
        let out = B::multiply(tensor(left.primitive.clone()), tensor(right.primitive.clone()), products);
        let out = primitive(out);
        tensor(match Multiply.prepare::<C>([left.node.clone(), right.node.clone()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((left.primitive, right.primitive, products), out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        })
    }

    fn convolve(x: Tensor<Self, 4>, weight: Tensor<Self, 4>, window: Window, products: Products) -> Tensor<Self, 4> {
        let (x, weight) = (x.into_primitive().tensor(), weight.into_primitive().tensor());
        let (of_x, of_weight) = (tensor::<B, 4>(x.primitive.clone()), tensor(weight.primitive.clone()));
        let out = primitive(B::convolve(of_x, of_weight, window, products));
        let nodes = [x.node.clone(), weight.node.clone()];
        tensor(match Convolve.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((x.primitive, weight.primitive, window, products), out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        })
    }

    fn depthwise(x: Tensor<Self, 4>, weight: Tensor<Self, 4>, window: Window) -> Tensor<Self, 4> {
        let (x, weight) = (x.into_primitive().tensor(), weight.into_primitive().tensor());
        let (of_x, of_weight) = (tensor::<B, 4>(x.primitive.clone()), tensor(weight.primitive.clone()));
        let out = primitive(B::depthwise(of_x, of_weight, window));
        let nodes = [x.node.clone(), weight.node.clone()];
        tensor(match Depthwise.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((x.primitive, weight.primitive, window), out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        })
    }
}

#[derive(Debug)]
struct Activate;

impl<B: Operations> Backward<B, 1> for Activate {
    type State = (FloatTensor<B>, Activation);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = tensor::<B, 4>(gradients.consume::<B>(&ops.node));
        let (x, activation) = ops.state;
        if let [Some(parent)] = ops.parents {
            gradients.register::<B>(parent.id, primitive(B::activate_backward(tensor(x), gradient, activation)));
        }
    }
}

/// One of two that take the same maps.
#[derive(Debug)]
struct Fork;

impl<B: Operations> Backward<B, 1> for Fork {
    /// The gradient of the one whose turn came first.
    type State = Arc<Mutex<Option<FloatTensor<B>>>>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let mut first = ops.state.lock().unwrap_or_else(PoisonError::into_inner);
        let [Some(parent)] = ops.parents else { return };
        match first.take() {
            Some(first) => {
                let sum = B::add(tensor(first), tensor(gradient), Activation::Identity);
                gradients.register::<B>(parent.id, primitive(sum));
            }
            None => *first = Some(gradient),
        }
    }
}

#[derive(Debug)]
struct Add;

impl<B: Operations> Backward<B, 2> for Add {
    type State = ();

    fn backward(self, ops: Ops<(), 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        for parent in ops.parents.into_iter().flatten() {
            gradients.register::<B>(parent.id, gradient.clone());
        }
    }
}

#[derive(Debug)]
struct Shift;

impl<B: Operations> Backward<B, 2> for Shift {
    type State = (FloatTensor<B>, FloatTensor<B>, Activation);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = tensor::<B, 4>(gradients.consume::<B>(&ops.node));
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
        let gradient = tensor::<B, 4>(gradients.consume::<B>(&ops.node));
        let (x, norm, activation) = ops.state;
        let parents = ops.parents.map(|parent| parent.map(|parent| parent.id));
        register(parents, B::normalize_backward(tensor(x), &norm, activation, gradient), gradients);
    }
}

#[derive(Debug)]
struct Weigh;

impl<B: Operations> Backward<B, 2> for Weigh {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = tensor::<B, 4>(gradients.consume::<B>(&ops.node));
        let (x, weights) = ops.state;
        let parents = ops.parents.map(|parent| parent.map(|parent| parent.id));
        register(parents, B::weigh_backward(tensor(x), tensor(weights), gradient), gradients);
    }
}

#[derive(Debug)]
struct Average;

impl<B: Operations> Backward<B, 1> for Average {
    type State = [usize; 2];

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = tensor::<B, 4>(gradients.consume::<B>(&ops.node));
        let parents = ops.parents.map(|parent| parent.map(|parent| parent.id));
        register(parents, [B::average_backward(gradient, ops.state)], gradients);
    }
}

#[derive(Debug)]
struct Multiply;

impl<B: Operations> Backward<B, 2> for Multiply {
    type State = (FloatTensor<B>, FloatTensor<B>, Products);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = tensor::<B, 3>(gradients.consume::<B>(&ops.node));
        let (left, right, products) = ops.state;
        let [of_left, of_right] = ops.parents;
        if let Some(parent) = of_left {
            let right = tensor::<B, 3>(right).swap_dims(1, 2);
            gradients.register::<B>(parent.id, primitive(B::multiply(gradient.clone(), right, products)));
        }
        if let Some(parent) = of_right {
            let left = tensor::<B, 3>(left).swap_dims(1, 2);
            gradients.register::<B>(parent.id, primitive(B::multiply(left, gradient, products)));
        }
    }
}

#[derive(Debug)]
struct Convolve;

impl<B: Operations> Backward<B, 2> for Convolve {
    type State = (FloatTensor<B>, FloatTensor<B>, Window, Products);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = tensor::<B, 4>(gradients.consume::<B>(&ops.node));
        let (x, weight, window, products) = ops.state;
        let parents = ops.parents.map(|parent| parent.map(|parent| parent.id));
        let wants = [parents[0].is_some(), parents[1].is_some()];
        let all = B::convolve_backward(tensor(x), tensor(weight), gradient, window, products, wants);
        for (parent, gradient) in parents.into_iter().zip(all) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                gradients.register::<B>(parent, primitive(gradient));
            }
        }
    }
}

#[derive(Debug)]
struct Depthwise;

impl<B: Operations> Backward<B, 2> for Depthwise {
    type State = (FloatTensor<B>, FloatTensor<B>, Window);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = tensor::<B, 4>(gradients.consume::<B>(&ops.node));
        let (x, weight, window) = ops.state;
        let [of_x, of_weight] = ops.parents;
        if let Some(parent) = of_x {
            let back = B::depthwise_backward(tensor(x.clone()), tensor(weight), gradient.clone(), window);
            gradients.register::<B>(parent.id, primitive(back));
        }
        if let Some(parent) = of_weight {
            let back = B::depthwise_weight_backward(tensor(x), gradient, window);
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

fn tensor<B: Backend, const D: usize>(primitive: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}

fn primitive<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}
