"""Who does a run: one process at a time, by a lock on the run's log, which the system takes back however the process ends."""

import contextlib
import fcntl
import time

from data_utils.errors import UserError
from data_utils.files import remove_left_overs
from mt_dnn.runtime.distributed import on_main_process
from mt_dnn.runtime.log import print_line


@contextlib.contextmanager
def locked(files, wait=False):
    """Yield whether the run folder `files` is this process's alone (or its group's) within the block; False where another has it,
    unless that one is to be waited for.

    What a killed process left half-written there is removed. Raises UserError where the file system has no locks.
    """
    held = contextlib.ExitStack()

    def claim():
        files.folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as opened:
            log = opened.enter_context(open(files.log, "a"))
            try:
                fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            except OSError as error:
                raise UserError(
                    f"{files.log}: this file system has no locks ({error.strerror}), expected an --output_dir on one that has"
                ) from None
            held.enter_context(opened.pop_all())
        for place in (files.folder, files.checkpoints, *files.masks.glob("*")):
            remove_left_overs(place)
        return True

    with held:
        mine = on_main_process(claim)
        if wait and not mine:
            print_line(f"{files.folder}: another process is at it, and is waited for")
            while not mine:
                time.sleep(2)  # each of a group's processes, as none may wait for another's word for long
                mine = on_main_process(claim)
        yield mine
