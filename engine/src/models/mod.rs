//! Models: ONNX tree ensembles in integers, everything else on tract.
