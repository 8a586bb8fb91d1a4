//! The tests of the whole, through the program and the crates' public surfaces.

mod common;
mod docs;
mod head;
mod metrics;
mod networks;
mod split;
