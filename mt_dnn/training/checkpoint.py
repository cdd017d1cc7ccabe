"""Everything a stopped training needs to go on as if it had not stopped.

    <run>/checkpoint/update_120/state.safetensors   weights, optimizer, random states; the rest as JSON in its header
                               /sha256              its fingerprint, as sha256sum writes it

The two newest are kept: should one be damaged, the one before it is used.
"""

import dataclasses
import json
import random
import re
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from data_utils.errors import UserError
from data_utils.files import save_tensors, sha256, write_folder_whole
from mt_dnn.runtime.distributed import all_gather, on_main_process, rank
from mt_dnn.runtime.log import log

KEPT = 2


@dataclass
class Progress:
    """How far a training is. `epochs`: those done and evaluated; of the next one, the `batches` that are done, the
    `seconds` they took and, by task, their `losses` summed over rows."""

    epochs: list = field(default_factory=list)
    batches: int = 0
    seconds: float = 0.0
    losses: dict = field(default_factory=dict)

    def end_epoch(self, entry):
        """An epoch is done and evaluated; `entry` is what metrics.jsonl says of it."""
        self.epochs.append(entry)
        self.batches, self.seconds, self.losses = 0, 0.0, {}


class Checkpoints:
    """The checkpoints of one training, in `folder`; one is `due()` every `minutes`."""

    def __init__(self, folder, minutes, model, optimizer, schedule):
        self.folder, self.pause = folder, 60 * minutes
        self.model, self.optimizer, self.schedule = model, optimizer, schedule
        self.saved = time.monotonic()

    def due(self, epoch_ends: bool) -> bool:
        """Whether the last checkpoint, or the start, is `minutes` ago; where an epoch ends, a tenth of that is enough,
        as no checkpoint can be written during the evaluation that follows."""
        pause = 0.1 * self.pause if epoch_ends else self.pause
        return on_main_process(lambda: time.monotonic() - self.saved >= pause)

    def save(self, update, progress):
        """Write the state after so many updates, whole or not at all; remove all but the newest ones."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        optimizer = self.optimizer.state_dict()
        tensors |= {
            f"optimizer.{number}.{name}": value
            for number, state in optimizer["state"].items()
            for name, value in state.items()
        }
        randoms = all_gather(_random_states(next(self.model.parameters()).device))
        tensors |= {
            f"random.{number}.{name}": value
            for number, (states, _) in enumerate(randoms)
            for name, value in states.items()
        }
        rest = {
            "progress": dataclasses.asdict(progress),
            "optimizer": optimizer["param_groups"],
            "schedule": self.schedule.state_dict(),
            "random": [state for _, state in randoms],
        }
        on_main_process(
            lambda: self._write(update, {name: value.contiguous() for name, value in tensors.items()}, rest)
        )
        self.saved = time.monotonic()

    def _write(self, update, tensors, rest):
        with write_folder_whole(self.folder / f"update_{update}") as beside:
            save_tensors(beside / "state.safetensors", tensors, {"rest": json.dumps(rest)})
            (beside / "sha256").write_text(f"{sha256(beside / 'state.safetensors')}  state.safetensors\n")
        for old in self._found()[KEPT:]:
            shutil.rmtree(old)

    def _found(self):
        """The folders of checkpoints, newest first. Others, such as a copy "update_60 (copy)", are passed over."""
        found = [path for path in self.folder.glob("update_*") if re.fullmatch(r"update_\d+", path.name)]
        return sorted(found, key=lambda path: -int(path.name.removeprefix("update_")))

    def _newest_whole(self):
        """The newest undamaged checkpoint, or None; damaged ones are removed."""
        for found in self._found():
            if _is_whole(found):
                return found
            shutil.rmtree(found)

    def restore(self):
        """Put the newest undamaged checkpoint's state back; return its Progress, that of a start where there is none.

        A process beyond those that wrote it keeps its own random state.

        Raises UserError where another version wrote it, so that names or shapes in it are others.
        """
        folder = on_main_process(self._newest_whole)
        if folder is None:
            return Progress()
        try:
            progress = self._put_back(folder)
        except (RuntimeError, KeyError, TypeError, ValueError, AttributeError, IndexError):
            raise UserError(
                f"{folder}: weights or entries of other names or shapes, expected a checkpoint that this version "
                f"wrote; remove {self.folder} to start anew"
            ) from None
        log.info("goes on from %s: epoch %d, %d batches done", folder, len(progress.epochs) + 1, progress.batches)
        return progress

    def _put_back(self, folder: Path) -> Progress:
        """Put the state in `folder` back; return its Progress. The exceptions are those of whatever does not fit."""
        with safe_open(folder / "state.safetensors", "pt") as file:
            rest, tensors = json.loads(file.metadata()["rest"]), {name: file.get_tensor(name) for name in file.keys()}
        self.model.load_state_dict(
            {name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")}
        )
        states = {}
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, number, key = name.split(".", 2)
                states.setdefault(int(number), {})[key] = value
        self.optimizer.load_state_dict({"state": states, "param_groups": rest["optimizer"]})
        self.schedule.load_state_dict(rest["schedule"])
        if rank() < len(rest["random"]):
            prefix = f"random.{rank()}."
            _set_random_states(
                {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)},
                rest["random"][rank()],
            )
        return Progress(**rest["progress"])


def _is_whole(folder):
    """Whether a checkpoint's fingerprint is right; if not, say so."""
    try:
        whole = (folder / "sha256").read_text().split()[:1] == [sha256(folder / "state.safetensors")]
    except (OSError, UnicodeDecodeError):
        whole = False
    if not whole:
        log.warning("%s: damaged, so the checkpoint before it is used, or the start where there is none", folder)
    return whole


def _random_states(device):
    """Return this process's random states: (tensors, what JSON takes)."""
    generator, state = {"torch": torch.get_rng_state()}, np.random.get_state()
    if device.type == "cuda":
        generator["cuda"] = torch.cuda.get_rng_state(device)
    return generator, {"python": random.getstate(), "numpy": [state[0], state[1].tolist(), *state[2:]]}


def _set_random_states(generator, rest):
    torch.set_rng_state(generator["torch"])
    if "cuda" in generator and torch.cuda.is_available():
        torch.cuda.set_rng_state(generator["cuda"])
    version, state, gauss = rest["python"]
    random.setstate((version, tuple(state), gauss))
    np.random.set_state(tuple(rest["numpy"]))
