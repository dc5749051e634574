"""The papers' occluders: what is laid over training pictures, and where."""
