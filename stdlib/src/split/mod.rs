//! Which items a model learns from, and which it is judged by.

mod hash;

pub use hash::{Balance, By, ByteRange, HashSplit};
