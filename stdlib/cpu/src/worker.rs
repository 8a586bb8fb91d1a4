//! What is needed to run a plan, on one thread or a team of them.

use std::sync::Arc;

use crate::kernels::LANES;
use crate::kernels::memory::{Memory, Shares};
use crate::plan::{Map, Plan};
use crate::step::{Member, Step};

/// A plan with the memory for one image, which is kept from one image to the next.
#[derive(Debug, Clone)]
pub struct Worker {
    plan: Arc<Plan>,
    memory: Memory,
    team: Option<Team>,
}

/// Threads that share every step.
#[derive(Debug, Clone)]
struct Team {
    members: Vec<Member>,
    /// Of each step, what each member owns.
    shares: Vec<Shares>,
}

impl Worker {
    /// A worker of a plan, on so many threads, no more than there are cores: they wait for each other
    /// many times a photo. The numbers are the same on any number of them.
    pub fn new(plan: Arc<Plan>, threads: usize) -> Self {
        if threads < 2 {
            return Self { memory: Memory::new(plan.memory), plan, team: None };
        }
        let kernels = plan.isa.kernels();
        let room = plan.steps.iter().map(|step| step.room(kernels)).max().unwrap_or_default();
        let members = Member::team(threads, plan.memory, room);
        let owned = |step: &Step| members.iter().map(|&member| step.owned(kernels, member)).collect();
        let shares = plan.steps.iter().map(|step| Shares::new(owned(step))).collect();
        let memory = Memory::new(plan.memory + (threads - 1) * room);
        Self { memory, plan, team: Some(Team { members, shares }) }
    }

    /// Height and width of the images that it takes.
    pub fn size(&self) -> (usize, usize) {
        self.plan.size()
    }

    /// The features of an image; where the network keeps several places, those of each one after
    /// another.
    ///
    /// `fill` writes a row: it gets the channel, the row's number and its pixels, which are to be
    /// normalised as the weights want it.
    pub fn features(&mut self, fill: impl FnMut(usize, usize, &mut [f32])) -> Vec<f32> {
        self.run(fill, self.plan.until_features);
        self.read(self.plan.features)
    }

    /// The features of an image, and its logits where the weights have a classifier.
    pub fn logits(&mut self, fill: impl FnMut(usize, usize, &mut [f32])) -> (Vec<f32>, Option<Vec<f32>>) {
        self.run(fill, self.plan.steps.len());
        (self.read(self.plan.features), self.plan.logits.map(|logits| self.read(logits)))
    }

    fn run(&mut self, mut fill: impl FnMut(usize, usize, &mut [f32]), steps: usize) {
        let plan = Arc::clone(&self.plan);
        let image = plan.image;
        let numbers = self.memory.numbers_mut();
        for channel in 0..image.channels {
            for y in 0..image.height {
                let at = image.at + channel * image.plane + y * image.row;
                fill(channel, y, &mut numbers[at..at + image.width]);
            }
        }
        let kernels = plan.isa.kernels();
        match &self.team {
            None => {
                for step in &plan.steps[..steps] {
                    step.run(&mut self.memory.view(), kernels, Member::ALONE);
                }
            }
            Some(Team { members, shares }) => {
                self.memory.together(members.len(), &shares[..steps], |step, member, view| {
                    plan.steps[step].run(view, kernels, members[member]);
                });
            }
        }
    }

    /// The numbers of a map, the channels of each place one after another.
    fn read(&self, map: Map) -> Vec<f32> {
        let numbers = self.memory.numbers();
        let places = (0..map.height).flat_map(|y| (0..map.width).map(move |x| map.at + y * map.row + x * LANES));
        let channels =
            |place| (0..map.channels).map(move |channel| place + channel / LANES * map.plane + channel % LANES);
        places.flat_map(channels).map(|at| numbers[at]).collect()
    }
}
