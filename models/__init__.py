"""What a model is: occlusion types, the exported bundle, and the networks behind it."""

import os

# Builds of ONNX Runtime since 1.29 write an identifier of the machine to ~/.cache and report versions,
# devices and hashes of models to their maker, unless this is set before the library is loaded; 0 lets them.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
