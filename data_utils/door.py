"""The door of a command: it ends with a status, and with one line on standard error where something is wrong."""

import gc
import os
import sys
import time
from pathlib import Path

from data_utils.errors import RunFailed, UserError


def open_door(main):
    """Run a command's `main()`; end with the status it returns (None: 0), or with one line on standard error and status 2
    (1 where a run failed).

    Only errors made for the reader (`UserError`) and those of the file system become a line;
    a fault of ours keeps its traceback.
    """
    door = command_name()
    gc.set_threshold(
        100_000
    )  # looking for garbage among all that the imports load, which stays, takes a tenth of a start
    try:
        sys.exit(main())
    except UserError as error:
        _complain(door, error)
    except BrokenPipeError:  # who reads the output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.filename is None and error.strerror is None:
            raise
        _complain(door, f"{error.filename or 'a file'}: {error.strerror}")
    except KeyboardInterrupt:
        print(f"\n{door}: interrupted; give the same command again to do what is left", file=sys.stderr)
        sys.exit(130)


def command_name():
    """What the reader called: "train.py", or "python -m mt_dnn.export"."""
    script = Path(sys.argv[0])
    return (
        f"python -m {script.parent.parent.name}.{script.parent.name}" if script.name == "__main__.py" else script.name
    )


def _complain(door, message):
    if os.environ.get("LOCAL_RANK", "0") != "0":
        time.sleep(5)  # as a rule the first of torchrun's processes here says the same, and torchrun ends the others
    status = 1 if isinstance(message, RunFailed) else 2
    print(f"{door}: error: {' '.join(str(message).split())}", file=sys.stderr)
    if (
        "LOCAL_RANK" in os.environ
    ):  # leave without taking down the group of processes: where another has ended, that can crash
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
