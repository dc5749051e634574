"""Benchmarks against a running service."""
