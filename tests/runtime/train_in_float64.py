"""Train toy tasks with a ticket each, in float64 and without dropout.

Usage: python train_in_float64.py RUNS.json, alone or by torchrun.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

from mt_dnn.flags.training import DataOptions, MachineOptions, ModelOptions, OptimizationOptions
from mt_dnn.run_folder import RunFolder
from mt_dnn.runs.run import Run, outcome_options, score_options
from mt_dnn.runs.scoring import score_model
from mt_dnn.runs.session import Session
from mt_dnn.runtime.distributed import process_group
from mt_dnn.tickets.masks import read_mask

torch.set_default_dtype(torch.float64)
with process_group("cpu"):
    for run in json.loads(Path(sys.argv[1]).read_text()):
        data = DataOptions(data_dir=run["data"], task_def=run["task_def"], train_datasets=run["tasks"], **run["rows"])
        encoder = ModelOptions(init_checkpoint=run["encoder"], encoder_dropout=0.0)
        optimization = OptimizationOptions(**run["optimization"])
        machine = MachineOptions(device="cpu", precision="float32", tokens_at_once=60)
        session = Session(data, encoder, optimization, machine)
        session.pretrained.double()
        files, tickets = RunFolder(run["output"]), read_mask(run["mask"]).tickets
        model = session.do(
            Run(
                files,
                "winning",
                {task: tickets[task] for task in run["tasks"]},
                7,
                {},
                keep_model=True,
                exact_sharing=run["exact_sharing"],
            )
        )
        if len(run["tasks"]) == 1:
            made_from = score_options(data, outcome_options(data, encoder, optimization), "example", 7)
            score_model(session, files, model, made_from)
