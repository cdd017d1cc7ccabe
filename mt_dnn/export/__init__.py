"""Exports of a trained model, and its predictions."""
