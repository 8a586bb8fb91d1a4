//! Why weights cannot be used.

use std::fmt;
use std::io;

/// Why weights cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file cannot be read.
    #[error("{0}")]
    Io(io::Error),
    /// The file is of another form.
    #[error("{0}")]
    Format(String),
    /// The file is Keras'.
    #[error("Keras' HDF5 files are not read")]
    Hdf5,
    /// Tensors are missing, misshapen or of another type.
    #[error("the weights do not fit {network}: {}", list(.problems))]
    Misfit {
        /// The network.
        network: String,
        /// All that does not fit.
        problems: Vec<WeightProblem>,
    },
}

/// A tensor that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WeightProblem {
    /// It is not there.
    Missing {
        /// Its name.
        name: String,
        /// The shape of the network's.
        shape: Vec<usize>,
    },
    /// It has another shape.
    Shape {
        /// Its name.
        name: String,
        /// The shape of the network's.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// Its numbers are no floating-point ones.
    Type {
        /// Its name.
        name: String,
        /// What they are.
        found: String,
    },
    /// The network has no such tensor.
    Surplus(String),
}

impl fmt::Display for WeightProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { name, shape } => write!(f, "`{name}` {shape:?} is missing"),
            Self::Shape { name, expected, found } => write!(f, "`{name}` is {found:?}, expected {expected:?}"),
            Self::Type { name, found } => write!(f, "`{name}` is {found}, expected F32, F16, BF16 or F64"),
            Self::Surplus(name) => write!(f, "`{name}` belongs to no layer"),
        }
    }
}

fn list(problems: &[WeightProblem]) -> String {
    const NAMED: usize = 8;
    let named: Vec<String> = problems.iter().take(NAMED).map(ToString::to_string).collect();
    let more = problems.len().saturating_sub(NAMED);
    if more == 0 { named.join("; ") } else { format!("{}; and {more} more", named.join("; ")) }
}

/// Why a network does not take images of a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{network} does not take images of {height} x {width} pixels{}", wanted(.takes))]
pub struct UnfitImage {
    /// The network.
    pub network: String,
    /// Pixels.
    pub height: usize,
    /// Pixels.
    pub width: usize,
    /// The only side it takes, where it takes one alone.
    pub takes: Option<usize>,
}

fn wanted(takes: &Option<usize>) -> String {
    takes.map_or_else(|| ": it is too small".to_owned(), |side| format!(", but of {side} x {side}"))
}
