"""PyTorch networks: backbones, attention, heads, and one file per system."""
