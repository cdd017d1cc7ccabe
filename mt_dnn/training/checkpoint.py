"""All that a stopped training needs to resume as if it had not stopped.

    <run>/checkpoint/update_120/state.safetensors   weights, optimizer, random states; the rest as JSON in its header.
                                                    Of the embedding table only the rows that are trained
                                                    (encoders/vocabulary.py), so it is no model to start from
                               /sha256              its fingerprint, as sha256sum writes it

The two newest are kept: if one is damaged, the one before it is used.
"""

import dataclasses
import json
import re
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from data_utils.errors import FailedInAllProcesses, is_memory_full
from data_utils.files import save_tensors, sha256, write_folder_whole
from mt_dnn.encoders.encoder import TaskModel
from mt_dnn.runtime.distributed import all_gather, on_main_process, rank
from mt_dnn.runtime.log import log

KEPT = 2
LEAST_PAUSE = 20  # times what the last checkpoint took to write: on a slow disk they take 5 % of the time at most

Tensors = dict[str, Tensor]


@dataclass
class Progress:
    """How far a training is.

    `epochs`: those that are done and evaluated, as metrics.jsonl has them. Of the next epoch: how many `batches` are
    done, the `seconds` that they took, and by task their `losses`, summed over rows.
    """

    epochs: list[dict[str, Any]] = field(default_factory=list)
    batches: int = 0
    seconds: float = 0.0
    losses: dict[str, float] = field(default_factory=dict)

    def end_epoch(self, entry: dict[str, Any]) -> None:
        """An epoch is done and evaluated; `entry` is what metrics.jsonl says of it."""
        self.epochs.append(entry)
        self.batches, self.seconds, self.losses = 0, 0.0, {}


