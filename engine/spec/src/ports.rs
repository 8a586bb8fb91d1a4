//! Inputs and outputs: by name and type, and as types of Rust.
//!
//! A kind names the types of what it takes and gives once, as Rust types: `(Model, Features)`. The
//! language checks edges against the [`Port`]s read off them, and in a pipeline built in Rust the
//! compiler does.

use crate::ArtifactType;

/// One named input or output of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// The name people write in `from:` (`model`) or after a dot (`split.records`).
    pub name: &'static str,
    /// What flows through it.
    pub artifact: ArtifactType,
    /// Whether it takes any number of artifacts, each under a label.
    pub many: bool,
}

/// The types of what a kind takes, or of what it gives: `()`, one type, or a tuple of several.
pub trait Ports {
    /// The type of each port, and whether it takes many.
    const TYPES: &'static [(ArtifactType, bool)];
    /// Whether there are further inputs of any type, each under a name of the author's.
    const MORE: bool = false;
}

/// A type of artifact as a type of Rust.
pub trait Typed: Copy + 'static {
    /// The type.
    const TYPE: ArtifactType;
}

/// Any number of artifacts of one type, each under a label.
#[derive(Debug, Clone, Copy)]
pub struct Many<T>(std::marker::PhantomData<T>);

/// Any number of artifacts of any type, each under a name of the author's.
#[derive(Debug, Clone, Copy)]
pub struct More;

/// The types of artifact as types of Rust: what the handles of a pipeline built in Rust carry.
pub mod types {
    use super::{ArtifactType, Ports, Typed};

    macro_rules! types {
        ($($name:ident),*) => {$(
            #[doc = concat!("See [`ArtifactType::", stringify!($name), "`].")]
            #[derive(Debug, Clone, Copy)]
            pub struct $name;

            impl Typed for $name {
                const TYPE: ArtifactType = ArtifactType::$name;
            }

            impl Ports for $name {
                const TYPES: &'static [(ArtifactType, bool)] = &[(ArtifactType::$name, false)];
            }
        )*};
    }

    types!(Records, Images, Features, Model, Predictions, Metrics, Report, Files, Values);
}

impl Ports for () {
    const TYPES: &'static [(ArtifactType, bool)] = &[];
}

impl Ports for More {
    const TYPES: &'static [(ArtifactType, bool)] = &[];
    const MORE: bool = true;
}

impl<T: Typed> Ports for Many<T> {
    const TYPES: &'static [(ArtifactType, bool)] = &[(T::TYPE, true)];
}

impl<A: Typed, B: Typed> Ports for (A, B) {
    const TYPES: &'static [(ArtifactType, bool)] = &[(A::TYPE, false), (B::TYPE, false)];
}

impl<A: Typed, B: Typed, C: Typed> Ports for (A, B, C) {
    const TYPES: &'static [(ArtifactType, bool)] = &[(A::TYPE, false), (B::TYPE, false), (C::TYPE, false)];
}

/// The ports of a kind: its names beside its types.
pub(crate) fn ports<P: Ports>(names: &[&'static str]) -> Vec<Port> {
    let port = |(&name, &(artifact, many))| Port { name, artifact, many };
    names.iter().zip(P::TYPES).map(port).collect()
}
