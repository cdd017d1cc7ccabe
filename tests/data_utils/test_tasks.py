"""Entries of a task file."""

import pytest
import toy_tasks

from data_utils.errors import UserError
from data_utils.tasks import read_tasks

TASKS = read_tasks(toy_tasks.TASK_DEF)


def test_dropout_before_the_task_head_is_the_one_that_method_md_says():
    others = {name: task.head_dropout for name, task in TASKS.items() if task.head_dropout != 0.1}
    assert others == {"mnli": 0.2, "cola": 0.05}


@pytest.mark.parametrize(
    "entry, complaint",
    [
        ("kind: ranking", "new.kind: 'ranking', expected one of classification, regression"),
        ("labels: [yes, no]", "new.labels.0.: True, expected a label .*in quotes if it is a word like yes or no"),
        (r'labels: [a, "b\tc"]', r"new.labels.1.: .b.*tc', expected a label .*no tabs, line breaks or outer spaces"),
        ("labels: [a, ' b']", "new.labels.1.: ' b', expected a label"),
        ("labels: [a, '']", "new.labels.1.: '', expected a label"),
        ("labels: ['1']", "new.labels: .*expected two or more different labels"),
        ("metrics: [bleu]", "new.metrics.0.: .bleu., expected one of accuracy, f1, matthews"),
        ("metrics: [accuracy, accuracy]", "new.metrics.1.: 'accuracy' a second time, expected every value once"),
        ("text: [&a [*a], &b [*b]]", "new.splits.train.text"),
        ("metrics: [f1]\n  labels: [a, b, c]", "new.metrics: .*f1 for two labels only"),
        ("head_dropout: 1.5", "new.head_dropout: 1.5, expected a number from 0 to below 1"),
        ("text: [0, sentence]", "new.splits.train.text: .*all by name or all by number"),
        (
            "text: [0]\n  label: 1",
            "new.splits.train.columns: None, expected the number of columns in every row, from 2",
        ),
        ("text: [a, a]", "new.splits.train.text.1.: 'a' a second time, expected every value once"),
        ("text: [label, a]", "new.splits.train.label: 'label', expected another column than those of text"),
        ("text: [0, 1]\n  label: 1\n  columns: 2", "new.splits.train.label: 1, expected another column"),
        ("label: 3", "new.splits.train.label: 3, expected a column by name, as in text"),
        ("splits: {dev: dev.tsv}", "new.splits: .*expected `train: FILE` and more"),
        (
            "splits: {train: {path: x}}",
            "new.splits.train.path: unknown key, expected some of: file, text, label, columns",
        ),
        ("kind: [x]", "new.kind: .*expected one of"),
        ("metrics: [[accuracy]]", "new.metrics.0.: .*expected one of accuracy"),
        ("label: null", "new.splits.train.label: none, expected the column"),
        ("text: [-1]\n  columns: 4\n  label: 1", "new.splits.train.text.0.: -1, expected .*by number from 0"),
        ("splits: {train: {file: null}}", "new.splits.train.file: None, expected a file name"),
        ("splits: {train: a.tsv, B_dev: b.tsv}", "new.splits: 'B_dev', expected .* of lower-case letters"),
        (
            "splits: {train: a.tsv, valid: b.tsv}",
            "new.splits: 'valid', expected train, dev, <variant>_dev, test or <variant>_test",
        ),
        ("? [a, b]\n  : 1", "not readable as YAML"),
        ("when: 2021-99-99", "not readable as YAML"),
        ("lables: [a, b]", "new.lables: unknown key"),
        ("metrics: null", "new.metrics: None, expected a list of metrics"),
        ("drop_labels: [' x']", "new.drop_labels: .*expected a list of labels"),
        ("drop_labels: 3", "new.drop_labels: 3, expected a list of labels"),
        ("head_dropout: .inf", "inf, expected a finite number"),
        ("text: [a, b, c]", "new.splits.train.text: .*expected one or two columns"),
        (
            "splits: {train: a.tsv, dev: {file: b.tsv, text: [q, s]}}",
            "new.splits.dev.text: 2 columns, expected 1, as in train",
        ),
        ("splits: 3", "new.splits: 3, expected `train: FILE` and more"),
    ],
)
def test_bad_task_entries_are_refused_with_file_and_key(tmp_path, entry, complaint):
    good = {
        "kind": "classification",
        "labels": "['0', '1']",
        "metrics": "[accuracy]",
        "text": "[sentence]",
        "label": "label",
        "splits": "{train: train.tsv, dev: dev.tsv}",
    }
    own = {line.split(":")[0].strip() for line in entry.splitlines()}
    path = tmp_path / "tasks.yml"
    path.write_text(
        "new:\n" + "".join(f"  {key}: {value}\n" for key, value in good.items() if key not in own) + f"  {entry}\n"
    )
    with pytest.raises(UserError, match=f"{path}:.* {complaint}"):
        read_tasks(path)


def test_a_task_pasted_twice_is_noticed(tmp_path):
    path = tmp_path / "tasks.yml"
    path.write_text("a: {kind: regression}\nb: {}\na: {}\n")
    with pytest.raises(UserError, match=f"{path}:3: .*'a' stands here twice"):
        read_tasks(path)


def test_dev_sets_are_found_by_name():
    assert TASKS["mnli"].dev_sets == {"mnli_matched": "matched_dev", "mnli_mismatched": "mismatched_dev"}
    assert TASKS["rte"].dev_sets == {"rte": "dev"}