class Checkpoints:
    """The checkpoints of one training, in `folder`; one is `due()` every `minutes`."""

    def __init__(
        self, folder: Path, minutes: float, model: TaskModel, optimizer: Optimizer, scheduler: LRScheduler
    ) -> None:
        self.folder, self.pause = folder, 60 * minutes
        self.model, self.optimizer, self.scheduler = model, optimizer, scheduler
        self.saved, self.took = time.monotonic(), 0.0

    def due(self, epoch_ends: bool) -> bool:
        """Whether `minutes` have passed since the last checkpoint, or since the start; with 0 `minutes` always.

        At the end of an epoch a tenth of them is enough, as no checkpoint can be written during the evaluation that
        follows. On a slow disk the pause is longer: see LEAST_PAUSE.
        """
        pause = max(0.1 * self.pause if epoch_ends else self.pause, LEAST_PAUSE * self.took) if self.pause else 0.0
        return on_main_process(lambda: time.monotonic() - self.saved >= pause)

    def save(self, update: int, progress: Progress) -> None:
        """Write the state after this many updates, whole or not at all; remove all but the newest ones."""
        started = time.monotonic()
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        optimizer = self.optimizer.state_dict()
        numbers = []  # such as a count of steps
        for number, state in optimizer["state"].items():
            for name, value in state.items():
                if isinstance(value, torch.Tensor):
                    tensors[f"optimizer.{number}.{name}"] = value
                else:
                    numbers.append((number, name, value))
        tensors |= {
            f"random.{number}.{name}": value
            for number, states in enumerate(all_gather(_random_states(self.model.device)))
            for name, value in states.items()
        }
        rest = {
            "progress": dataclasses.asdict(progress),
            "optimizer_class": type(self.optimizer).__name__,
            "optimizer": optimizer["param_groups"],
            "optimizer_numbers": numbers,
            "schedule": self.scheduler.state_dict(),
        }
        on_main_process(lambda: self._write(update, tensors, rest))
        self.saved = time.monotonic()
        self.took = self.saved - started

    def _write(self, update: int, tensors: Tensors, rest: dict[str, Any]) -> None:
        with write_folder_whole(self.folder / f"update_{update}") as beside:
            save_tensors(beside / "state.safetensors", tensors, {"rest": json.dumps(rest)})
            (beside / "sha256").write_text(f"{sha256(beside / 'state.safetensors')}  state.safetensors\n")
        for old in self._found()[KEPT:]:
            shutil.rmtree(old)

    def _found(self) -> list[Path]:
        """The folders of checkpoints, newest first. Others, such as a copy "update_60 (copy)", are ignored."""
        found = [path for path in self.folder.glob("update_*") if re.fullmatch(r"update_\d+", path.name)]
        return sorted(found, key=lambda path: -int(path.name.removeprefix("update_")))

    def _newest_whole(self) -> Path | None:
        """Return the newest undamaged checkpoint, or None; damaged ones are removed."""
        for found in self._found():
            if _is_whole(found):
                return found
            shutil.rmtree(found)
        return None

    def restore(self) -> Progress:
        """Put the state of the newest undamaged checkpoint back, and return its Progress (empty if there is none).

        If there are more processes than wrote it, the additional ones keep their own random state.

        Raises FailedInAllProcesses if its names or shapes differ, because another version wrote it.
        """
        folder = on_main_process(self._newest_whole)
        if folder is None:
            return Progress()
        try:
            progress = self._put_back(folder)
        except (RuntimeError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            if is_memory_full(error):
                raise
            raise FailedInAllProcesses(
                f"{folder}: weights or entries of other names or shapes, expected a checkpoint that this version "
                f"wrote, with --plain or without as now; remove {self.folder} to start anew"
            ) from None
        log.info(f"resumes from {folder}: epoch {len(progress.epochs) + 1}, {progress.batches} batches done")
        return progress

    def _put_back(self, folder: Path) -> Progress:
        """Put the state in `folder` back; return its Progress. Whatever does not fit raises its own exception."""
        with safe_open(folder / "state.safetensors", "pt") as file:
            rest, tensors = json.loads(file.metadata()["rest"]), {name: file.get_tensor(name) for name in file.keys()}
        self.model.load_state_dict(_below("model.", tensors))
        states: dict[int, dict[str, Any]] = {}
        for name, value in _below("optimizer.", tensors).items():
            number, key = name.split(".", 1)
            states.setdefault(int(number), {})[key] = value
        for number, key, value in rest["optimizer_numbers"]:
            states.setdefault(number, {})[key] = value
        if rest["optimizer_class"] != type(self.optimizer).__name__:  # torch would take its state
            raise ValueError
        self.optimizer.load_state_dict({"state": states, "param_groups": rest["optimizer"]})
        self.scheduler.load_state_dict(rest["schedule"])
        if random_states := _below(f"random.{rank()}.", tensors):
            _set_random_states(random_states, self.model.device)
        return Progress(**rest["progress"])


def _below(prefix: str, tensors: Tensors) -> Tensors:
    """Return the tensors whose names start with `prefix`, by the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _is_whole(folder: Path) -> bool:
    """Whether a checkpoint's fingerprint is right, and its file is whole; if not, the log says so."""
    state = folder / "state.safetensors"
    try:
        whole = (folder / "sha256").read_text().split()[:1] == [sha256(state)]
        with safe_open(state, "pt"):
            pass  # a disk may have lost the file's end before the fingerprint was taken
    except (OSError, UnicodeDecodeError, SafetensorError):
        whole = False
    if not whole:
        log.warning("%s: damaged, so the checkpoint before it is used, or the start where there is none", folder)
    return whole


def _random_states(device: torch.device) -> Tensors:
    """Return this process's states of torch's random numbers, which decide dropout; a training draws no others."""
    states = {"torch": torch.get_rng_state()}
    return {**states, "cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else states


def _set_random_states(states: Tensors, device: torch.device) -> None:
    torch.set_rng_state(states["torch"])
    if "cuda" in states and device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
