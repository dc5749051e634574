"""Nearest neighbours over the catalog's features: one protocol, engines behind it."""
