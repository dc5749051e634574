"""Dataset readers, samplers, transforms and the synthetic pedestrians."""
