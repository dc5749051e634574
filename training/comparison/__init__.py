"""The systems beside each other: run records kept as small JSON files, and the table made of them."""
