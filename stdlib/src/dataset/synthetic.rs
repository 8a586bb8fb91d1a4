//! `dataset.synthetic`.

use pipe_core::{Artifact, Failure, Inputs, Job, Kind, Record, Records, Whole};
use pipe_spec::types;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};

use super::draw;

/// Draws labelled JPEGs that a classifier can learn, so that a pipeline can be tried without data.
///
/// Each class is a shape (disc, square, triangle, ring, cross, bars) with a leaning towards a hue,
/// at a random place, size and tilt, on a noisy gradient. The same params always give the same
/// bytes; every image is named by the SHA-1 of its bytes.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Synthetic {
    /// How many images, the classes in turn.
    #[schemars(range(min = 2, max = 1_000_000))]
    pub count: u32,
    /// How many classes.
    #[schemars(range(min = 2, max = 6))]
    pub classes: u32,
    /// The images' width and height in pixels.
    #[schemars(range(min = 16, max = 1024))]
    pub size: u32,
    /// Where chance starts.
    pub seed: u32,
}

impl Default for Synthetic {
    fn default() -> Self {
        Self { count: 600, classes: 2, size: 96, seed: 0 }
    }
}

impl Kind for Synthetic {
    const NAME: &'static str = "dataset.synthetic";
    const VERSION: u32 = 1;
    type Inputs = ();
    type Outputs = types::Records;
    const OUTPUTS: &'static [&'static str] = &["records"];

    fn validate(&self) -> Result<(), Failure> {
        if self.count >= self.classes {
            return Ok(());
        }
        let message = format!("{} images cannot show {} classes", self.count, self.classes);
        Err(Failure::new("pipe::invalid_param", message).param("count").help("draw at least one image a class"))
    }
}

impl Whole for Synthetic {
    fn run(&self, _: &Inputs<'_>, job: &Job<'_>) -> Result<Vec<Artifact>, Failure> {
        let mut rows = Vec::new();
        for number in 0..self.count {
            job.checkpoint()?;
            let class = number % self.classes;
            // A stream of its own for each image, so that more images leave the first as they are.
            let mut random = ChaCha8Rng::seed_from_u64(u64::from(self.seed));
            random.set_stream(u64::from(number));
            let jpeg = draw::photo(class, self.size, &mut random)
                .map_err(|error| Failure::new("pipe::internal", format!("cannot write a JPEG: {error}")))?;
            let name: String = Sha1::digest(&jpeg).iter().map(|byte| format!("{byte:02x}")).collect();
            let content = Some(job.store.put(&jpeg)?);
            rows.push(Record { id: format!("{name}.jpg"), value: class.to_string(), split: None, content });
        }
        Ok(vec![Artifact::Records(Records::new(rows))])
    }
}
