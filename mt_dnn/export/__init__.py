"""The ticket taken out of a trained model; predictions."""
