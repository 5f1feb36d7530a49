//! Which instruction set scans: chosen at run time, and made only by asking the processor, so that one that it cannot
//! run is never run. All give the same candidates in the same order.

#[cfg(target_arch = "x86_64")]
use super::avx2;
use super::filter::Filter;
use super::portable;

/// One family of instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel(Set);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Proof),
}

impl Kernel {
    /// The fastest that this processor runs.
    pub fn best() -> Kernel {
        Self::available().pop().expect("the portable one always runs")
    }
    /// All that this processor runs, slowest first.
    pub fn available() -> Vec<Kernel> {
        let mut all = vec![Kernel(Set::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(avx2::Proof::detect().map(|proof| Kernel(Set::Avx2(proof))));
        }
        all
    }
    /// Its name: `portable` or `avx2`.
    pub fn name(self) -> &'static str {
        match self.0 {
            Set::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(_) => "avx2",
        }
    }
    /// Appends the places of all values that the filter lets pass, ascending.
    ///
    /// # Panics
    /// With 2^32 values or more.
    pub fn find(self, filter: &Filter, values: &[u32], found: &mut Vec<u32>) {
        assert!(u32::try_from(values.len()).is_ok(), "places are 32 bits");
        match self.0 {
            Set::Portable => portable::find(filter, values, 0, found),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(proof) => avx2::find(proof, filter, values, found),
        }
    }
}
