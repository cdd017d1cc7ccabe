"""GLUE's submission file: predictions for its test sets in a zip, checked against experiments/glue/submission.yml."""

import functools
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from data_utils.errors import UserError
from data_utils.files import write_whole
from data_utils.tasks import read_tasks, select_tasks
from data_utils.tsv import Row, read_every_row
from data_utils.yaml_file import read_yaml
from mt_dnn.export.classifier import Answer, classifier_of
from mt_dnn.export.saved_model import SavedModel

RULES = "experiments/glue/submission.yml"
HEADER = "index\tprediction"

Rule = dict[str, Any]  # {"task", "split", "rows", "labels" or "range"}
Plan = dict[str, Callable[[], Iterator[Row]]]  # {file in the zip: function that returns its test set's rows}


def read_rules() -> dict[str, Rule]:
    """Return {file in the zip: its Rule}."""
    return read_yaml(RULES, "`FILE.tsv: {task: ..., split: ..., rows: ..., labels: ...}`")


def write_submission(
    path: str | Path,
    models: list[SavedModel],
    device: str,
    precision: str,
    raw_dir: str,
    task_def: str,
    say: Callable[[str], Any],
) -> list[str]:
    """Predict the test sets of the tasks of `models` and write them to `path`, a zip that keeps the rules.

    One model is in memory at a time. `device`, `precision`: see load_classifier(). `say` gets a line per test set.
    Returns the names of the files that a whole submission has beyond those written.

    Raises UserError, and writes nothing, for two models of one task, a task that is none of GLUE's, a test set that is
    missing or not the benchmark's, and predictions that the benchmark does not take. Damaged weights are found when
    their model's turn comes.
    """
    rules, files = read_rules(), {}
    plan = _plan(models, rules, raw_dir, task_def)
    with write_whole(path, "wb") as out:  # opened now: what can't be written is refused before hours of predictions
        for saved in models:
            for file, predicted in _predictions(saved, plan, rules, device, precision):
                answers = [f"{index}\t{as_text(answer, rules[file])}" for index, answer in enumerate(predicted)]
                files[file] = "".join(f"{line}\n" for line in [HEADER, *answers])
                say(f"{file}: {len(predicted)} rows")
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, text in files.items():
                archive.writestr(file, text)
        check_submission(content, rules, path)
        out.write(content.getvalue())
    return [file for file in rules if file not in files]


def _plan(models: list[SavedModel], rules: dict[str, Rule], raw_dir: str, task_def: str) -> Plan:
    """Return the Plan; raise UserError for whatever does not fit, before anything is loaded."""
    tasks, plan = read_tasks(task_def), {}
    for saved_task in [task for saved in models for task in saved.tasks.values()]:
        name, text_names, labels = saved_task.name, saved_task.text_names, saved_task.labels
        its_rules = {file: rule for file, rule in rules.items() if rule["task"] == name}
        if not its_rules:
            known = ", ".join(dict.fromkeys(rule["task"] for rule in rules.values()))
            raise UserError(f"{RULES}: no test set of '{name}', expected one of the tasks: {known}")
        if plan.keys() & its_rules.keys():
            raise UserError(f"two models of '{name}', expected one (its files are {', '.join(its_rules)})")
        (task,) = select_tasks(tasks, [name], task_def)
        for file, rule in its_rules.items():
            if set(labels) != set(rule.get("labels", ())) or text_names != task.text_names:
                raise UserError(
                    f"the model of '{name}' has the labels {', '.join(labels) or '(a number)'} "
                    f"for {' and '.join(text_names)}, expected GLUE's {name}: "
                    f"{', '.join(rule.get('labels', ['a number']))} for {' and '.join(task.text_names)}"
                )
            if rule["split"] not in task.splits:
                raise UserError(f"{task_def}: {name}.splits: no '{rule['split']}', expected the test set of {file}")
            layout = task.splits[rule["split"]]
            raw = Path(raw_dir) / layout.file
            rows = functools.partial(read_every_row, raw, task, layout)
            _refuse_other_size(sum(1 for _ in rows()), rule, str(raw))
            plan[file] = rows
    return plan


def _predictions(
    saved: SavedModel, plan: Plan, rules: dict[str, Rule], device: str, precision: str
) -> Iterator[tuple[str, list[Answer]]]:
    """Yield (file, answers to its rows) for the files of the tasks of `saved`; the weights are dropped at the end."""
    classifier = classifier_of(saved, next(iter(saved.tasks)), device, precision)
    for file, rows in plan.items():
        name = rules[file]["task"]
        if name in saved.tasks:
            yield file, classifier.for_task(saved.tasks[name], saved.max_seq_len[name]).answers(rows())


def _refuse_other_size(rows: int, rule: Rule, where: str) -> None:
    if rows != rule["rows"]:
        raise UserError(f"{where}: {rows} rows, expected the {rule['rows']} of the benchmark's test set")


def as_text(answer: Answer, rule: Rule) -> str:
    """Return an answer, from Classifier.answers, as the file has it: the label, or the number, within the range."""
    if isinstance(answer, tuple):
        return answer[0]
    low, high = rule["range"]
    return f"{min(max(answer, low), high):.3f}"


def check_submission(archive: str | Path | IO[bytes], rules: dict[str, Rule], name: str | Path) -> None:
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
                where = f"{name}: {file}:{number + 2}"
                if index != str(number):
                    raise UserError(f"{where}: index {index!r}, expected {number}")
                if not _allowed(prediction, rule):
                    expected = rule.get("labels") or "a number from {} to {}".format(*rule["range"])
                    raise UserError(f"{where}: prediction {prediction!r}, expected {expected}")
            _refuse_other_size(len(lines), rule, f"{name}: {file}")


def _allowed(prediction: str, rule: Rule) -> bool:
    if "labels" in rule:
        return prediction in rule["labels"]
    try:
        return rule["range"][0] <= float(prediction) <= rule["range"][1]
    except ValueError:
        return False
