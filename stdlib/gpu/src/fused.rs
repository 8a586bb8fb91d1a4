//! What is computed along with a product of matrices, while its numbers are at hand: weights for each channel of
//! each image on the way in, a bias, a shortcut and an activation on the way out.

use burn::tensor::Shape;
use burn_cubecl::CubeRuntime;
use burn_cubecl::kernel::cast;
use burn_cubecl::ops::reshape;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::barrier::BarrierExpand;
use cubecl::prelude::*;
use cubecl::std::FastDivmod;
use cubecl::std::tensor::launch::ViewArg;
use cubecl::std::tensor::layout::{Coords1d, Layout, LayoutExpand};
use cubecl::std::tensor::{
    View, ViewExpand, ViewOperations, ViewOperationsExpand, ViewOperationsMut, ViewOperationsMutExpand,
};
use cubek::matmul::components::global::memory::GlobalLayoutConfig;
use cubek::matmul::launch::{BatchedCoords, MatmulArgs, TensorArgs, TensorInputs, TensorOutput};
use pipe_network::Activation;

use crate::function::activate;
use crate::maps::{Maps, tight};

/// What goes along with a convolution: `activation(convolution(x * gate) + bias + rest)`.
#[derive(Debug, Clone)]
pub struct Fused<R: CubeRuntime> {
    /// `[count, inputs, 1, 1]`.
    pub gate: Option<CubeTensor<R>>,
    /// `[1, outputs, 1, 1]`.
    pub bias: Option<CubeTensor<R>>,
    /// Of the shape of what comes out.
    pub rest: Option<CubeTensor<R>>,
    /// Behind the sum.
    pub activation: Activation,
}

impl<R: CubeRuntime> Fused<R> {
    /// Nothing.
    pub(crate) fn nothing() -> Self {
        Self { gate: None, bias: None, rest: None, activation: Activation::Identity }
    }

    /// The same as matrices beside a product of matrices: a row for each image, one row, and a row for each place.
    pub(crate) fn rows(self, beside: &CubeTensor<R>) -> Self {
        let row = |tensor: CubeTensor<R>| {
            let [rows, columns, ..]: [usize; 4] = tensor.meta.shape().dims();
            reshape(tight(cast(tensor, beside.dtype)), Shape::new([rows, columns]))
        };
        Self {
            gate: self.gate.map(row),
            bias: self.bias.map(row),
            rest: self.rest.map(|rest| Maps::of(rest).rows()),
            activation: self.activation,
        }
    }
}

/// The arguments of a kernel that multiplies, as cubek wants them, with those of [`Fused`].
#[derive(Clone)]
pub(crate) struct FusedArgs;

#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(crate) struct FusedInputs<Lhs: CubePrimitive, Rhs: CubePrimitive, Acc: CubePrimitive> {
    tensors: TensorInputs<Lhs, Rhs, Acc>,
    gate: ComptimeOption<View<Lhs, BatchedCoords>>,
}

#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(crate) struct FusedOutput<Acc: CubePrimitive> {
    tensor: TensorOutput<Acc>,
    bias: ComptimeOption<View<Acc, BatchedCoords>>,
    rest: ComptimeOption<View<Acc, BatchedCoords>>,
    #[cube(comptime)]
    activation: Activation,
}

#[cube]
impl MatmulArgs for FusedArgs {
    type Input<Lhs: CubePrimitive, Rhs: CubePrimitive, EO: CubePrimitive> = FusedInputs<Lhs, Rhs, EO>;
    type Output<EO: CubePrimitive> = FusedOutput<EO>;
    type Config = ();
    type State<Lhs: CubePrimitive, Rhs: CubePrimitive, EO: CubePrimitive> =
        (FusedInputs<Lhs, Rhs, EO>, FusedOutput<EO>);

    fn init_state<Lhs: CubePrimitive, Rhs: CubePrimitive, EO: CubePrimitive>(
        input: &Self::Input<Lhs, Rhs, EO>,
        output: &mut Self::Output<EO>,
        _config: Self::Config,
        #[comptime] _lhs_layout_config: GlobalLayoutConfig,
        #[comptime] _rhs_layout_config: GlobalLayoutConfig,
        #[comptime] _out_layout_config: GlobalLayoutConfig,
    ) -> Self::State<Lhs, Rhs, EO> {
        (*input, *output)
    }

