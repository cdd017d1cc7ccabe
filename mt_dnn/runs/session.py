"""Do runs: data and pre-trained weights are read once, however many runs follow."""

import contextlib
import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from data_utils.advice import advice
from data_utils.errors import UserError
from data_utils.hub import load_tokenizer, take_another
from data_utils.json_file import write_json
from data_utils.rows import choose_rows, split_rows
from data_utils.tasks import Task
from data_utils.tokenize_split import describe_tokenizer
from data_utils.tokenized import TokenizedSplit, read_split, training_rows_fingerprint
from mt_dnn.encoders.families import max_positions, refuse_other_padding
from mt_dnn.encoders.pretrained import lacks_pooler, load_encoder
from mt_dnn.flags.training import DataOptions, MachineOptions, ModelOptions, OptimizationOptions
from mt_dnn.model import Model, count_parameters, model_entry, place_tickets, shape_of
from mt_dnn.model_files import refuse_to_save_over, save_model
from mt_dnn.reports.score_table import score_table
from mt_dnn.run_config import config_as_it_is, refuse_begun_anew, refuse_other_precision
from mt_dnn.run_folder import unless_default
from mt_dnn.runs.result import failure_written, mask_of, result_of
from mt_dnn.runs.run import Run, tasks_and_dev_sets
from mt_dnn.runs.seen_rows import rows_seen
from mt_dnn.runtime.device import choose_device
from mt_dnn.runtime.distributed import on_main_process, rank
from mt_dnn.runtime.log import log, log_command, logging_to
from mt_dnn.runtime.machine import choose_gpu_kernels, choose_precision, save_time
from mt_dnn.runtime.memory import memory_errors
from mt_dnn.saved_tasks import SavedTasks
from mt_dnn.tickets.gates import gated, ticket_gates
from mt_dnn.tickets.prune import prune
from mt_dnn.tickets.ticket import remaining_weights
from mt_dnn.training.evaluate import show_metrics, write_predictions
from mt_dnn.training.optim import optimizer_named
from mt_dnn.training.task_data import TaskData, shared_rows
from mt_dnn.training.trainer import fine_tune

FEWER_TOKENS = (
    f"take {advice('--tokens_at_once 1024')}, or still less; the result stays the same, except for rounding and "
    "dropout's random numbers"
)


