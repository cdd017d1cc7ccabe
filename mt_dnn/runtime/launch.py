"""torchrun, but a command that ends with a line for the reader is not followed by torchrun's traceback.

python -m mt_dnn.runtime.launch --standalone --nproc-per-node 4 train.py ...
"""

import logging
import sys

from torch.distributed import run
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

if __name__ == "__main__":
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    try:
        run.main()
    except ChildFailedError as error:
        sys.exit(error.get_first_failure()[1].exitcode)
