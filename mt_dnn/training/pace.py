"""The pace of a training: losses, seconds and tokens of its updates, and a line of the log from time to time."""

import time
from collections.abc import Iterable

import torch

from mt_dnn.runtime.distributed import all_reduce_sum, is_main_process
from mt_dnn.runtime.log import log
from mt_dnn.training.checkpoint import Progress
from mt_dnn.training.divergence import finite_loss
from mt_dnn.training.updates import Update


class Clock:
    """Counts the seconds that pass within its `with` blocks."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> None:
        self.started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self.started


class Pace:
    """Counts the updates of a training, their losses and tokens; `clock` is to run while they are computed.

    So it does not count evaluations and checkpoints.
    """

    def __init__(
        self, n_updates: int, epochs: int, every: int, done: int, tasks: Iterable[str], device: torch.device
    ) -> None:
        """`n_updates`: in all epochs. `every`: updates per line of the log. `done`: updates of an earlier process."""
        self.n_updates, self.epochs, self.every, self.tasks, self.device = n_updates, epochs, every, list(tasks), device
        self.done, self.done_before, self.clock = done, done, Clock()

    def _start_line(self) -> None:
        self.line_start, self.line_tokens, self.line_losses = self.clock.seconds, 0, []

    def start_epoch(self, epoch: int, progress: Progress) -> None:
        """Continue from `progress` in this epoch."""
        self.epoch, self.epoch_start = epoch, self.clock.seconds - progress.seconds
        self._start_line()
        # In float64: after a checkpoint several processes sum in another order, which must not show in metrics.jsonl.
        self.losses = {
            task: torch.tensor(
                progress.losses.get(task, 0.0) * is_main_process(), dtype=torch.float64, device=self.device
            )
            for task in self.tasks
        }

    def count(self, update: Update, losses: Iterable[tuple[str, torch.Tensor]], rate: float) -> bool:
        """Count an update, made with the learning rate `rate`; return whether a line was logged.

        `losses`: of the update's micro-batches, as trainer.compute_gradients() returns them.

        Raises Diverged if the loss is NaN or infinite. It is checked only when a line is logged, because reading the
        loss waits for the GPU.
        """
        self.done += 1
        self.line_tokens += update.n_tokens
        mean = torch.zeros((), device=self.device)
        for task, loss in losses:
            self.losses[task] += loss * update.n_rows
            mean = mean + loss
        self.line_losses.append(mean)
        if self.done % self.every and self.done != self.n_updates:
            return False
        with self.clock:  # while the loss is read, a GPU computes what it still has to do
            loss = finite_loss(all_reduce_sum(torch.stack(self.line_losses).mean()), f"update {self.done}")
        speed = self.line_tokens / (self.clock.seconds - self.line_start)
        left = round(self.clock.seconds / (self.done - self.done_before) * (self.n_updates - self.done))
        log.info(
            f"epoch {self.epoch}/{self.epochs}  update {self.done}/{self.n_updates}  loss {loss:.4f}  rate {rate:.2e}  "
            f"{speed:,.0f} tokens/s  {left // 60}:{left % 60:02d} left"
        )
        self._start_line()
        return True

    def put_into(self, progress: Progress) -> None:
        """Put the losses and seconds of the epoch so far into `progress`."""
        with self.clock:  # as above
            progress.losses = {task: float(all_reduce_sum(loss.clone())) for task, loss in self.losses.items()}
        progress.seconds = self.clock.seconds - self.epoch_start
