//! Compute kernels as pairs: a WGSL shader and its plain CPU twin, with the SIMD variants, the Pod layouts they
//! share and the wgpu device that runs them. This crate knows nothing of transactions, lists or rules: banks of
//! integers in, integers out, the same bits on every path. Its kernels come with the similarity stage; until then
//! it holds the place in the dependency order (`shaders` ← `engine`) and nothing else.
