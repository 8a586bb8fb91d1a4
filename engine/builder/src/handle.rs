//! Handles to outputs, and how the types of a kind's inputs and outputs become handles.

use std::marker::PhantomData;

use pipe_spec::{Many, More, Ports, Typed, types};

/// An output of a node, of type `T`.
#[derive(Debug)]
pub struct Handle<T> {
    pub(crate) node: usize,
    pub(crate) output: &'static str,
    artifact: PhantomData<fn() -> T>,
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Handle<T> {}

/// An output of a node, of any type.
#[derive(Debug, Clone, Copy)]
pub struct Any {
    pub(crate) node: usize,
    pub(crate) output: &'static str,
}

impl<T> From<Handle<T>> for Any {
    fn from(handle: Handle<T>) -> Self {
        Self { node: handle.node, output: handle.output }
    }
}

/// What is connected to an input: its name, a label where it takes many, and an output.
type Connected = (String, Option<String>, Any);

/// The types of a kind's inputs, as handles.
pub trait Takes: Ports {
    /// A handle for each input.
    type Handles;
    #[doc(hidden)]
    fn sources(handles: Self::Handles, names: &[&'static str]) -> Vec<Connected>;
}

/// The types of a kind's outputs, as handles.
pub trait Gives: Ports {
    /// A handle for each output.
    type Handles;
    #[doc(hidden)]
    fn handles(node: usize, names: &[&'static str]) -> Self::Handles;
}

fn handle<T>(node: usize, output: Option<&&'static str>) -> Handle<T> {
    Handle { node, output: output.copied().unwrap_or_default(), artifact: PhantomData }
}

fn one<T>(handle: Handle<T>, name: Option<&&'static str>) -> Connected {
    (name.copied().unwrap_or_default().to_owned(), None, handle.into())
}

macro_rules! single {
    ($($name:ident),*) => {$(
        impl Takes for types::$name {
            type Handles = Handle<types::$name>;

            fn sources(handle: Self::Handles, names: &[&'static str]) -> Vec<Connected> {
                vec![one(handle, names.first())]
            }
        }

        impl Gives for types::$name {
            type Handles = Handle<types::$name>;

            fn handles(node: usize, names: &[&'static str]) -> Self::Handles {
                handle(node, names.first())
            }
        }
    )*};
}

single!(Records, Images, Features, Model, Predictions, Metrics, Report, Files, Values);

impl Takes for () {
    type Handles = ();

    fn sources((): (), _: &[&'static str]) -> Vec<Connected> {
        Vec::new()
    }
}

impl<A: Typed, B: Typed> Takes for (A, B) {
    type Handles = (Handle<A>, Handle<B>);

    fn sources((a, b): Self::Handles, names: &[&'static str]) -> Vec<Connected> {
        vec![one(a, names.first()), one(b, names.get(1))]
    }
}

impl<A: Typed, B: Typed, C: Typed> Takes for (A, B, C) {
    type Handles = (Handle<A>, Handle<B>, Handle<C>);

    fn sources((a, b, c): Self::Handles, names: &[&'static str]) -> Vec<Connected> {
        vec![one(a, names.first()), one(b, names.get(1)), one(c, names.get(2))]
    }
}

impl<A: Typed, B: Typed> Gives for (A, B) {
    type Handles = (Handle<A>, Handle<B>);

    fn handles(node: usize, names: &[&'static str]) -> Self::Handles {
        (handle(node, names.first()), handle(node, names.get(1)))
    }
}

impl<A: Typed, B: Typed, C: Typed> Gives for (A, B, C) {
    type Handles = (Handle<A>, Handle<B>, Handle<C>);

    fn handles(node: usize, names: &[&'static str]) -> Self::Handles {
        (handle(node, names.first()), handle(node, names.get(1)), handle(node, names.get(2)))
    }
}

/// Any number of artifacts, each with its label.
impl<T: Typed> Takes for Many<T> {
    type Handles = Vec<(String, Handle<T>)>;

    fn sources(handles: Self::Handles, names: &[&'static str]) -> Vec<Connected> {
        let name = names.first().copied().unwrap_or_default();
        let labelled = |(label, handle): (String, Handle<T>)| (name.to_owned(), Some(label), handle.into());
        handles.into_iter().map(labelled).collect()
    }
}

/// Any number of artifacts of any type, each with the name of its input.
impl Takes for More {
    type Handles = Vec<(String, Any)>;

    fn sources(handles: Self::Handles, _: &[&'static str]) -> Vec<Connected> {
        handles.into_iter().map(|(name, any)| (name, None, any)).collect()
    }
}
