"""How a model is made: data, occluders, losses, systems, evaluation and export."""

import models as models  # before ONNX Runtime is loaded: says that it reports nothing
