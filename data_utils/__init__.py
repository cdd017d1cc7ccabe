"""What everything else builds on: raw rows, task entries, tokenized splits, batches, metrics, files."""