class Session:
    """What all runs of one command share: tasks, their splits, tokenizer, pre-trained weights, machine."""

    def __init__(
        self,
        data_options: DataOptions,
        model_options: ModelOptions,
        optimization: OptimizationOptions,
        machine: MachineOptions,
    ) -> None:
        """Read everything; raise UserError for whatever does not fit together."""
        optimizer_named(optimization.optimizer)  # a wrong name is refused now, before anything is read
        self.optimization, self.machine = optimization, machine
        self.data_options, self.init_checkpoint = data_options, model_options.init_checkpoint
        choose_gpu_kernels()
        if not machine.plain:
            save_time(len(data_options.train_datasets))
        self.device = choose_device(machine.device)
        self.precision_name = choose_precision(machine.precision, self.device)

        with memory_errors():
            self.tokenizer = load_tokenizer(self.init_checkpoint)
            self.pretrained = load_encoder(self.init_checkpoint, model_options.encoder_dropout)
        made_with = describe_tokenizer(self.tokenizer)

        def read(task: Task, split: str) -> TokenizedSplit:
            return read_split(data_options.data_dir, task, split, made_with)

        self.all_data = [
            TaskData(task, read(task, "train"), {name: read(task, split) for name, split in dev_sets.items()})
            for task, dev_sets in tasks_and_dev_sets(data_options)
        ]
        self.tasks = [data.task for data in self.all_data]
        self.shape, self.model_entry = shape_of(self.pretrained), model_entry(self.pretrained)
        if len(self.tokenizer) > self.pretrained.config.vocab_size:
            raise UserError(
                f"--init_checkpoint {self.init_checkpoint}: a tokenizer of {len(self.tokenizer)} tokens, "
                f"expected at most the encoder's {self.pretrained.config.vocab_size}{take_another('--init_checkpoint')}"
            )
        refuse_other_padding(self.pretrained.config, self.tokenizer.pad_token_id)
        positions = max_positions(self.pretrained)
        max_seq_len = {
            data.task.name: min(positions, *(split.header["made_from"]["max_seq_len"] for split in data.splits))
            for data in self.all_data
        }
        training_rows = {task.name: training_rows_fingerprint(data_options.data_dir, task.name) for task in self.tasks}
        self.saved_tasks = SavedTasks(
            "tickets",
            {task.name: task for task in self.tasks},
            max_seq_len,
            self.precision_name,
            rows_seen(self.init_checkpoint, training_rows, data_options.holdout),
        )
        for split in [split for data in self.all_data for split in data.splits]:
            if split.header["longest_row"] > positions:
                raise UserError(
                    f"{split.folder}: rows of up to {split.header['longest_row']} tokens, expected at most {positions} "
                    f"for this encoder; run prepro.py with --max_seq_len {positions} "
                    "(MAX_SEQ_LEN in experiments/glue/prepro.sh)"
                )

    def data(self, seed: int) -> list[TaskData]:
        """Return the rows that a run with this seed is trained and evaluated on, one TaskData per task.

        Raises UserError if --holdout leaves no row to train on.
        """

        def chosen(data: TaskData) -> TaskData:
            name, train = data.task.name, data.train
            rows, held_out = split_rows(len(train), self.data_options.holdout)
            if not len(rows):
                raise UserError(
                    f"{advice(f'--holdout {self.data_options.holdout}')}: no row of {name} is left to train on, "
                    f"expected a smaller part of its {len(train)}"
                )
            rows = rows[choose_rows(len(rows), self.data_options.fraction_of(name), seed)]
            return TaskData(data.task, train.part(rows), data.dev, train.part(held_out) if len(held_out) else None)

        return [chosen(data) for data in self.all_data]

    def do(self, run: Run) -> Model:
        """Do a run, or what is left of it; return the trained model. The run's result.json is written last.

        The outcome depends only on the pre-trained weights, the data, the run's options, tickets and seed, and the
        options of the machine, not on what this process did before (on a GPU, up to the order of its parallel sums).
        Several processes do a run together; the first of them writes.

        Raises RunFailed, and writes its line into the run's folder, if memory is full, the loss or an output is NaN
        or infinite, or the run was begun in another precision or has a checkpoint that does not fit. Raises UserError
        if the run's folder holds another model, or was removed or begun anew meanwhile.
        """
        files, data = run.files, self.data(run.seed)
        with logging_to(files.log), failure_written(run), memory_errors(FEWER_TOKENS):
            on_main_process(lambda: self._begin(run))
            if self.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            config = on_main_process(lambda: config_as_it_is(files))
            self._log_start(run, data)
            model = self._new_model(run)
            log.info(f"parameters: {count_parameters(model.encoder):,} in the encoder, of {self.shape.parameters:,}")
            torch.manual_seed(run.seed + 1_000_003 * rank())  # dropout differs between processes
            with self._gated(model, run):
                epochs, outputs = fine_tune(
                    model, data, self.optimization, self.machine, self.precision_name, run.seed, files
                )
            if run.keep_gates:  # what is saved has no closed units
                prune(model.encoder, *run.tickets.values())
            on_main_process(lambda: self._write(run, data, model, epochs, outputs, config))
        return model

    def _begin(self, run: Run) -> None:
        """Write the run's options; remove the failure of an earlier try, and the result of a run done once more."""
        files = run.files
        if files.checkpoints.exists():
            refuse_other_precision(files, self.precision_name)
        if run.keep_model:
            refuse_to_save_over(files.model, self.init_checkpoint)
        elif files.model.exists():  # it would count as the model of this run
            raise UserError(f"{files.model}: of an earlier run, expected none; remove it, or give --save_model")
        files.failure.unlink(missing_ok=True)
        files.result.unlink(missing_ok=True)
        write_json(files.config, {**run.config, "device": self.device.type, "precision": self.precision_name})

    def _new_model(self, run: Run) -> Model:
        """Return the model with its tickets in their places: what one task's ticket closes is taken out of the weights;
        with several tasks, a batch runs through its task's ticket. With keep_gates the model is whole, and _gated()
        closes the units while it trains.
        """
        model = Model(copy.deepcopy(self.pretrained), self.tasks, self.machine.plain)
        model.draw_task_heads(run.seed)
        model.to(self.device)
        return model if run.keep_gates else place_tickets(model, run.tickets, run.exact_sharing)

    def _gated(self, model: Model, run: Run) -> contextlib.AbstractContextManager:
        if not run.keep_gates:
            return contextlib.nullcontext()
        (ticket,) = run.tickets.values()
        return gated(model.encoder, *ticket_gates(ticket, self.shape.layers, self.shape.heads, self.device))

    def _log_start(self, run: Run, data: Sequence[TaskData]) -> None:
        shape = self.shape
        log_command()
        cuda, threads = self.device.type == "cuda", torch.get_num_threads()
        machine = torch.cuda.get_device_name() if cuda else f"CPU, {threads} threads"
        log.info(f"machine: {machine}, {self.precision_name}; seed {run.seed}")
        if run.mask_file:
            log.info(f"mask: {run.mask_file}")
        if lacks_pooler(self.pretrained):
            log.info("pooler: none in the checkpoint, drawn from the seed")
        for task_data in data:
            name, train, held_out = task_data.task.name, task_data.train, task_data.held_out
            dev = ", ".join(f"{dev_set} {len(split)} rows{_dropped(split)}" for dev_set, split in task_data.dev.items())
            log.info(
                f"task: {name}, {len(train)} of {train.header['rows']} training rows{_dropped(train)}"
                f"{f', {len(held_out)} held out' if held_out else ''}; dev: {dev}"
            )
            ticket, criterion = run.tickets[name], run.criteria.get(name)
            log.info(
                f"{run.kind} ticket{f' by {criterion}' if unless_default(criterion) else ''}: "
                f"{len(ticket.heads)} of {shape.layers * shape.heads} heads and "
                f"{len(ticket.ffns)} of {shape.layers} FFNs closed{' by gates' if run.keep_gates else ''}, "
                f"{100 * remaining_weights(ticket.counts, shape, biases=False):.1f} % of the weights remain"
            )
        for line in shared_rows(data):
            log.info(line)

    def _write(
        self,
        run: Run,
        data: Sequence[TaskData],
        model: Model,
        epochs: Sequence[dict[str, Any]],
        outputs: Mapping[str, np.ndarray],
        config: bytes | None,
    ) -> None:
        """Write what a finished run leaves, its result last.

        `outputs`: {dev set: outputs after the last epoch}; `config`: config_as_it_is() when the run began.
        """
        files, mask = run.files, mask_of(run, self.model_entry)
        for task_data in data:
            for name, split in task_data.dev.items():
                path = files.predictions(name if len(outputs) > 1 else None)
                write_predictions(path, task_data.task, split, outputs[name])
        if run.keep_model:
            save_model(files.model, model, self.tokenizer, mask, self.saved_tasks)
        result = result_of(run, data, epochs, mask)
        refuse_begun_anew(files, config)  # once more: to save a large model takes long
        write_json(files.result, result)
        run.remove_checkpoints()
        if len(data) > 1:
            log.info(f"\n{score_table({run.kind: [result]})}")
        if self.device.type == "cuda":
            log.info(f"GPU memory: {torch.cuda.max_memory_reserved() / 1e9:.1f} GB at its peak")
        log.info(f"finished: {show_metrics(epochs[-1], len(data))}; see {files.folder}")


def _dropped(split: TokenizedSplit) -> str:
    """What the log says beside the rows of a split where prepro.py has dropped some, else nothing."""
    rows = sum(split.header["rows_dropped"].values())
    return f" ({rows} dropped by prepro.py)" if rows else ""
