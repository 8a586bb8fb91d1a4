//! What works on channels and sequences: layer norms, tokens, attention.

use pipe_network::{Activation, Attention, Folded, LayerNorm, Tokens};

use super::dense::Window;
use super::map::Map;
use super::{Planned, Planner, Tail, Unsupported};
use crate::kernels::LANES;
use crate::kernels::call::Taps;
use crate::kernels::gemm::Tap;
use crate::kernels::memory::Vectors;
use crate::pack;
use crate::step::{self, Step};

impl<'a> Planner<'a> {
    pub(super) fn layer_norm(&mut self, norm: &LayerNorm, x: Map, tail: Tail<'_>) -> Planned<Map> {
        if !norm.channels.is_multiple_of(LANES) {
            return Err(Some(Unsupported::Block(format!("`{}`: {} channels", norm.name, norm.channels))));
        }
        let out = self.map(x.channels, x.height, x.width, tail.border);
        let part = |part: &str| Vectors::of(self.weights.numbers(&format!("{}.{part}", norm.name)));
        let step = step::LayerNorm {
            map: x.grid(),
            size: x.size(),
            out: out.grid(),
            epsilon: norm.epsilon,
            weight: part("weight"),
            bias: part("bias"),
        };
        self.steps.push(Step::LayerNorm(step));
        Ok(out)
    }

    /// The sequence in place of the map: a map of one row, the class token first.
    pub(super) fn tokens(&mut self, tokens: &Tokens, x: Map) -> Planned<Map> {
        if x.height * x.width != tokens.places || !tokens.channels.is_multiple_of(LANES) || !x.is_flat() {
            return Err(None);
        }
        let places = tokens.places + 1;
        let out = self.map(tokens.channels, 1, places, 0);
        let positions = self.weights.numbers(&tokens.positions);
        let class = self.weights.numbers(&tokens.class);
        let first = positions.iter().zip(class).map(|(position, class)| position + class);
        let all: Vec<f32> = first.chain(positions.iter().skip(tokens.channels).copied()).collect();
        self.steps.push(Step::Tokens(step::Tokens {
            map: x.grid(),
            out: out.grid(),
            blocks: out.blocks(),
            places,
            positions: pack::map(&all, tokens.channels, places),
        }));
        Ok(out)
    }

    pub(super) fn attention(&mut self, attention: &Attention, x: Map, tail: Tail<'_>) -> Planned<Map> {
        let (channels, heads) = (attention.channels, attention.heads);
        let each = channels / heads;
        if x.height != 1 || !each.is_multiple_of(LANES) || !x.is_flat() {
            return Err(Some(Unsupported::Block(format!("`{}`", attention.name))));
        }
        let (weight, bias, after) = attention.linears();
        let folded =
            Folded { weight: self.weights.numbers(&weight).to_vec(), bias: self.weights.numbers(&bias).to_vec() };
        // Queries are divided by the root of their length here, once.
        let factor = 1.0 / (each as f32).sqrt();
        let factors: Vec<f32> = (0..3 * channels).map(|output| if output < channels { factor } else { 1.0 }).collect();
        let dense =
            self.product(&folded.scaled(&factors), Window::point(channels, 3 * channels, x), Activation::Identity, x);
        let qkv = self.finish(dense, 3 * channels, Tail::default())?;
        let places = x.width;
        let taps = |count: usize| {
            let tap = |first: usize| Tap { at: (first * places) as u32, count: LANES.min(count - first) as u32 };
            Taps::new((0..count).step_by(LANES).map(tap).collect())
        };
        let out = self.map(channels, 1, places, 0);
        let mut step = step::Attention {
            qkv: qkv.grid(),
            heads,
            channels: each,
            places,
            room: 0,
            of_channels: taps(each),
            of_places: taps(places),
            zeros: Vectors::zeros(self.panel * LANES),
            out: out.grid(),
        };
        let room = self.heap.take(step.room());
        step.room = room;
        self.steps.push(Step::Attention(step));
        self.heap.give_back(room);
        self.heap.give_back(qkv.part);
        let done = self.linear(&after, out, tail)?;
        self.heap.give_back(out.part);
        Ok(done)
    }
}
