"""Score the heads and FFNs of a fine-tuned model: what train.py --do_mask does before it writes masks."""

import time
from typing import Any

from mt_dnn.checksums import weights_fingerprint
from mt_dnn.model import Model
from mt_dnn.model_files import load_model, refuse_closed_units
from mt_dnn.run_folder import RunFolder
from mt_dnn.runs.session import FEWER_TOKENS, Session
from mt_dnn.runtime.distributed import on_main_process
from mt_dnn.runtime.log import log, log_command, logging_to
from mt_dnn.runtime.memory import memory_errors
from mt_dnn.tickets.criteria import TaskRows, criterion_named, score
from mt_dnn.tickets.heat_map import draw_heat_map
from mt_dnn.tickets.scores import normalise, refuse_useless, write_importance
from mt_dnn.training.micro_batches import choose_tokens_at_once


def score_model(session: Session, files: RunFolder, model: Model | None, scored_with: dict[str, Any]) -> None:
    """Score heads and FFNs in float32; write the scores and their heat map to `files`.

    `model`: fine-tuned on one task; None: the one that is saved in `files`. `scored_with`: from run.score_options().
    """
    criterion = scored_with["criterion"]
    (data,) = session.data(scored_with["seed"])
    path, picture = files.importance(criterion), files.heat_map(criterion)
    with logging_to(files.log), memory_errors(FEWER_TOKENS):
        if model is None:
            log_command()
            refuse_closed_units(files.model)
            model = load_model(files.model, session.tasks, session.device, session.machine.plain)
        started = time.perf_counter()
        tokens = choose_tokens_at_once(session.machine.tokens_at_once, session.device, session.machine.plain)
        rows = TaskRows(data.task, data.train, session.optimization.batch_size, tokens)
        heads, ffns = score(model, rows, criterion)
        n_rows = len(rows.sample(criterion_named(criterion).sample_rows).split)

        def write() -> None:
            refuse_useless(path, heads, ffns)
            model_and_rows = {
                "rows": n_rows,
                "weights": weights_fingerprint(files.model),
                "model": session.model_entry,
                "checkpoint": str(files.model),
            }
            title = f"{data.task.name}: importance by {criterion}, {n_rows} rows"
            draw_heat_map(picture, normalise(heads), ffns, title)
            write_importance(path, heads, ffns, {**scored_with, **model_and_rows})  # last: it says that all is done

        on_main_process(write)
        log.info(
            f"importance by {criterion} of {heads.size} heads and {ffns.size} FFNs over {n_rows} rows "
            f"({time.perf_counter() - started:.2f} s): {path}, {picture}"
        )
