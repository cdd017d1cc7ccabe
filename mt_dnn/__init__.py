"""The method: tickets, gates, importance, pruning, and the runs that train with them."""
