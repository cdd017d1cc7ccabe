"""The files of a run, by name, and where they lie."""

import contextlib
from pathlib import Path

DEFAULT_CRITERION = "example"  # of importance: the paper's; its files have no criterion in their names


class RunFolder:
    """The files of one run of train.py or rewind.py. `result` is written last: if it is there, the run is finished."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.config = self.folder / "config.json"
        self.log = self.folder / "log.txt"
        self.metrics = self.folder / "metrics.jsonl"
        self.result = self.folder / "result.json"
        self.failure = self.folder / "failed.txt"
        self.checkpoints = self.folder / "checkpoint"
        self.model = self.folder / "model"
        self.masks = self.folder / "masks"
        self.exports = self.folder / "export"

    def importance(self, criterion: str) -> Path:
        """Importance scores by one criterion."""
        name = unless_default(criterion)
        return self.folder / (f"importance_{name}.json" if name else "importance.json")

    def heat_map(self, criterion: str) -> Path:
        """The picture of these scores."""
        return self.importance(criterion).with_suffix(".png")

    def predictions(self, dev_set: str | None) -> Path:
        """Predictions of a dev set; `dev_set`: its name, or None if it is the only one."""
        return self.folder / (f"dev_predictions_{dev_set}.tsv" if dev_set else "dev_predictions.tsv")

    def why_failed(self) -> str:
        """Return the line that a failed run left, or ""."""
        with contextlib.suppress(FileNotFoundError):
            return " ".join(self.failure.read_text(encoding="utf-8", errors="replace").split())
        return ""

    def failed_at(self) -> int | None:
        """Return when the line that says why a run failed was written, in nanoseconds since 1970, or None."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return self.failure.stat().st_mtime_ns
        return None

    def mask(self, kind: str, n_heads: int, n_ffns: int, criterion: str | None = None) -> Path:
        """The mask of a ticket; `criterion`: the one that chose it, or None."""
        return self.mask_folder(kind, criterion) / f"{ticket_name(n_heads, n_ffns)}.json"

    def mask_folder(self, kind: str, criterion: str | None = None) -> Path:
        """The folder of the masks of a kind."""
        return self.masks / unless_default(criterion) / kind


def unless_default(criterion: str | None) -> str:
    """Return the criterion's name, as names of files, folders and tickets have it: "" for the default one and None."""
    return "" if criterion in (None, DEFAULT_CRITERION) else criterion


def ticket_name(n_heads: int, n_ffns: int) -> str:
    """Return the name of a ticket in files and folders: how many heads and FFNs it closes."""
    return f"heads_{n_heads}_ffns_{n_ffns}"
