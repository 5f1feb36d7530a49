//! Which instruction set scores: detected once at start, and forceable, so that every path is tested on one machine
//! and an operator can rule a broken one out.

use std::sync::OnceLock;

/// One family of CPU instructions. All give the same integers in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kernel {
    /// Plain Rust that the compiler vectorises for the target's baseline; on every machine.
    Portable,
    /// AVX2 (x86-64 from 2013).
    Avx2,
    /// AVX-512 F, BW, VL, VPOPCNTDQ and VNNI (Intel Ice Lake, AMD Zen 4 and later).
    Avx512,
}

impl Kernel {
    /// The fastest kernel of this machine.
    #[must_use]
    pub fn best() -> Self {
        static BEST: OnceLock<Kernel> = OnceLock::new();
        *BEST.get_or_init(|| *Self::available().last().expect("the portable kernel is on every machine"))
    }

    /// The kernels of this machine, slowest first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut kernels = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            kernels.extend(Avx2::detect().map(|_| Self::Avx2));
            kernels.extend(Avx512::detect().map(|_| Self::Avx512));
        }
        kernels
    }

    /// The kernel's name: `portable`, `avx2` or `avx512`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// The kernel of that name, if this machine has it.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::available().into_iter().find(|kernel| kernel.name() == name)
    }
}

/// Proof that this machine has AVX2: made by [`Avx2::detect`] alone.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

#[cfg(target_arch = "x86_64")]
impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }
}

/// Proof that this machine has the AVX-512 parts that the kernels use: made by [`Avx512::detect`] alone.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(());

#[cfg(target_arch = "x86_64")]
impl Avx512 {
    pub(crate) fn detect() -> Option<Self> {
        let all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vpopcntdq")
            && is_x86_feature_detected!("avx512vnni");
        all.then_some(Self(()))
    }
}

/// Plain Rust needs no proof.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

/// Runs `$body` with `$proof` bound to the proof of `$kernel`. A kernel that this machine lacks is run as portable:
/// the integers are the same, and no instruction is executed that is not there.
macro_rules! with_kernel {
    ($kernel:expr, $proof:ident => $body:expr) => {{
        #[cfg(target_arch = "x86_64")]
        {
            use $crate::kernel::{Avx2, Avx512, Kernel, Portable};
            match $kernel {
                Kernel::Avx512 if let Some($proof) = Avx512::detect() => $body,
                Kernel::Avx2 if let Some($proof) = Avx2::detect() => $body,
                _ => {
                    let $proof = Portable;
                    $body
                }
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            let _ = $kernel;
            let $proof = $crate::kernel::Portable;
            $body
        }
    }};
}
pub(crate) use with_kernel;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_available_and_has_its_name() {
        let available = Kernel::available();
        assert_eq!(available.first(), Some(&Kernel::Portable));
        assert_eq!(available.last(), Some(&Kernel::best()));
        for kernel in available {
            assert_eq!(Kernel::by_name(kernel.name()), Some(kernel));
        }
        assert_eq!(Kernel::by_name("avx1024"), None);
    }
}
