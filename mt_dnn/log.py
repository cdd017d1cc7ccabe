"""The log of a run: the same plain lines in log.txt and on the screen."""

import contextlib
import importlib.metadata
import logging
import platform
import shlex
import sys
from pathlib import Path

from mt_dnn.distributed import is_first, processes

log = logging.getLogger("super_tickets")


@contextlib.contextmanager
def logging_to(path):
    """Send what `log` gets to the file `path` (appended) and to standard output, in the first process.

    Lines above a progress bar do not tear it.
    """
    if not is_first():
        yield
        return
    from tqdm.contrib.logging import logging_redirect_tqdm
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    log.setLevel(logging.INFO)
    log.propagate = False
    form = logging.Formatter("%(asctime)s  %(message)s", "%Y-%m-%d %H:%M:%S")
    handlers = [logging.FileHandler(path, encoding="utf-8"), logging.StreamHandler(sys.stdout)]
    for handler in handlers:
        handler.setFormatter(form)
        log.addHandler(handler)
    try:
        with logging_redirect_tqdm([log]):
            yield
    finally:
        for handler in handlers:
            log.removeHandler(handler)
            if isinstance(handler, logging.FileHandler):
                handler.close()


def say(line):
    """Print a line, in the first process."""
    if is_first():
        print(line, flush=True)


def progress_bar(**settings):
    """A tqdm bar on a terminal, in the first process."""
    from tqdm import tqdm
    return tqdm(disable=None if is_first() else True, leave=False, **settings)


def log_command():
    """Log what was called, with which versions, on what: enough to do it again."""
    versions = " ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "transformers", "numpy"))
    log.info("command: python %s%s", shlex.join(sys.argv), f"  ({processes()} processes)" if processes() > 1 else "")
    log.info("versions: python %s %s", platform.python_version(), versions)
