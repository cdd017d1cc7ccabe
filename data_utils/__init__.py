"""The ground floor: raw rows, task entries, tokenized splits, batches, metrics, files."""
