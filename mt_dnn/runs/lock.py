"""Which process does a run: the one that holds a lock on the run's log.

The operating system releases the lock when the process exits, even if it is killed.
"""

import contextlib
import fcntl
import time
from collections.abc import Iterator

from data_utils.advice import advice
from data_utils.errors import RunFailed, UserError
from data_utils.files import make_folder, remove_left_overs
from mt_dnn.run_folder import RunFolder
from mt_dnn.runtime.distributed import on_main_process
from mt_dnn.runtime.log import print_line

RETRY_SECONDS = 2  # between two attempts to get the lock


@contextlib.contextmanager
def locked(files: RunFolder, wait: bool = False) -> Iterator[bool]:
    """Within the block, lock the run folder `files` for this process, or for its group; yield whether that worked.

    It does not work while another process has the lock. With `wait` this waits for that process.

    What a killed process left half-written in the folder is removed. Raises UserError if the file system has no locks,
    and RunFailed if the run failed in the process that this one waited for.
    """
    held = contextlib.ExitStack()

    def claim() -> bool:
        make_folder(files.folder)
        log = held.enter_context(open(files.log, "a"))
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.close()
            return False
        except OSError as error:
            raise UserError(
                f"{files.log}: this file system has no locks ({error.strerror}), "
                f"expected an {advice('--output_dir')} on one that has"
            ) from None
        for place in (files.folder, files.checkpoints, *files.masks.glob("**/")):
            remove_left_overs(place)
        return True

    failed_before = on_main_process(files.failed_at)
    with held:
        got = on_main_process(claim)
        if wait and not got:
            print_line(f"{files.folder}: another process does this run; waiting for it")
            while not got:
                time.sleep(RETRY_SECONDS)  # in all processes: others would wait in a broadcast, which has a time limit
                got = on_main_process(claim)
            if on_main_process(files.failed_at) not in (None, failed_before):
                raise RunFailed(f"{files.folder}: failed in another process: {on_main_process(files.why_failed)}")
        yield got
