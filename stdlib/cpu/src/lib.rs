//! The forward pass of described networks on a CPU, an image a thread or shared by several.
//!
//! A [`Plan`] is made of a network, its weights and a size of images: steps over one memory, weights in
//! the order in which they are read. A [`Worker`] runs it. What comes of an image depends on that image
//! alone, on any number of threads. Channels lie in blocks of sixteen, `[channels / 16][height][width][16]`,
//! so that a pixel's block is one cache line and one or two vectors.

mod heap;
mod isa;
mod kernels;
mod pack;
mod plan;
mod step;
mod worker;

pub use isa::Isa;
pub use plan::{Plan, Unsupported};
pub use worker::Worker;
