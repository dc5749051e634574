"""What takes too long for every commit: kills, faults of all that the service stands on, an hour of load."""
