"""What the report of the phase transition writes about folders of runs."""

import csv
import math
import shutil
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from calls import QUICK, ROOT, files_up_to, options, result_of, rewind
from fake_runs import MODEL, REPORT, write_line, write_run

from mt_dnn.records import record
from mt_dnn.tickets.scores import write_importance
from mt_dnn.tickets.super_tickets import SuperTicket, read_super_tickets


def test_report_shows_every_ticket_with_mean_and_spread(workshop, fine_tuned, tmp_path, cli, refused):
    rewind(cli, workshop, [fine_tuned / "masks"], tmp_path, "--sparsities", "0.5", "--seeds", 2018, 1, *QUICK)
    ended = cli(REPORT, tmp_path, tmp_path / "dense", "--output_dir", tmp_path / "report")
    assert ended.status == 0, ended.err
    lines = list(csv.DictReader(open(tmp_path / "report/report.csv")))
    assert [(line["ticket"], line["seeds"]) for line in lines] == [
        (kind, "2") for kind in ("dense", "winning", "random", "losing")
    ]
    values = [
        result_of(tmp_path / f"winning/heads_6_ffns_1/seed_{seed}")["dev"]["sst"]["accuracy"] for seed in (2018, 1)
    ]
    assert float(lines[1]["mean"]) == pytest.approx(np.mean(values), abs=1e-6) and float(
        lines[1]["std"]
    ) == pytest.approx(np.std(values, ddof=1), abs=1e-6)
    markdown = (tmp_path / "report/report.md").read_text()
    assert markdown.count("| winning |") == 1 + 2 and f"{100 * np.mean(values):.1f} ± " in markdown
    assert (tmp_path / "report/report.png").read_bytes().startswith(b"\x89PNG")
    assert "best winning ticket" in ended.out

    rewind(cli, workshop, [fine_tuned / "masks/dense"], tmp_path / "two", "--seeds", 1, *QUICK, "--epochs", 2)
    complaint = refused(REPORT, tmp_path, "--output_dir", tmp_path / "no")
    assert "epochs 1 and 2; expected the same" in complaint
    (tmp_path / "empty").mkdir()
    assert "no finished run" in refused(REPORT, tmp_path / "empty")
    assert not (tmp_path / "no").exists()


@pytest.mark.slow
def test_held_out_scores_of_real_runs_choose_a_super_ticket(workshop, tmp_path, cli):
    more = ("--sparsities", "0.2", "0.5", "--holdout", 0.2)
    assert cli("train.py", *options(workshop), *more, "--do_train", "--do_mask", "--output_dir", tmp_path).status == 0
    rewind(cli, workshop, [tmp_path / "masks/dense", tmp_path / "masks/winning"], tmp_path, *more)
    ended = cli(REPORT, tmp_path)
    assert ended.status == 0, ended.err
    held_out = {
        (n_heads, n_ffns): result_of(tmp_path / f"{kind}/heads_{n_heads}_ffns_{n_ffns}/seed_2018")["held_out"]["sst"][
            "accuracy"
        ]
        for kind, n_heads, n_ffns in (("dense", 0, 0), ("winning", 2, 0), ("winning", 6, 1))
    }
    assert read_super_tickets([tmp_path / "super_tickets_held_out.yml"]) == {
        "sst": SuperTicket(*max(held_out, key=lambda level: (held_out[level], level)))
    }


