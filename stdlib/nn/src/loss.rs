//! Cross-entropy, and what is counted beside it.
//!
//! Two classes have one logit, the second one's; more have one each.

use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::backend::Backend;
use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorData};

/// The gradient of each row's cross-entropy by its logits `[rows, outputs]`: the probabilities, less what they
/// should be.
pub(crate) fn slopes<B: Backend>(logits: Tensor<B, 2>, labels: &[usize]) -> Tensor<B, 2> {
    let ([rows, outputs], device) = (logits.dims(), logits.device());
    if outputs == 1 {
        let wanted = labels.iter().map(|&label| label as f32).collect();
        return sigmoid(logits) - Tensor::from_data(TensorData::new::<f32, _>(wanted, [rows, 1]), &device);
    }
    let labels = labels.iter().map(|&label| label as i32).collect();
    let labels = Tensor::<B, 2, Int>::from_data(TensorData::new(labels, [rows, 1]), &device);
    let certain = Tensor::full([rows, 1], -1.0, &device);
    softmax(logits, 1).scatter(1, labels, certain, IndexingUpdateOp::Add)
}

/// Loss and hits over rows.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    loss: f64,
    hits: usize,
    rows: usize,
}

impl Sums {
    pub(crate) fn add(&mut self, logits: &[f32], labels: &[usize]) {
        let outputs = logits.len() / labels.len().max(1);
        for (row, &label) in logits.chunks_exact(outputs.max(1)).zip(labels) {
            let row: Vec<f64> = row.iter().map(|&logit| f64::from(logit)).collect();
            self.add_row(&row, label);
        }
    }

    pub(crate) fn add_row(&mut self, logits: &[f64], label: usize) {
        self.loss += cross_entropy(logits, label);
        self.hits += usize::from(predicted(logits) == label);
        self.rows += 1;
    }

    pub(crate) fn means(&self) -> Option<(f64, f64)> {
        let rows = self.rows as f64;
        (self.rows > 0).then(|| (self.loss / rows, self.hits as f64 / rows))
    }
}

/// `-log p(label)` from logits, without overflow.
fn cross_entropy(logits: &[f64], label: usize) -> f64 {
    match logits {
        [z] => {
            let z = if label == 1 { *z } else { -*z };
            (-z).max(0.0) + (-z.abs()).exp().ln_1p()
        }
        _ => {
            let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = logits.iter().map(|z| (z - most).exp()).sum();
            most + sum.ln() - logits[label]
        }
    }
}

/// The class of the greatest probability; for two classes, 1 from a probability of 0.5 on.
fn predicted(logits: &[f64]) -> usize {
    match logits {
        [z] => usize::from(*z >= 0.0),
        _ => (0..logits.len()).rev().max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or_default(),
    }
}

/// The probability of each class.
pub(crate) fn probabilities(logits: &[f64]) -> Vec<f64> {
    match logits {
        [z] => {
            let one = 1.0 / (1.0 + (-z).exp());
            vec![1.0 - one, one]
        }
        _ => {
            let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let each: Vec<f64> = logits.iter().map(|z| (z - most).exp()).collect();
            let sum: f64 = each.iter().sum();
            each.iter().map(|p| p / sum).collect()
        }
    }
}
