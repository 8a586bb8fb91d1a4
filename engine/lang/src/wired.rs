//! What references lead to.

use pipe_spec::{ArtifactType, Port};

use crate::matrix::Varying;

/// What a reference leads to, under each combination: one thing without a label, or several that were
/// gathered, each with one.
#[derive(Clone)]
pub(crate) struct Wired(pub(crate) Varying<Targets>);

/// What something leads to under one combination, each with its label.
pub(crate) type Targets = Vec<(String, Target)>;

/// Where an edge comes from.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// An output of a draft.
    Draft(usize, Port),
    /// Nothing: this node is switched off.
    Off(String),
    /// An input of a pipeline that is not put into another.
    Declared(ArtifactType),
}

impl Target {
    pub(crate) fn artifact(&self) -> Option<ArtifactType> {
        match self {
            Self::Draft(_, port) => Some(port.artifact),
            Self::Off(_) => None,
            Self::Declared(artifact) => Some(*artifact),
        }
    }
}

impl Wired {
    /// An input of a pipeline that stands alone.
    pub(crate) fn declared(artifact: ArtifactType) -> Self {
        Self(Varying::constant(vec![(String::new(), Target::Declared(artifact))]))
    }

    /// What flows there, where that is known.
    pub(crate) fn artifact(&self) -> Option<ArtifactType> {
        self.0.rows().iter().flat_map(|(_, targets)| targets).find_map(|(_, target)| target.artifact())
    }

    /// Whether several things come together.
    pub(crate) fn is_gathered(&self) -> bool {
        self.0.rows().iter().any(|(_, targets)| targets.iter().any(|(label, _)| !label.is_empty()))
    }
}
