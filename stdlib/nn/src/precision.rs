//! How exactly a network computes.

/// The numbers that weights and maps are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 32 bits, 24 of them for the digits.
    #[default]
    F32,
    /// 16 bits, 11 of them for the digits; up to 65,504.
    F16,
    /// 16 bits, 8 of them for the digits, as far as `F32` reaches.
    Bf16,
}
