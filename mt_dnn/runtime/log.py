"""The log of a run: the same plain lines in log.txt and on the screen."""

import contextlib
import importlib.metadata
import logging
import platform
import shlex
import sys
from pathlib import Path

from mt_dnn.runtime.distributed import is_main_process, rank_label, world_size

log = logging.getLogger("super_tickets")


@contextlib.contextmanager
def logging_to(path):
    """Send what `log` gets to the file `path` (appended) and to standard output, in the first process.

    Lines above a progress bar do not tear it.
    """
    if not is_main_process():
        yield
        return
    from tqdm.contrib.logging import logging_redirect_tqdm

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    log.setLevel(logging.INFO)
    log.propagate = False
    handlers = {_File(path, encoding="utf-8"): "", logging.StreamHandler(sys.stdout): rank_label()}
    for handler, before in handlers.items():
        handler.setFormatter(logging.Formatter(f"{before}%(asctime)s  %(message)s", "%Y-%m-%d %H:%M:%S"))
        log.addHandler(handler)
    try:
        with logging_redirect_tqdm([log]):
            yield
    finally:
        for handler in handlers:
            log.removeHandler(handler)
            if isinstance(handler, logging.FileHandler):
                handler.close()


class _File(logging.FileHandler):
    """A log file that can't be written ends the run (logging would print a traceback and go on)."""

    def handleError(self, record):
        error, self.stream = sys.exc_info()[1], None  # so that closing it does not try again
        raise OSError(
            getattr(error, "errno", None), getattr(error, "strerror", None) or str(error), self.baseFilename
        ) from None


def print_line(line):
    """Print a line, in the first process, or in each of those that work apart."""
    if is_main_process():
        print(f"{rank_label()}{line}", flush=True)


def progress_bar(**settings):
    """A tqdm bar on a terminal, in the first process; none where several work apart."""
    from tqdm import tqdm

    return tqdm(disable=None if is_main_process() and not rank_label() else True, leave=False, **settings)


def log_command():
    """Log what was called, with which versions, on what: enough to do it again."""
    versions = " ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "transformers", "numpy"))
    log.info("command: python %s%s", shlex.join(sys.argv), f"  ({world_size()} processes)" if world_size() > 1 else "")
    log.info("versions: python %s %s", platform.python_version(), versions)
