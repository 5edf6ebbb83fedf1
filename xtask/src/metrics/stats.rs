//! Statistics. Pure: numbers in, numbers out, the same bytes for the same input on every machine.
//!
//! Deliberately absent: IO, clocks and the machine's randomness.

pub use histogram::Histogram;
pub use interval::median_interval;
pub use quantile::median;
pub use random::Random;

pub mod adjust;
pub mod bootstrap;
pub mod changepoint;
pub mod distribution;
mod histogram;
mod interval;
pub mod paired;
pub mod permutation;
pub mod power;
mod quantile;
mod random;
pub mod robust;
pub mod student;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
