//! The learning rate over a training.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the learning rate goes on once it is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Down to 0 along half a cosine (Loshchilov and Hutter 2016, without restarts).
    #[default]
    Cosine,
    /// As it is.
    Constant,
}

impl Schedule {
    /// The part of the learning rate at a step, in 0..=1: it rises in a straight line over the first
    /// `warmup` steps.
    pub(super) fn factor(self, step: usize, steps: usize, warmup: usize) -> f64 {
        if step < warmup {
            return (step + 1) as f64 / warmup as f64;
        }
        match self {
            Self::Constant => 1.0,
            Self::Cosine => {
                let done = (step - warmup) as f64 / (steps - warmup).max(1) as f64;
                (1.0 + (std::f64::consts::PI * done).cos()) / 2.0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    #[test]
    fn rises_and_falls() {
        let factors: Vec<f64> = (0..6).map(|step| Schedule::Cosine.factor(step, 6, 2)).collect();
        // By hand: (1 + cos(k pi / 4)) / 2.
        let expected = [0.5, 1.0, 1.0, 0.853_553, 0.5, 0.146_447];
        assert!(factors.iter().zip(expected).all(|(found, wanted)| (found - wanted).abs() < 1e-6), "{factors:?}");
        assert!((0..3).all(|step| Schedule::Constant.factor(step, 3, 0) == 1.0));
    }
}
