"""Distances that are learned on the training half: XQDA and KISSME. No torch."""
