"""How a model is used: the REST service, its client, command line and benchmarks."""

import models as models  # before ONNX Runtime is loaded: says that it reports nothing
