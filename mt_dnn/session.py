"""Do runs: data and pre-trained weights are read once, however many runs follow."""

import contextlib
import copy
import time

import numpy as np
import torch
from tqdm import tqdm

from data_utils.batches import choose_rows
from data_utils.files import UserError, write_json
from data_utils.tokenized import TokenizedSplit
from mt_dnn.evaluate import write_predictions
from mt_dnn.gates import gated, ticket_gates
from mt_dnn.importance import score
from mt_dnn.log import log, log_command, logging_to
from mt_dnn.model import Model, count_parameters, describe, load_encoder, load_model, load_tokenizer, save_model, shape_of
from mt_dnn.prune import prune
from mt_dnn.run import read_task
from mt_dnn.scores import draw_heat_map, normalise, write_importance
from mt_dnn.ticket import remaining_weights
from mt_dnn.trainer import Data, autocast, choose_device, choose_precision, fine_tune, show_metrics


class Session:
    """What all runs of one process share: the task, its splits, the tokenizer, pre-trained weights, the machine."""

    def __init__(self, data_options, model_options, optimization, machine):
        """Read everything; raise UserError for whatever does not fit together."""
        self.optimization, self.machine, self.train_fraction = optimization, machine, data_options.train_fraction
        self.device = choose_device(machine.device)
        self.precision_name = choose_precision(machine.precision, self.device)
        self.precision = autocast(self.device, self.precision_name)

        self.task, dev_splits = read_task(data_options)
        self.tokenizer = load_tokenizer(model_options.init_checkpoint)
        self.train = TokenizedSplit(data_options.data_dir, self.task, "train", self.tokenizer)
        self.dev = {name: TokenizedSplit(data_options.data_dir, self.task, split, self.tokenizer) for name, split in dev_splits.items()}
        self.pretrained = load_encoder(model_options.init_checkpoint, model_options.encoder_dropout, machine.attention)
        self.shape, self.model_entry = shape_of(self.pretrained), describe(self.pretrained)
        if len(self.tokenizer) > self.pretrained.config.vocab_size:
            raise UserError(f"--init_checkpoint {model_options.init_checkpoint}: a tokenizer of {len(self.tokenizer)} tokens, "
                            f"expected at most the encoder's {self.pretrained.config.vocab_size}")
        positions = self.pretrained.config.max_position_embeddings
        for split in (self.train, *self.dev.values()):
            if split.header["longest_row"] > positions:
                raise UserError(f"{split.folder}: rows of up to {split.header['longest_row']} tokens, expected at most {positions} "
                                f"for this encoder; run prepro.py with --max_seq_len {positions}")

    def data(self, seed):
        """The rows that a run with this seed trains and is evaluated on."""
        return Data(self.task, self.train, choose_rows(len(self.train), self.train_fraction, seed), self.dev)

    def do(self, run):
        """Do a Run and return the trained Model; its result.json is written last.

        The outcome depends on the pre-trained weights, the data, the run's options, ticket and seed
        alone, not on what this process did before (on a GPU up to the order of its parallel sums).
        """
        files, ticket, data = run.files, run.ticket, self.data(run.seed)
        write_json(files.config, {**run.config, "device": self.device.type, "precision": self.precision_name})
        with logging_to(files.log), _memory_advice():
            self._log_start(run, data)
            model = self._new_model(run)
            log.info("parameters: %s in the encoder, of %s", f"{count_parameters(model.encoder):,}", f"{self.shape.parameters:,}")
            torch.manual_seed(run.seed)
            gates = ticket_gates(ticket, self.shape.layers, self.shape.heads, self.device)
            with gated(model.encoder, *gates) if run.keep_gates else contextlib.nullcontext():
                epochs, outputs = fine_tune(model, data, self.optimization, self.machine, self.precision, run.seed, files.metrics)
            if run.keep_gates:
                prune(model.encoder, ticket)
            for name, split in self.dev.items():
                write_predictions(files.predictions(name if len(self.dev) > 1 else None), self.task, split, outputs[name])
            if run.keep_model:
                save_model(files.model, model, self.tokenizer, ticket)
            write_json(files.result, self._result(run, data, model, epochs))
            log.info("finished: %s; see %s", show_metrics(epochs[-1]["dev"]), files.folder)
        return model

    def score(self, files, model, per, seed):
        """Score heads and FFNs on the training rows of `seed` with the fine-tuned `model`, or with the one saved in
        `files` where it is None; write importance.json and the heat map. Computed in float32."""
        with logging_to(files.log), _memory_advice():
            if model is None:
                log_command()
                model = load_model(files.model, [self.task], self.machine.attention).to(self.device)
            rows = self.data(seed).rows
            started = time.perf_counter()
            with tqdm(desc="importance", total=len(rows), unit=" rows", disable=None, leave=False) as bar:
                heads, ffns = score(model, self.task, self.train, rows, self.optimization.batch_size, per, bar.update)
            write_importance(files.importance, heads, ffns, {
                "task": self.task.name, "per": per, "rows": len(rows), "train_fraction": self.train_fraction, "seed": seed, "model": self.model_entry, "checkpoint": str(files.model)})
            draw_heat_map(files.heat_map, normalise(heads), ffns, f"{self.task.name}: importance per {per}, {len(rows)} rows")
            log.info("importance per %s of %d heads and %d FFNs over %d rows (%.1f s): %s, %s", per, heads.size, ffns.size, len(rows),
                     time.perf_counter() - started, files.importance, files.heat_map)

    def _new_model(self, run):
        encoder = copy.deepcopy(self.pretrained)
        if not run.keep_gates:
            prune(encoder, run.ticket)
        model = Model(encoder, [self.task])
        model.draw_heads(run.seed)
        return model.to(self.device)

    def _log_start(self, run, data):
        shape = self.shape
        log_command()
        log.info("task: %s, %d of %d training rows; dev: %s", self.task.name, len(data.rows), len(self.train),
                 ", ".join(f"{name} {len(split)} rows" for name, split in self.dev.items()))
        log.info("machine: %s, %s; seed %d", torch.cuda.get_device_name() if self.device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads",
                 self.precision_name, run.seed)
        log.info("%s ticket: %d of %d heads and %d of %d FFNs closed%s, %.1f %% of the weights remain", run.kind,
                 len(run.ticket.heads), shape.layers * shape.heads, len(run.ticket.ffns), shape.layers,
                 " by gates" if run.keep_gates else "", 100 * remaining_weights(run.ticket, shape))

    def _result(self, run, data, model, epochs):
        n_heads, n_ffns = run.ticket.counts
        return {
            "task": self.task.name, "kind": run.kind, "seed": run.seed, "model": self.model_entry,
            "heads_closed": n_heads, "ffns_closed": n_ffns,
            "remaining_weights": {"by_formula": round(remaining_weights(run.ticket, self.shape), 6),
                                  "counted": round(count_parameters(model.encoder) / self.shape.parameters, 6)},
            "dev": epochs[-1]["dev"], "dev_rows": {name: len(split) for name, split in self.dev.items()},
            "training_rows": len(data.rows), "epochs": len(epochs),
            "seconds_per_epoch": round(float(np.median([epoch["seconds"] for epoch in epochs])), 2),
        }


@contextlib.contextmanager
def _memory_advice():
    try:
        yield
    except torch.OutOfMemoryError:
        raise UserError("the GPU's memory is full; take a smaller --batch_size (with --grad_accumulation_step the updates stay "
                        "the same) or --batch_size_eval") from None
