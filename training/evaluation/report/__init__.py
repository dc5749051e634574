"""The HTML report of `penumbra-train evaluate --report DIR`: opens from disk, asks no network."""