    fn view_lhs<Lhs: CubePrimitive, Rhs: CubePrimitive, EO: CubePrimitive>(
        state: &Self::State<Lhs, Rhs, EO>,
    ) -> View<Lhs, BatchedCoords> {
        let maps = TensorArgs::<()>::view_lhs::<Lhs, Rhs, EO>(&(state.0.tensors, state.1.tensor, ()));
        #[comptime]
        match state.0.gate {
            ComptimeOption::Some(gate) => Gated::<Lhs> { maps, gate }.view(),
            ComptimeOption::None => maps,
        }
    }

    fn batch_lhs<Lhs: CubePrimitive, Rhs: CubePrimitive, EO: CubePrimitive>(
        state: &Self::State<Lhs, Rhs, EO>,
        batch: usize,
    ) -> usize {
        TensorArgs::<()>::batch_lhs::<Lhs, Rhs, EO>(&(state.0.tensors, state.1.tensor, ()), batch)
    }

    fn view_rhs<Lhs: CubePrimitive, Rhs: CubePrimitive, EO: CubePrimitive>(
        state: &Self::State<Lhs, Rhs, EO>,
    ) -> View<Rhs, BatchedCoords> {
        TensorArgs::<()>::view_rhs::<Lhs, Rhs, EO>(&(state.0.tensors, state.1.tensor, ()))
    }

    fn batch_rhs<Lhs: CubePrimitive, Rhs: CubePrimitive, EO: CubePrimitive>(
        state: &Self::State<Lhs, Rhs, EO>,
        batch: usize,
    ) -> usize {
        TensorArgs::<()>::batch_rhs::<Lhs, Rhs, EO>(&(state.0.tensors, state.1.tensor, ()), batch)
    }

    fn view_acc<Lhs: CubePrimitive, Rhs: CubePrimitive, EO: CubePrimitive>(
        state: &Self::State<Lhs, Rhs, EO>,
    ) -> ComptimeOption<View<EO, BatchedCoords>> {
        TensorArgs::<()>::view_acc::<Lhs, Rhs, EO>(&(state.0.tensors, state.1.tensor, ()))
    }

    fn batch_acc<Lhs: CubePrimitive, Rhs: CubePrimitive, EO: CubePrimitive>(
        state: &Self::State<Lhs, Rhs, EO>,
        batch: usize,
    ) -> usize {
        TensorArgs::<()>::batch_acc::<Lhs, Rhs, EO>(&(state.0.tensors, state.1.tensor, ()), batch)
    }

    fn view_out<Lhs: CubePrimitive, Rhs: CubePrimitive, EO: CubePrimitive>(
        state: &mut Self::State<Lhs, Rhs, EO>,
    ) -> View<EO, BatchedCoords, ReadWrite> {
        let out = TensorArgs::<()>::view_out::<Lhs, Rhs, EO>(&mut (state.0.tensors, state.1.tensor, ()));
        let (bias, rest, activation) = (state.1.bias, state.1.rest, state.1.activation.comptime());
        if comptime![bias.is_none() && rest.is_none() && activation == Activation::Identity] {
            out
        } else {
            Finished::<EO> { out, bias, rest, activation }.view()
        }
    }

    fn batch_out<Lhs: CubePrimitive, Rhs: CubePrimitive, EO: CubePrimitive>(
        state: &Self::State<Lhs, Rhs, EO>,
        batch: usize,
    ) -> usize {
        TensorArgs::<()>::batch_out::<Lhs, Rhs, EO>(&(state.0.tensors, state.1.tensor, ()), batch)
    }

    fn runtime_config<Lhs: CubePrimitive, Rhs: CubePrimitive, EO: CubePrimitive>(
        _state: &Self::State<Lhs, Rhs, EO>,
    ) -> Self::Config {
    }
}

/// Maps, each number times the weight of its channel in its image.
#[derive(CubeType, Clone, Copy)]
#[expect(dead_code, reason = "only their expansions are read")]
struct Gated<E: CubePrimitive> {
    maps: View<E, BatchedCoords>,
    gate: View<E, BatchedCoords>,
}

#[cube]
fn gated<E: CubePrimitive>(x: E, gate: E) -> E {
    E::cast_from(Vector::<f32, E::Size>::cast_from(x) * Vector::<f32, E::Size>::cast_from(gate))
}

impl<E: CubePrimitive> Gated<E> {
    fn view(self) -> View<E, BatchedCoords> {
        cubecl::unexpanded!()
    }
}

impl<E: CubePrimitive> GatedExpand<E> {
    fn __expand_view_method(self, _: &mut Scope) -> ViewExpand<E, BatchedCoords> {
        ViewExpand::new(self)
    }
}

type Place = <BatchedCoords as CubeType>::ExpandType;

