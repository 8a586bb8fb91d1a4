//! How exactly a network computes.

use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Tensor};

/// The numbers that weights and maps are kept in, and those that are multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 32 bits, 24 of them for the digits.
    #[default]
    F32,
    /// Kept as `F32`; factors are rounded to 11 digits where NVIDIA's tensor cores multiply.
    Tf32,
    /// 16 bits, 11 of them for the digits; up to 65,504.
    F16,
    /// 16 bits, 8 of them for the digits, as far as `F32` reaches.
    Bf16,
}

impl Precision {
    /// What maps are kept in.
    pub(crate) fn numbers(self) -> FloatDType {
        match self {
            Self::F32 | Self::Tf32 => FloatDType::F32,
            Self::F16 => FloatDType::F16,
            Self::Bf16 => FloatDType::BF16,
        }
    }

    /// Numbers of `f32` as maps are kept.
    pub(crate) fn round<B: Backend, const D: usize>(self, tensor: Tensor<B, D>) -> Tensor<B, D> {
        match self.numbers() {
            FloatDType::F32 => tensor,
            numbers => tensor.cast(numbers),
        }
    }
}
