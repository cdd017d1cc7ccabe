"""torchrun, but without its traceback after a command that ended with a line for the reader, or by a signal.

python -m mt_dnn.runtime.launch --standalone --nproc-per-node 4 train.py ...
"""

import logging
import sys


def main() -> None:
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import RendezvousError

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    try:
        run.main()
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode >= 0:
            sys.exit(failure.exitcode)
        print(  # it could not say anything itself
            f"launch: error: process {rank} was killed by signal {-failure.exitcode} (9: mostly by the system, as "
            "memory is full; 6: by a library, on GPUs mostly NCCL, which says why above); give the same command again "
            "to do what is left",
            file=sys.stderr,
        )
        sys.exit(128 - failure.exitcode)
    except RendezvousError as error:  # of several machines
        why = str(error.__cause__ or error).splitlines()[0].rstrip(".")
        print(f"launch: error: {why}; expected the first machine at --rdzv-endpoint", file=sys.stderr)
        sys.exit(2)
    except SignalException as error:  # Ctrl-C, or the end of a job
        sys.exit(128 + error.sigval)
    except ValueError as error:  # of a flag
        print(f"launch: error: {error}; change TORCHRUN, or torchrun's flags", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:  # before torchrun handles signals
        sys.exit(130)
