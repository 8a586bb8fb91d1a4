//! The program `pipe` with the kind `bench.drop` beside the standard library's: images are made, and
//! nobody keeps them, as with the libraries that pipe is measured beside.

use std::process::ExitCode;

use pipe::{Failure, ItemError, Job, Kind, Map, Meta, Stage, Worker, types};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Takes images and gives the number of their bytes.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Drop {}

impl Kind for Drop {
    const NAME: &'static str = "bench.drop";
    const VERSION: u32 = 1;
    type Inputs = types::Images;
    const INPUTS: &'static [&'static str] = &["images"];
    type Outputs = types::Values;
    const OUTPUTS: &'static [&'static str] = &["bytes"];
}

impl Map for Drop {
    fn open(&self, _: &Meta, _: &Job<'_>) -> Result<Box<dyn Stage>, Failure> {
        Ok(Box::new(Self {}))
    }

    fn meta(&self, _: &Meta, _: &Job<'_>) -> Result<Meta, Failure> {
        Ok(Meta::default())
    }
}

impl Stage for Drop {
    fn worker(&self, _: usize) -> Box<dyn Worker> {
        Box::new(Self {})
    }
}

impl Worker for Drop {
    fn map(&mut self, items: Vec<Vec<u8>>) -> Vec<Result<Vec<u8>, ItemError>> {
        items.iter().map(|item| Ok(item.len().to_string().into_bytes())).collect()
    }
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut kinds = pipe::kinds();
    kinds.map::<Drop>()?;
    Ok(pipe::main(kinds))
}
