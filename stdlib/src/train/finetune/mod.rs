//! `train.finetune`.

mod meter;
mod params;
mod training;

use pipe_core::{Artifact, Demand, Failure, Inputs, Job, Kind, Meta, Whole};
use pipe_nn::ComputeDevice;
use pipe_spec::types;
use serde_json::json;

use self::training::{Data, Training};
use super::model;
use super::rows::refuse_gaps;
use crate::device;
use crate::features::warn;

pub use self::params::{ClassWeight, Finetune, Keep, Norms, Tuner};

impl Kind for Finetune {
    const NAME: &'static str = "train.finetune";
    const VERSION: u32 = 2;
    type Inputs = types::Images;
    const INPUTS: &'static [&'static str] = &["images"];
    type Outputs = (types::Model, types::Metrics, types::Features);
    const OUTPUTS: &'static [&'static str] = &["model", "history", "features"];
    const NUMERIC: Option<&'static str> = Some("f32");

    fn demand(&self) -> Demand {
        Demand::Device
    }

    fn validate(&self) -> Result<(), Failure> {
        self.normalize.validate()?;
        if self.warmup_epochs <= f64::from(self.epochs) {
            return Ok(());
        }
        let message = format!("{} epochs of warm-up are more than the {} epochs", self.warmup_epochs, self.epochs);
        Err(Failure::new("pipe::invalid_param", message).param("warmup_epochs"))
    }
}

impl Whole for Finetune {
    fn run(&self, inputs: &Inputs<'_>, job: &Job<'_>) -> Result<Vec<Artifact>, Failure> {
        let devices = device::resolve(job)?;
        self.precision.check(&devices)?;
        let collection = inputs.collection("images")?;
        let images = Meta { json: collection.meta.clone(), ..Meta::default() };
        let data = Data::new(&collection.records);
        refuse_gaps(&collection.records, &data.train_labels())?;
        if self.keep == Keep::Best && data.validation.is_empty() {
            return Err(Failure::new("pipe::data", "there are no validation rows to tell the best epoch by")
                .param("keep")
                .help("give the split node a `validation`, or write `keep: last`"));
        }
        let network = self.model.network()?;
        let (weights, naming) = self.weights.read(&network, self.seed, job)?;
        let weights = weights.without_classifier(&network);
        warn(self.model, &self.weights, naming, &images, &self.normalize, job);
        let variant = self.variant.resolved(naming);
        let network = network.variant(variant.of(naming));
        if devices != [ComputeDevice::Cpu] {
            job.note(format!("on {}", device::names(&devices)));
        }
        let items = collection.stored(job.store)?;
        let training = Training {
            params: self,
            network: &network,
            variant,
            devices: &devices,
            data: &data,
            items: &items,
            job,
            images: &images,
        };
        let (tuned, history) = training.run(&collection.records, weights)?;
        let (features, meta) = training.features(&tuned, collection)?;
        let origin = json!({
            "params": self,
            "rows": { "train": data.train.len(), "validation": data.validation.len() },
            "epoch": tuned.epoch + 1,
        });
        let model = model::write(&tuned.head, &collection.records.classes, &meta, origin, job)?;
        Ok(vec![Artifact::Document(model), history.artifact(tuned.epoch), Artifact::Collection(features)])
    }
}
