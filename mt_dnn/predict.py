"""Predict labels for your own text, or GLUE's test sets: python -m mt_dnn.predict RUN --input FILE."""

import contextlib
import sys

from data_utils.door import open_door
from data_utils.errors import UserError
from data_utils.files import write_whole
from mt_dnn.config import PredictOptions, parse_options


def main():
    (options,) = parse_options(__doc__, PredictOptions)
    if options.glue_format and (options.input or options.task or not options.output):
        raise UserError(
            f"--glue_format {'with --input or --task' if options.output else 'without --output'}, expected --output FILE.zip and no others: it takes the test sets of all the models' tasks"
        )
    if len(options.runs) > 1 and not options.glue_format:
        raise UserError(f"{len(options.runs)} models, expected one, or --glue_format")

    from mt_dnn.runtime.machine import save_time

    save_time()
    (predict_test_sets if options.glue_format else predict_rows)(options)


def predict_rows(options):
    """Write a line per row of the input: its number from 0, then the prediction, as the task's kind shows it."""
    from data_utils.tsv import read_texts
    from mt_dnn.export.classifier import load_classifier

    classifier = load_classifier(options.runs[0], options.task, options.device, options.precision)
    task = classifier.task
    with write_whole(options.output) if options.output else contextlib.nullcontext(sys.stdout) as file:
        answers = classifier.answers(read_texts(options.input, task))
        file.write("\t".join(["row", *task.kind.answer_columns]) + "\n")
        for row, answer in enumerate(answers):
            file.write("\t".join([str(row), *task.kind.answer_fields(answer)]) + "\n")


def predict_test_sets(options):
    """Write a zip for GLUE's server."""
    from data_utils.saved_tasks import read_saved_tasks
    from mt_dnn.export.classifier import load_classifier, model_folder
    from mt_dnn.export.submission import write_submission

    classifiers = [
        load_classifier(run, task, options.device, options.precision)
        for run in options.runs
        for task in read_saved_tasks(model_folder(run)).tasks
    ]
    missing = write_submission(options.output, classifiers, options.raw_dir, options.task_def, print)
    print(
        f"{options.output}: keeps the rules"
        + (f"; for a whole submission it lacks {', '.join(missing)}" if missing else "")
    )


if __name__ == "__main__":
    open_door(main)