class Page(HTMLParser):
    """What a page refers to, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.references, self.text = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.references += [value for name, value in attributes if name in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_holds_everything_itself_and_escapes_names(tmp_path, cli):
    task = '<b>&"$x$'
    write_line(tmp_path, "dense", {(0, 0): [0.7, 0.72]}, task=task)
    write_line(tmp_path, "winning", {(2, 1): [0.8, 0.7], (4, 1): [0.5, 0.6]}, task=task)
    write_line(tmp_path, "dense", {(0, 0): [0.7]}, task="rte")
    failed = tmp_path / task / "winning/heads_6_ffns_1/seed_1"
    failed.mkdir(parents=True)
    (failed / "failed.txt").write_text("the loss is <nan>\n")
    write_importance(
        tmp_path / "importance.json",
        np.ones((3, 4)),
        np.ones(3),
        {"task": task, "criterion": "example", "seed": 1, "model": MODEL, "checkpoint": "model"},
    )
    ended = cli(REPORT, tmp_path, "--output_dir", tmp_path / "report")
    assert ended.status == 0, ended.err
    written = (tmp_path / "report/report.html").read_text()
    page = Page(written)
    assert not page.tags & {"script", "link", "iframe", "b"} and "@import" not in written and "url(" not in written
    assert len(page.references) == 5 and all(
        reference.startswith("data:image/svg+xml;base64,") for reference in page.references
    )
    text = "".join(page.text)
    assert task in page.text and text.count("the loss is <nan>") == 1 and text.count("nan") == 1
    for folder in (failed, *(path.parent for path in tmp_path.rglob("result.json"))):
        assert str(folder.relative_to(tmp_path.parent)) in text and str(folder) not in text
    assert "the loss is <nan>" in (tmp_path / "report/report.md").read_text()


def test_one_seed_has_differences_and_no_test(tmp_path, cli):
    write_line(tmp_path, "dense", {(0, 0): [0.8]})
    write_line(tmp_path, "winning", {(2, 0): [0.85]})
    ended = cli(REPORT, tmp_path)
    assert ended.status == 0, ended.err
    assert (
        f"the standard error of one accuracy on 200 rows is {100 * math.sqrt(0.8 * 0.2 / 200):.1f} points" in ended.out
    )
    assert "no test (1 shared seed)" in ended.out and "nan" not in ended.out
    markdown = (tmp_path / "report.md").read_text()
    assert "| 85.0 | +5.0 | 1 |" in markdown and "p (Holm)" not in markdown and "No importance.json" in markdown
    assert not (tmp_path / "super_tickets_held_out.yml").exists()


def test_the_score_of_several_dev_sets_is_their_average(tmp_path, cli):
    for kind, level, values in (("dense", (0, 0), (0.8, 0.6)), ("winning", (2, 0), (0.7, 0.76))):
        write_run(
            tmp_path,
            kind,
            level,
            1,
            {"matched": {"accuracy": values[0]}, "mismatched": {"accuracy": values[1]}},
            task="mnli",
        )
    ended = cli(REPORT, tmp_path)
    assert "mnli (score: mean of matched accuracy and mismatched accuracy; 200 matched rows" in ended.out, ended.err
    assert "200 mismatched rows, 90 training rows, 10 held-out rows)\n  one seed, so nothing here is" in ended.out
    assert "\n  dense: 70.0\n" in ended.out
    lines = list(csv.DictReader(open(tmp_path / "report.csv")))
    assert [(line["dataset"], line["mean"], line["to_dense"]) for line in lines[3:]] == [
        ("matched", "0.7", ""),
        ("mismatched", "0.76", ""),
        ("", "0.73", "0.03"),
    ]
    assert (tmp_path / "report.md").read_text().count("\n## mnli\n") == 1


def test_every_train_fraction_has_a_section_and_super_tickets_of_its_own(tmp_path, cli):
    for fraction, epochs, shift in ((0.01, 6, 0.0), (0.1, 3, 0.1)):
        folder, options = tmp_path / f"mnli_{fraction}", {"train_fraction": fraction, "epochs": epochs}
        write_line(folder, "dense", {(0, 0): [0.7, 0.71]}, task="mnli", **options)
        write_line(folder, "winning", {(2, 0): [0.65 + shift, 0.68], (4, 1): [0.6, 0.6]}, task="mnli", **options)
    write_line(tmp_path / "rte", "dense", {(0, 0): [0.7]}, train_fraction=0.1)
    ended = cli(REPORT, tmp_path)
    assert ended.status == 0, ended.err
    page = (tmp_path / "report.md").read_text()
    for title in ("mnli, 1 % of the training rows", "mnli, 10 % of the training rows", "rte"):
        assert f"\n## {title}\n" in page and f"\n{title} (accuracy" in f"\n{ended.out}"
    lines = list(csv.DictReader(open(tmp_path / "report.csv")))
    assert {(line["task"], line["train_fraction"]) for line in lines} == {
        ("mnli", "0.01"),
        ("mnli", "0.1"),
        ("rte", "0.1"),
    }
    found = {path.name: read_super_tickets([path]) for path in tmp_path.glob("super_tickets*")}
    assert found == {
        "super_tickets_train_fraction_0.01.yml": {"mnli": SuperTicket(0, 0)},
        "super_tickets_train_fraction_0.1.yml": {"mnli": SuperTicket(2, 0)},
    }
    assert cli(REPORT, tmp_path / "mnli_0.1", "--output_dir", tmp_path).status == 0
    assert [path.name for path in tmp_path.glob("super_tickets*")] == ["super_tickets.yml"]


# ---- while others are at work ----


def fill(folder):
    for kind, level in (("dense", (0, 0)), ("winning", (2, 0)), ("winning", (4, 1))):
        write_line(folder, kind, {level: [0.7, 0.72, 0.74]}, positive=110)


@pytest.mark.parametrize("gone", ["result.json", "config.json", "dev_predictions.tsv"])
def test_a_run_that_is_removed_while_it_is_read_is_passed_over(tmp_path, cli, monkeypatch, gone):
    fill(tmp_path)
    victim = tmp_path / "rte/dense/heads_0_ffns_0/seed_1"
    read = {name: getattr(record, name) for name in ("read_json", "read_run_config", "read_predictions")}

    def remove_first(name):
        def call(path, *more):
            if Path(path) == victim / gone:
                shutil.rmtree(victim)
            return read[name](path, *more)

        return call

    for name in read:
        monkeypatch.setattr(record, name, remove_first(name))
    ended = cli(REPORT, tmp_path)
    assert ended.status == 0 and not victim.exists(), ended.err
    assert f"dense: {72.0 if gone.startswith('dev') else 73.0:.1f} ± " in ended.out
    assert "baseline, " in ended.out


@pytest.mark.slow
def test_a_report_while_runs_come_and_go_has_no_traceback(tmp_path, cli):
    fill(tmp_path)
    done = threading.Event()

    def work():
        while not done.is_set():
            write_line(tmp_path, "random", {(2, 0): [0.6, 0.5]}, positive=110)
            shutil.rmtree(tmp_path / "rte/random/heads_2_ffns_0/seed_1")

    worker = threading.Thread(target=work)
    worker.start()
    try:
        ended = [cli(REPORT, tmp_path) for _ in range(4)]
    finally:
        done.set()
        worker.join()
    assert [(end.status, end.err) for end in ended] == [(0, "")] * 4


@pytest.mark.slow
def test_two_reports_at_the_same_moment_leave_whole_files(tmp_path, cli):
    fill(tmp_path)
    assert cli(REPORT, tmp_path, "--output_dir", tmp_path / "alone").status == 0
    command = [sys.executable, "-m", "mt_dnn.reports", str(tmp_path / "rte"), "--output_dir", str(tmp_path / "both")]
    both = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) for _ in range(2)]
    errors = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0] and errors == [b"", b""]
    assert {path.name for path in (tmp_path / "both").iterdir()} == {
        path.name for path in (tmp_path / "alone").iterdir()
    }
    assert (tmp_path / "both/report.png").read_bytes() == (tmp_path / "alone/report.png").read_bytes()


def test_a_report_on_a_full_disk_leaves_the_older_one(tmp_path, cli):
    write_line(tmp_path, "dense", {(0, 0): [0.8]})
    assert cli(REPORT, tmp_path / "rte", "--output_dir", tmp_path / "report").status == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "report").iterdir()}
    write_line(tmp_path, "winning", {(2, 0): [0.85]})
    with files_up_to(len(before["report.html"]) - 1):  # enough for the table
        ended = cli(REPORT, tmp_path / "rte", "--output_dir", tmp_path / "report")
    assert ended.status == 2 and ended.err == f"__main__.py: error: {tmp_path}/report/report.html: File too large\n"
    assert {path.name: path.read_bytes() for path in (tmp_path / "report").iterdir()} == before
