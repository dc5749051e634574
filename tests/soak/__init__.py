"""What takes too long for every commit: hundreds of kills, an hour of load. `make soak` runs it."""
