"""The files of a run, by name: the only place that knows where each of them lies."""

import contextlib
from pathlib import Path


class RunFolder:
    """The files of one run of train.py or rewind.py; `result` is written last and says "finished"."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.config = self.folder / "config.json"
        self.log = self.folder / "log.txt"
        self.metrics = self.folder / "metrics.jsonl"
        self.result = self.folder / "result.json"
        self.failure = self.folder / "failed.txt"
        self.checkpoints = self.folder / "checkpoint"
        self.model = self.folder / "model"
        self.importance = self.folder / "importance.json"
        self.heat_map = self.folder / "importance.png"
        self.masks = self.folder / "masks"
        self.exports = self.folder / "export"

    def predictions(self, dataset):
        """Dev predictions; `dataset` is told apart only where a task has several dev sets."""
        return self.folder / (f"dev_predictions_{dataset}.tsv" if dataset else "dev_predictions.tsv")

    def why_failed(self):
        """The line that a failed run left, or ""."""
        with contextlib.suppress(FileNotFoundError):
            return " ".join(self.failure.read_text(encoding="utf-8", errors="replace").split())
        return ""

    def mask(self, kind, n_heads, n_ffns):
        return self.masks / kind / f"{ticket_name(n_heads, n_ffns)}.json"


def ticket_name(n_heads, n_ffns):
    """The name of a ticket in files and folders: how many heads and FFNs it closes."""
    return f"heads_{n_heads}_ffns_{n_ffns}"
