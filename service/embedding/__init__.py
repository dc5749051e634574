"""From a picture's bytes to its features: decode, micro-batch, ONNX Runtime."""