impl<E: CubePrimitive> Vectorized for Gated<E> {}
impl<E: CubePrimitive> VectorizedExpand for GatedExpand<E> {
    fn vector_size(&self) -> VectorSize {
        self.maps.vector_size()
    }
}

impl<E: CubePrimitive> ViewOperations<E, BatchedCoords> for Gated<E> {}
impl<E: CubePrimitive> ViewOperationsExpand<E, BatchedCoords> for GatedExpand<E> {
    fn __expand_read_method(&self, scope: &mut Scope, at: Place) -> NativeExpand<E> {
        let x = self.maps.clone().__expand_read_method(scope, at.clone());
        let gate = self.gate.clone().__expand_read_method(scope, at);
        gated::expand::<E>(scope, x, gate)
    }

    fn __expand_read_checked_method(&self, scope: &mut Scope, at: Place) -> NativeExpand<E> {
        let x = self.maps.clone().__expand_read_checked_method(scope, at.clone());
        let gate = self.gate.clone().__expand_read_checked_method(scope, at);
        gated::expand::<E>(scope, x, gate)
    }

    fn __expand_read_masked_method(&self, scope: &mut Scope, at: Place, mask: NativeExpand<E>) -> NativeExpand<E> {
        let is_inside = self.__expand_is_in_bounds_method(scope, at.clone());
        let value = self.__expand_read_checked_method(scope, at);
        select::expand::<E>(scope, is_inside, value, mask)
    }

    fn __expand_read_unchecked_method(&self, scope: &mut Scope, at: Place) -> NativeExpand<E> {
        let x = self.maps.clone().__expand_read_unchecked_method(scope, at.clone());
        let gate = self.gate.clone().__expand_read_unchecked_method(scope, at);
        gated::expand::<E>(scope, x, gate)
    }

    fn __expand_to_linear_slice_method(&self, _: &mut Scope, _: Place, _: Place) -> SliceExpand<E, ReadOnly> {
        unreachable!("numbers that are computed lie nowhere");
    }

    fn __expand_tensor_map_load_method(&self, _: &mut Scope, _: BarrierExpand, _: SliceExpand<E, ReadWrite>, _: Place) {
        unreachable!("numbers that are computed lie nowhere");
    }

    fn __expand_shape_method(&self, scope: &mut Scope) -> Place {
        self.maps.__expand_shape_method(scope)
    }

    fn __expand_is_in_bounds_method(&self, scope: &mut Scope, at: Place) -> NativeExpand<bool> {
        self.maps.__expand_is_in_bounds_method(scope, at)
    }
}

/// What comes out, finished on its way into memory.
#[derive(CubeType, Clone, Copy)]
#[expect(dead_code, reason = "only their expansions are read")]
struct Finished<E: CubePrimitive> {
    out: View<E, BatchedCoords, ReadWrite>,
    bias: ComptimeOption<View<E, BatchedCoords>>,
    rest: ComptimeOption<View<E, BatchedCoords>>,
    #[cube(comptime)]
    activation: Activation,
}

#[cube]
fn finished<E: CubePrimitive>(
    sum: E,
    at: BatchedCoords,
    bias: ComptimeOption<View<E, BatchedCoords>>,
    rest: ComptimeOption<View<E, BatchedCoords>>,
    #[comptime] activation: Activation,
) -> E {
    let z = Vector::<f32, E::Size>::cast_from(sum);
    #[comptime]
    let z = match bias {
        ComptimeOption::Some(bias) => z + Vector::cast_from(bias.read_unchecked(at)),
        ComptimeOption::None => z,
    };
    #[comptime]
    let z = match rest {
        ComptimeOption::Some(rest) => z + Vector::cast_from(rest.read_unchecked(at)),
        ComptimeOption::None => z,
    };
    E::cast_from(activate::<E::Size>(z, activation))
}

impl<E: CubePrimitive> Finished<E> {
    fn view(self) -> View<E, BatchedCoords, ReadWrite> {
        cubecl::unexpanded!()
    }
}

impl<E: CubePrimitive> FinishedExpand<E> {
    fn __expand_view_method(self, _: &mut Scope) -> ViewExpand<E, BatchedCoords, ReadWrite> {
        ViewExpand::new_mut(self)
    }
}

impl<E: CubePrimitive> Vectorized for Finished<E> {}
impl<E: CubePrimitive> VectorizedExpand for FinishedExpand<E> {
    fn vector_size(&self) -> VectorSize {
        self.out.vector_size()
    }
}

