"""What is kept: catalog (SQL), pictures (fsspec), feature cache (Redis or in-process)."""
