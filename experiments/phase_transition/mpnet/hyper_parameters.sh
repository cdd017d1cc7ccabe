# The dense model with the best score on held-out training rows: the grid in protocol.md.
epochs_of() { echo 3; }
rate_of() { echo 2e-4; }
