"""What a run computes on: device and precision, processes, log, launcher."""
