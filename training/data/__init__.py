"""Data: readers, the in-memory picture store, samplers, transforms, and drawn pedestrians."""
