"""Attention modules: each maps a feature map to weights over its positions or channels."""
