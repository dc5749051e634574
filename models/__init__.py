"""What a model is: occlusion types, the exported bundle, and the networks behind it."""
