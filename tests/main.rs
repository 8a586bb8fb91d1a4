//! The tests of the whole, through the program and the crates' public surfaces.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test an unwrap is an assertion")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod audit;
mod cache;
mod commands;
mod common;
mod contract;
mod crash;
mod disk;
mod docs;
mod doctor;
mod driver;
mod errors;
mod explain;
mod fetch;
mod finetune;
mod flips;
mod golden;
#[cfg(feature = "wgpu")]
mod gpu;
mod head;
mod language;
mod metrics;
mod mistakes;
mod networks;
mod pipelines;
mod process;
mod processes;
mod schema;
mod shell;
mod split;
mod stale;
mod sweep;
mod tools;
mod tuning;
