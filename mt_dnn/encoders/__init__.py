"""BERT and its like: families, and what makes them faster."""
