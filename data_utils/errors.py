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
    """A run that failed on its own, as where memory is full. Other runs may succeed."""


class Diverged(RunFailed):
    """A run whose loss is NaN or infinite, and would be so again from any of its checkpoints."""
