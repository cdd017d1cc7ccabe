"""Super tickets by task: how many heads and FFNs each closes, in YAML as experiments/phase_transition/report.py writes it.

    rte: {heads: 14, ffns: 1}
"""

from data_utils.files import UserError
from data_utils.tasks import read_yaml


def read_super_tickets(paths):
    """Return {task name: (heads, FFNs)} of the files `paths` together.

    Raises UserError for what is not as above, and for a task that stands there twice.
    """
    counts = {}
    for path in paths:
        for task, entry in read_yaml(path, "`task: {heads: ..., ffns: ...}`").items():
            if not isinstance(entry, dict) or set(entry) != {"heads", "ffns"} or not all(type(n) is int and n >= 0 for n in entry.values()):
                raise UserError(f"{path}: {task}: {entry!r}, expected {{heads: ..., ffns: ...}}, how many of each are closed")
            if task in counts:
                raise UserError(f"{path}: {task} stands in an earlier file too, expected every task once")
            counts[task] = entry["heads"], entry["ffns"]
    return counts
