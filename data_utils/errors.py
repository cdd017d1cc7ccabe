"""What goes wrong, for the reader: one line saying what is wrong, where, and what would be right."""

from pathlib import Path


class UserError(Exception):
    """Something the reader can mend: one line saying what is wrong, where, and what would be right."""


class NoSuchFile(UserError):
    """A file that is expected and not there; `path` is where."""

    def __init__(self, path: str | Path, expected: str) -> None:
        super().__init__(f"{path}: no such file, expected {expected}")
        self.path = Path(path)


class RunFailed(UserError):
    """A run that can't be done, as memory is full; others may do better."""


class Diverged(RunFailed):
    """A run whose loss is no number, nor would it be one from any of its checkpoints."""
