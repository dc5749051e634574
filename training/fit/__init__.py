"""`penumbra-train fit`: the one training loop, over all stages of a recipe.

``run`` goes through the stages, ``stage`` trains one, ``data`` and ``optimiser`` make what both need.
"""

from training.fit.data import assemble_batch, check, load_training_data, sampler_of
from training.fit.optimiser import build_optimiser, learning_rate
from training.fit.options import FitOptions
from training.fit.run import fit, open_fabric

__all__ = [
    "FitOptions",
    "assemble_batch",
    "build_optimiser",
    "check",
    "fit",
    "learning_rate",
    "load_training_data",
    "open_fabric",
    "sampler_of",
]
