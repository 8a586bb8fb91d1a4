//! Decoded pixels, and how they look as an item.

/// Width and height, each a little-endian `u32`, before the pixels.
const HEADER: usize = 8;

/// An RGB image of 8 bits a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pixels {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// `[height, width, 3]`, row-major.
    pub(crate) rgb: Vec<u8>,
}

impl Pixels {
    /// Leaves the brightness alone, in all three channels, as Pillow converts to `L`: ITU-R BT.601's
    /// weights in 16 bits.
    pub(crate) fn make_grey(&mut self) {
        for pixel in self.rgb.as_chunks_mut::<3>().0 {
            let [red, green, blue] = pixel.map(u32::from);
            *pixel = [((red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16) as u8; 3];
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.rgb.len());
        bytes.extend((self.width as u32).to_le_bytes());
        bytes.extend((self.height as u32).to_le_bytes());
        bytes.extend(&self.rgb);
        bytes
    }

    /// Reads it back; `None` when the bytes are of another form.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let side = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
        let (width, height) = (side(0)?, side(4)?);
        let rgb = bytes.get(HEADER..)?.to_vec();
        (rgb.len() == width * height * 3).then_some(Self { width, height, rgb })
    }
}
