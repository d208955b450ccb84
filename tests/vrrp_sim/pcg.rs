//! A small random generator (PCG-XSH-RR 64/32), so that a seed means the same run for ever.

pub(crate) struct Pcg {
    state: u64,
}

impl Pcg {
    pub(crate) fn new(seed: u64) -> Self {
        let mut pcg =
            Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1405_7b7e_f767_814f) };
        pcg.next();
        pcg.next();
        pcg
    }

    /// Another generator, so that one consumer more does not change what the others see.
    pub(crate) fn fork(&mut self) -> Self {
        let high = u64::from(self.next()) << 32;
        Self::new(high | u64::from(self.next()))
    }

    pub(crate) fn next(&mut self) -> u32 {
        let old = self.state;
        self.state = old.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let shifted = (((old >> 18) ^ old) >> 27) as u32;
        shifted.rotate_right((old >> 59) as u32)
    }

    /// 0..limit; 0 for 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        (u64::from(self.next()) * limit) >> 32
    }

    /// True so many times in a hundred.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}
