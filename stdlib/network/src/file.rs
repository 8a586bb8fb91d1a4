//! Files of tensors: safetensors and what `torch.save` writes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use half::{bf16, f16};
use pytorch_reader::PytorchReader;
use safetensors::SafeTensors;

use crate::error::WeightsError;

/// A tensor of a file.
#[derive(Debug)]
pub(crate) struct Tensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) numbers: Numbers,
}

/// Numbers as `f32`, or the type that they are of where that is no type of weights.
#[derive(Debug)]
pub(crate) enum Numbers {
    Float(Vec<f32>),
    Other(String),
}

/// All tensors of a file, by name. The form is told by the first bytes, not by the file's name.
pub(crate) fn tensors(path: &Path) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    let mut start = [0; 9];
    let length = read_start(path, &mut start).map_err(WeightsError::Io)?;
    let start = &start[..length];
    if start.starts_with(b"\x89HDF") {
        return Err(WeightsError::Hdf5);
    }
    // A safetensors file begins with the length of its header, which is JSON.
    if start.get(8) == Some(&b'{') {
        return of_safetensors(&std::fs::read(path).map_err(WeightsError::Io)?);
    }
    // A zip archive, a pickle or a tar archive, in which the first name follows at once.
    if start.starts_with(b"PK") || start.starts_with(b"\x80") || is_tar(path) {
        return of_pytorch(path);
    }
    Err(WeightsError::Format("neither a safetensors file nor one that torch.save wrote".into()))
}

fn read_start(path: &Path, start: &mut [u8]) -> io::Result<usize> {
    let mut file = File::open(path)?;
    let mut length = 0;
    while length < start.len() {
        match file.read(&mut start[length..])? {
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}

fn is_tar(path: &Path) -> bool {
    let mut head = [0; 262];
    read_start(path, &mut head).is_ok_and(|length| length == head.len() && &head[257..] == b"ustar")
}

fn of_safetensors(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|error| WeightsError::Format(format!("a broken safetensors file: {error}")))?;
    let tensor = |view: safetensors::tensor::TensorView<'_>| {
        let numbers = match view.dtype() {
            safetensors::Dtype::F32 => floats(view.data()),
            safetensors::Dtype::F64 => doubles(view.data()),
            safetensors::Dtype::F16 => halves(view.data()),
            safetensors::Dtype::BF16 => brain_halves(view.data()),
            other => Numbers::Other(format!("{other:?}")),
        };
        Tensor { shape: view.shape().to_vec(), numbers }
    };
    Ok(file.tensors().into_iter().map(|(name, view)| (name, tensor(view))).collect())
}

/// A state dict, or a checkpoint that holds one. The pickle is read as data: no code in it is run.
fn of_pytorch(path: &Path) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    let broken = |error: String| WeightsError::Format(format!("not a readable PyTorch file: {error}"));
    let file = PytorchReader::new(path).map_err(|error| broken(error.to_string()))?;
    let mut tensors = BTreeMap::new();
    for (name, tensor) in file.into_tensors() {
        let bytes = || tensor.read().map_err(|error| broken(error.to_string()));
        let numbers = match tensor.dtype() {
            pytorch_reader::DType::F32 => floats(&bytes()?),
            pytorch_reader::DType::F64 => doubles(&bytes()?),
            pytorch_reader::DType::F16 => halves(&bytes()?),
            pytorch_reader::DType::BF16 => brain_halves(&bytes()?),
            other => Numbers::Other(format!("{other:?}")),
        };
        tensors.insert(name, Tensor { shape: tensor.shape().to_vec(), numbers });
    }
    Ok(tensors)
}

fn floats(bytes: &[u8]) -> Numbers {
    let (numbers, _) = bytes.as_chunks::<4>();
    Numbers::Float(numbers.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
}

fn doubles(bytes: &[u8]) -> Numbers {
    let (numbers, _) = bytes.as_chunks::<8>();
    Numbers::Float(numbers.iter().map(|&bytes| f64::from_le_bytes(bytes) as f32).collect())
}

fn halves(bytes: &[u8]) -> Numbers {
    let (numbers, _) = bytes.as_chunks::<2>();
    Numbers::Float(numbers.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect())
}

fn brain_halves(bytes: &[u8]) -> Numbers {
    let (numbers, _) = bytes.as_chunks::<2>();
    Numbers::Float(numbers.iter().map(|&bytes| bf16::from_le_bytes(bytes).to_f32()).collect())
}
