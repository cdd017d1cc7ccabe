"""The log of a run: the same plain lines in log.txt and on the screen."""

import contextlib
import importlib.metadata
import logging
import platform
import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from mt_dnn.runtime.code_version import code_version
from mt_dnn.runtime.distributed import is_main_process, rank_label, world_size

T = TypeVar("T")

log = logging.getLogger("super_tickets")


@contextlib.contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Within the block, append what `log` gets to the file `path` and print it, in the first process.

    Raises OSError where the file or standard output can't be written: the run ends, and its checkpoints stay.
    """
    if not is_main_process():
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    log.setLevel(logging.INFO)
    log.propagate = False
    handlers = {LogFile(path): "", Screen(): rank_label()}
    for handler, label in handlers.items():
        handler.setFormatter(logging.Formatter(f"{label}%(asctime)s  %(message)s", "%Y-%m-%d %H:%M:%S"))
        log.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            log.removeHandler(handler)
            handler.close()


class LogFile(logging.FileHandler):
    """Lines go to a file. Where logging would print a traceback and go on, an error is raised."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace")

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        self.stream = None  # closing it would try to write again
        reason = getattr(error, "strerror", None) or str(error)
        raise OSError(getattr(error, "errno", None), reason, self.baseFilename) from None


class Screen(logging.Handler):
    """Lines go to standard output, above a progress bar. Errors are raised."""

    def emit(self, record: logging.LogRecord) -> None:
        if sys.stdout:
            tqdm.write(f"{self.format(record)}\n", file=sys.stdout, end="")  # in one piece, as in print_line()
            sys.stdout.flush()


def print_line(line: str) -> None:
    """Print a line, in the first process, or in each of those that work apart."""
    if is_main_process():
        print(f"{rank_label()}{line}\n", end="", flush=True)  # in one piece: under torchrun others print too


def progress_bar(items: Iterable[T], desc: str, unit: str) -> Iterable[T]:
    """Return `items` with a progress bar: shown on a terminal, in the first process; hidden where several processes
    work apart."""
    return tqdm(items, desc, leave=False, unit=unit, disable=None if is_main_process() and not rank_label() else True)


def log_command() -> None:
    """Log the command line, and the versions of the code, of Python and of the packages."""
    versions = " ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "transformers", "numpy"))
    processes = f"  ({world_size()} processes)" if world_size() > 1 else ""
    log.info(f"command: python {shlex.join(sys.argv)}{processes}")
    log.info(f"versions: code {code_version() or 'unknown'} python {platform.python_version()} {versions}")
