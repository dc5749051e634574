"""How a model is used: the REST service, its client, command line and benchmarks."""
