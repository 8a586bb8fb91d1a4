//! What becomes of the places of the last map.

use crate::block::Block;
use crate::network::Network;

/// What becomes of the places of the last map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// What the network's own classifier gets.
    Own,
    /// The mean over all places; of a transformer's patches, its class token left out.
    Average,
    /// Every place stays: of a transformer each patch, as DINO (Caron et al. 2021) uses them.
    Keep,
}

impl Network {
    /// The network with other features, which no longer suit its classifier. `features` then counts the
    /// channels of a place.
    pub fn pooled(mut self, pool: Pool) -> Self {
        let is_transformer = self.is_transformer();
        let patches = || is_transformer.then_some(Block::PatchTokens).into_iter();
        match pool {
            Pool::Own => return self,
            Pool::Average => self.head = patches().chain([Block::Mean]).collect(),
            Pool::Keep => self.head = patches().collect(),
        }
        let side = self.input_size;
        if let Some([channels, ..]) = self.feature_map(side, side) {
            self.features = channels;
        }
        self
    }
}
