"""How good a model is: protocols, features, ranking, occlusion unification."""
