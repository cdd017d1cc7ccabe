# To be chosen by grid.sh, before the sweep.
epochs_of() { echo; }
rate_of() { echo; }