impl<E: CubePrimitive> ViewOperations<E, BatchedCoords> for Finished<E> {}
impl<E: CubePrimitive> ViewOperationsExpand<E, BatchedCoords> for FinishedExpand<E> {
    fn __expand_read_method(&self, scope: &mut Scope, at: Place) -> NativeExpand<E> {
        self.out.clone().__expand_read_method(scope, at)
    }

    fn __expand_read_checked_method(&self, scope: &mut Scope, at: Place) -> NativeExpand<E> {
        self.out.clone().__expand_read_checked_method(scope, at)
    }

    fn __expand_read_masked_method(&self, scope: &mut Scope, at: Place, mask: NativeExpand<E>) -> NativeExpand<E> {
        self.out.clone().__expand_read_masked_method(scope, at, mask)
    }

    fn __expand_read_unchecked_method(&self, scope: &mut Scope, at: Place) -> NativeExpand<E> {
        self.out.clone().__expand_read_unchecked_method(scope, at)
    }

    fn __expand_to_linear_slice_method(&self, _: &mut Scope, _: Place, _: Place) -> SliceExpand<E, ReadOnly> {
        unreachable!("numbers on their way lie nowhere");
    }

    fn __expand_tensor_map_load_method(&self, _: &mut Scope, _: BarrierExpand, _: SliceExpand<E, ReadWrite>, _: Place) {
        unreachable!("numbers on their way lie nowhere");
    }

    fn __expand_shape_method(&self, scope: &mut Scope) -> Place {
        self.out.__expand_shape_method(scope)
    }

    fn __expand_is_in_bounds_method(&self, scope: &mut Scope, at: Place) -> NativeExpand<bool> {
        self.out.__expand_is_in_bounds_method(scope, at)
    }
}

impl<E: CubePrimitive> ViewOperationsMut<E, BatchedCoords> for Finished<E> {}
impl<E: CubePrimitive> ViewOperationsMutExpand<E, BatchedCoords> for FinishedExpand<E> {
    fn __expand_write_method(&self, scope: &mut Scope, at: Place, value: NativeExpand<E>) {
        let (bias, rest) = (self.bias.clone(), self.rest.clone());
        let value = finished::expand::<E>(scope, value, at.clone(), bias, rest, self.activation);
        self.out.clone().__expand_write_method(scope, at, value);
    }

    fn __expand_write_checked_method(&self, scope: &mut Scope, at: Place, value: NativeExpand<E>) {
        let is_inside = self.__expand_is_in_bounds_method(scope, at.clone());
        if_expand(scope, is_inside, |scope| self.__expand_write_method(scope, at, value));
    }

    fn __expand_to_linear_slice_mut_method(&self, _: &mut Scope, _: Place, _: Place) -> SliceExpand<E, ReadWrite> {
        unreachable!("numbers on their way lie nowhere");
    }

    fn __expand_tensor_map_store_method(&self, _: &mut Scope, _: SliceExpand<E, ReadOnly>, _: Place) {
        unreachable!("numbers on their way lie nowhere");
    }
}

/// A row of numbers for so many rows of a matrix.
#[derive(CubeType, CubeLaunch, Clone)]
pub(crate) struct Repeated {
    rows: u32,
    columns: u32,
    repeats: FastDivmod<u32>,
    #[cube(comptime)]
    vector: VectorSize,
}

#[cube]
impl Layout for Repeated {
    type Coordinates = BatchedCoords;
    type SourceCoordinates = Coords1d;

    fn to_source_pos(&self, at: Self::Coordinates) -> usize {
        let (_, row, column) = at;
        (self.repeats.div(row) * self.columns + column) as usize / self.vector
    }

    fn to_source_pos_checked(&self, at: Self::Coordinates) -> (usize, bool) {
        (self.to_source_pos(at), self.is_in_bounds(at))
    }

    fn shape(&self) -> Self::Coordinates {
        (1usize.runtime(), self.rows, self.columns)
    }

    fn is_in_bounds(&self, at: Self::Coordinates) -> bool {
        let (_, row, column) = at;
        row < self.rows && column < self.columns
    }
}

/// Rows, each of which stands for as many rows of a matrix as fit.
pub(crate) fn repeated<R: CubeRuntime>(
    numbers: CubeTensor<R>,
    rows: usize,
    vector: VectorSize,
) -> ViewArg<BatchedCoords, R> {
    let [count, columns]: [usize; 2] = numbers.meta.shape().dims();
    let layout = RepeatedLaunch::new(rows as u32, columns as u32, (rows / count) as u32, vector);
    ViewArg::new_tensor::<Repeated>(numbers.into_tensor_arg(), layout)
}
