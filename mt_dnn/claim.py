"""Who does a run: one process at a time, by a lock on the run's log, which the system takes back however the process ends."""

import contextlib
import fcntl
import shutil

from mt_dnn.distributed import once


@contextlib.contextmanager
def claimed(files, wait=False):
    """Yield whether the run folder `files` is this process's alone (or its group's) within the block; False where another has it,
    unless that one is to be waited for.

    What a killed process left half-written there is removed. The file system must know locks, as local ones and NFS do.
    """
    held = contextlib.ExitStack()

    def claim():
        files.folder.mkdir(parents=True, exist_ok=True)
        log = held.enter_context(open(files.log, "a"))
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                return False
            print(f"{files.folder}: another process is at it, and is waited for", flush=True)
            fcntl.flock(log, fcntl.LOCK_EX)
        for place in (files.folder, files.checkpoints, *files.masks.glob("*")):
            for left in place.glob(".*.part"):
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        return True

    with held:
        yield once(claim)
