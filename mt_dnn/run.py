"""One run: a ticket and a seed in a folder of its own. Fine-tuning the dense model (train.py) and
rewinding a ticket (rewind.py) are the same run; the dense model's ticket closes nothing."""

from dataclasses import dataclass

from data_utils.files import RunFolder, read_json
from mt_dnn.config import refuse_other_config
from mt_dnn.ticket import Ticket


@dataclass(frozen=True)
class Run:
    """`options`: all flags that decide the outcome, as config.to_dict gives them."""

    files: RunFolder
    kind: str
    ticket: Ticket
    seed: int
    options: dict
    keep_gates: bool = False
    keep_model: bool = False

    @property
    def config(self):
        """What the run's config.json holds."""
        ticket = {"heads": sorted(map(list, self.ticket.heads)), "ffns": sorted(self.ticket.ffns)}
        return {**self.options, "seed": self.seed, "kind": self.kind, "keep_gates": self.keep_gates, "ticket": ticket}

    def is_finished(self):
        """Whether the run's result is there; raise UserError if it was made with other options or another ticket."""
        if not self.files.result.exists():
            return False
        refuse_other_config(self.files.folder, read_json(self.files.config, "the options of a run"), self.config)
        return True
