"""Predict labels for your own text, or GLUE's test sets: python -m mt_dnn.predict RUN --input FILE."""

import contextlib
import io
import sys
from typing import IO

from data_utils.cli import run_main
from data_utils.errors import UserError
from data_utils.files import write_whole
from mt_dnn.flags.commands import PredictOptions
from mt_dnn.flags.parser import parse_options


def main() -> None:
    (options,) = parse_options(__doc__, PredictOptions)
    if options.glue_format and (options.input or options.task or not options.output):
        raise UserError(
            f"--glue_format {'with --input or --task' if options.output else 'without --output'}, expected --output "
            "FILE.zip and no others: it takes the test sets of all the models' tasks"
        )
    if len(options.runs) > 1 and not options.glue_format:
        raise UserError(f"{len(options.runs)} models, expected one, or --glue_format")
    if not options.output and sys.stdout is None:
        raise UserError("standard output is closed, expected it open, or --output FILE")

    from mt_dnn.runtime.machine import choose_gpu_kernels, save_time
    from mt_dnn.runtime.memory import memory_errors

    choose_gpu_kernels()
    save_time()
    with memory_errors("end other programs that use it, or take --device cpu"):
        if options.glue_format and options.output:
            predict_test_sets(options, options.output)
        else:
            predict_rows(options)


def predict_rows(options: PredictOptions) -> None:
    """Write a line per row of the input: its number from 0, then the prediction, as the task's kind shows it."""
    from data_utils.tsv import read_texts
    from mt_dnn.export.classifier import load_classifier

    classifier = load_classifier(options.runs[0], options.task, options.device, options.precision)
    task = classifier.task
    with write_whole(options.output) if options.output else contextlib.nullcontext(utf8_output()) as file:
        answers = classifier.answers(read_texts(options.input, task))
        file.write("\t".join(["row", *task.kind.answer_columns]) + "\n")
        for row, answer in enumerate(answers):
            file.write("\t".join([str(row), *task.kind.answer_fields(answer)]) + "\n")


def utf8_output() -> IO[str]:
    """Return standard output. It gets UTF-8, as the input has it, whatever the terminal's encoding."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    return sys.stdout


def predict_test_sets(options: PredictOptions, output: str) -> None:
    """Write the zip `output` for GLUE's server."""
    from mt_dnn.export.saved_model import find_saved_model
    from mt_dnn.export.submission import write_submission

    models = [find_saved_model(run) for run in options.runs]
    missing = write_submission(
        output, models, options.device, options.precision, options.raw_dir, options.task_def, print
    )
    rest = f"; for a whole submission it lacks {', '.join(missing)}" if missing else ""
    print(f"{output}: keeps the rules{rest}")


if __name__ == "__main__":
    run_main(main)
