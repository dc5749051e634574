"""One file a kind of occluder, one function a place: above, below, beside (drawn for the left).

Each draws on a sheet's picture what is to be seen and on its mask what it hides, and returns the picture.
"""
