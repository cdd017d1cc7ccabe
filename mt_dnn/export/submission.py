"""GLUE's submission file: predictions for its test sets in a zip, checked against experiments/glue/submission.yml."""

import functools
import io
import zipfile
from pathlib import Path

from data_utils.errors import UserError
from data_utils.files import write_whole
from data_utils.tasks import read_tasks, select_tasks
from data_utils.tsv import read_every_row
from data_utils.yaml_file import read_yaml

RULES = "experiments/glue/submission.yml"
HEADER = "index\tprediction"


def read_rules():
    """Return {file in the zip: {"task", "split", "rows", "labels" or "range"}}."""
    return read_yaml(RULES, "`FILE.tsv: {task: ..., split: ..., rows: ..., labels: ...}`")


def write_submission(path, classifiers, raw_dir, task_def, say):
    """Predict the test sets of the tasks of `classifiers` (list of Classifier) and write them to `path`, a zip that keeps the rules.

    Raises UserError for two models of one task, a task that is none of GLUE's, a test set that is missing or another than
    the benchmark's, and predictions that it would not take; nothing is written then. Returns the names of the files that a
    whole submission would have beyond those.
    """
    rules, files = read_rules(), {}
    for file, (classifier, rows) in _plan(classifiers, rules, raw_dir, task_def).items():
        predicted = classifier.answers(rows())
        files[file] = [show(answer, rules[file]) for answer in predicted]
        say(f"{file}: {len(predicted)} rows")
    with write_whole(path, "wb") as out:
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, predictions in files.items():
                archive.writestr(
                    file,
                    "".join(
                        f"{line}\n"
                        for line in [
                            HEADER,
                            *(f"{index}\t{prediction}" for index, prediction in enumerate(predictions)),
                        ]
                    ),
                )
        check_submission(content, rules, path)
        out.write(content.getvalue())
    return [file for file in rules if file not in files]


def _plan(classifiers, rules, raw_dir, task_def):
    """Return {file in the zip: (Classifier, function that returns its test set's rows)}; raise UserError for whatever does not fit, before anything is predicted."""
    tasks, plan = read_tasks(task_def), {}
    for classifier in classifiers:
        name = classifier.task.name
        own = {file: rule for file, rule in rules.items() if rule["task"] == name}
        if not own:
            raise UserError(
                f"{RULES}: no test set of '{name}', expected one of the tasks: {', '.join(dict.fromkeys(rule['task'] for rule in rules.values()))}"
            )
        if plan.keys() & own.keys():
            raise UserError(f"two models of '{name}', expected one (its files are {', '.join(own)})")
        (task,) = select_tasks(tasks, [name], task_def)
        for file, rule in own.items():
            if set(classifier.task.labels) != set(rule.get("labels", ())) or len(classifier.task.text_names) != len(
                task.text_names
            ):
                raise UserError(
                    f"the model of '{name}' has the labels {', '.join(classifier.task.labels) or '(a number)'} for {' and '.join(classifier.task.text_names)}, "
                    f"expected GLUE's {name}: {', '.join(rule.get('labels', ['a number']))} for {' and '.join(task.text_names)}"
                )
            if rule["split"] not in task.splits:
                raise UserError(f"{task_def}: {name}.splits: no '{rule['split']}', expected the test set of {file}")
            layout = task.splits[rule["split"]]
            rows = functools.partial(read_every_row, Path(raw_dir) / layout.file, task, layout)
            _refuse_other_size(sum(1 for _ in rows()), rule, f"{Path(raw_dir) / layout.file}")
            plan[file] = classifier, rows
    return plan


def _refuse_other_size(rows, rule, where):
    if rows != rule["rows"]:
        raise UserError(f"{where}: {rows} rows, expected the {rule['rows']} of the benchmark's test set")


def show(answer, rule):
    """An answer, as Classifier.answers returns it, as the file has it: the label; or the number, within the range."""
    if "range" not in rule:
        return answer[0]
    low, high = rule["range"]
    return f"{min(max(answer, low), high):.3f}"


def check_submission(archive, rules, name):
    """Raise UserError, naming `name`, file and line, unless the zip `archive` (a file or its name) keeps the rules."""
    with zipfile.ZipFile(archive) as content:
        for file in content.namelist():
            if file not in rules:
                raise UserError(f"{name}: {file}: no file of a submission, expected some of: {', '.join(rules)}")
            rule, (header, *lines) = rules[file], content.read(file).decode("utf-8").removesuffix("\n").split("\n")
            if header != HEADER:
                raise UserError(f"{name}: {file}:1: {header!r}, expected {HEADER!r}")
            for number, line in enumerate(lines):
                index, _, prediction = line.partition("\t")
                if index != str(number):
                    raise UserError(f"{name}: {file}:{number + 2}: index {index!r}, expected {number}")
                if not _allowed(prediction, rule):
                    raise UserError(
                        f"{name}: {file}:{number + 2}: prediction {prediction!r}, expected {rule.get('labels') or 'a number from {} to {}'.format(*rule['range'])}"
                    )
            _refuse_other_size(len(lines), rule, f"{name}: {file}")


def _allowed(prediction, rule):
    if "labels" in rule:
        return prediction in rule["labels"]
    try:
        return rule["range"][0] <= float(prediction) <= rule["range"][1]
    except ValueError:
        return False
