"""`penumbra demo`: drawn people are enrolled, and found again by pictures in which a part of them is hidden.

Everything goes the way a user's pictures would: files, then REST. The people are drawn by
``penumbra-train synth`` in a subprocess, since the service does not import the training code.
"""

from service.demo.drawn import DemoError
from service.demo.run import run_demo

__all__ = ["DemoError", "run_demo"]
