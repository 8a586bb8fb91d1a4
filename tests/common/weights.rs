//! Files of weights that chance made.

use pipe_network::{Weights, network};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize};

/// A network's weights as safetensors, by torchvision's names.
pub(crate) fn safetensors(model: &str) -> Vec<u8> {
    let network = network(model).unwrap();
    let weights = Weights::random(&network, 7);
    let numbers = |name: &str| -> Vec<u8> { weights.numbers(name).iter().flat_map(|n| n.to_le_bytes()).collect() };
    let all: Vec<_> = network.tensors().into_iter().map(|spec| (numbers(&spec.name), spec)).collect();
    let views =
        all.iter().map(|(bytes, spec)| (&spec.name, TensorView::new(Dtype::F32, spec.shape.clone(), bytes).unwrap()));
    serialize(views, None).unwrap()
}
