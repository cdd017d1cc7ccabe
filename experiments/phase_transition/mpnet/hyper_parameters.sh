# The dense model with the best score on held-out training rows: grid.sh's table in README.md.
epochs_of() { echo 3; }
rate_of() { echo 2e-4; }
