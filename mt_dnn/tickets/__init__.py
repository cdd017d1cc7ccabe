"""The paper: gates, importance, tickets, masks, pruning, sharing."""
