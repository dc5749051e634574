"""How a model is made: data, occluders, losses, systems, evaluation and export."""
