"""From a PyTorch checkpoint to a bundle, through the gate."""
