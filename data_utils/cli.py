"""How a command ends: with a status and, where something is wrong, with one line on standard error."""

import contextlib
import gc
import io
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from data_utils.errors import RunFailed, UserError

# torchrun sets all of these. A shell may still hold one of them from an earlier call, so we ask for all.
TORCHRUN = ("TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def launched_by_torchrun() -> bool:
    """Whether torchrun started this process."""
    return all(name in os.environ for name in TORCHRUN)


def run_main(main: Callable[[], int | None]) -> NoReturn:
    """Run a command's `main()` and end the process with the status that it returns (None: 0).

    A UserError and an error of the file system become one line on standard error and status 2, a RunFailed one line and
    status 1. Any other exception is a fault of ours and keeps its traceback.
    """
    _prepare_standard_streams()
    gc.set_threshold(100_000)  # else the collector scans all that imports load: a start takes a tenth longer
    try:
        try:
            status = main()
        except SystemExit as ended:  # of --help
            status = int(ended.code or 0)
        if sys.stdout:
            sys.stdout.flush()
        _end(status)
    except UserError as error:
        _complain(str(error), 1 if isinstance(error, RunFailed) else 2)
    except BrokenPipeError:  # the reader of our output has seen enough, as `head` does
        _discard_output()
        _end(1)
    except OSError as error:
        if error.filename is None and error.strerror is None:
            raise
        if error.filename is None:  # whatever reads or writes a file names it
            _discard_output()
        _complain(f"{error.filename or 'standard output'}: {error.strerror}", 2)
    except KeyboardInterrupt:
        print(f"\n{command_name()}: interrupted; give the same command again to do what is left", file=sys.stderr)
        _end(130)


def command_name() -> str:
    """What the reader called: "train.py", or "python -m mt_dnn.export"."""
    module = sys.modules["__main__"].__spec__  # of what was called by python -m
    if module and module.origin == sys.argv[0]:
        return f"python -m {module.name.removesuffix('.__main__')}"
    return Path(sys.argv[0]).name


def _prepare_standard_streams() -> None:
    """Make standard output and error safe to print to.

    Characters that the terminal's encoding lacks are printed as escapes. If a stream is closed, its number is taken, so
    that no file of ours gets it: what a library prints would end up in that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.stderr = sys.stderr or open(os.devnull, "w")


def _discard_output() -> None:
    """Send standard output to nowhere, so that Python does not complain about it again when it ends."""
    if sys.stdout:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(message: str, status: int) -> NoReturn:
    if launched_by_torchrun() and os.environ["LOCAL_RANK"] != "0":
        time.sleep(5)  # the first of torchrun's processes here mostly says the same, and torchrun ends the others
    with contextlib.suppress(OSError):
        print(f"{command_name()}: error: {one_line(message)}", file=sys.stderr, flush=True)
    _end(status)


def one_line(message: str) -> str:
    """Return `message` on one line; what can't be seen, such as a no-break space, is written as an escape."""
    line = " ".join(filter(None, map(str.strip, message.splitlines())))
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line)


def _end(status: int | None) -> NoReturn:
    """End the process. One of torchrun's ends without taking down the process group: its threads can abort an ordinary
    exit, or crash where another process has ended.
    """
    if launched_by_torchrun():
        for stream in filter(None, (sys.stdout, sys.stderr)):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(status or 0)
    sys.exit(status)
