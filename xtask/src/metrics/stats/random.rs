//! Random numbers that are the same on every machine and with every version of this program. That is why
//! no crate is used: its stream may change between versions.

/// `SplitMix64` (Steele, Lea and Flood 2014): small, and good enough for resampling.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub fn next(&mut self) -> u64 {
        // The constants are those of the paper: others would be another generator.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, each as probable as the others.
    pub fn below(&mut self, end: u64) -> u64 {
        // The upper half of a 128-bit product. A draw in the uneven rest is repeated, else it would bias.
        let rest = end.wrapping_neg() % end;
        loop {
            let product = u128::from(self.next()) * u128::from(end);
            #[expect(clippy::cast_possible_truncation, reason = "the halves of the product")]
            let (upper, lower) = ((product >> 64) as u64, product as u64);
            if lower >= rest {
                return upper;
            }
        }
    }
}
