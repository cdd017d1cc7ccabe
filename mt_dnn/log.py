"""The log of a run: the same plain lines in log.txt and on the screen."""

import contextlib
import importlib.metadata
import logging
import platform
import shlex
import sys
from pathlib import Path

log = logging.getLogger("super_tickets")


@contextlib.contextmanager
def logging_to(path):
    """Send what `log` gets to the file `path` (appended) and to standard output.

    Lines above a tqdm bar do not tear it.
    """
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


def log_command():
    """Log what was called, with which versions, on what: enough to do it again."""
    versions = " ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "transformers", "numpy"))
    log.info("command: python %s", shlex.join(sys.argv))
    log.info("versions: python %s %s", platform.python_version(), versions)
