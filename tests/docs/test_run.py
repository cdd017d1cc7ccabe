"""Commands of docs/ are run as they stand there, on a tiny encoder and toy GLUE where the page has real ones."""

import ast
import glob
import json
import re
import shutil

import numpy as np
import pages
import pytest
from pages import ROOT

from mt_dnn.tickets import masks
from mt_dnn.tickets.masks import Mask, read_mask
from mt_dnn.tickets.scores import normalise
from mt_dnn.tickets.super_tickets import read_super_tickets, weights_table
from mt_dnn.tickets.ticket import Ticket

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder in which the pages' commands are called."""
    return tmp_path_factory.mktemp("reader")


@pytest.fixture
def reader(workshop, place, cli, monkeypatch):
    """Call a command of a page, a list of words, in a folder that has data/glue and data/encoders/my-bert."""
    for name, target in {
        "data/encoders/my-bert": workshop.encoder,
        "data/glue": workshop.raw,
        "experiments": ROOT / "experiments",
    }.items():
        if not (place / name).exists():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).symlink_to(target)
    monkeypatch.chdir(place)

    def call(command):
        assert command[0] == "python"
        script, *words = [found for word in command[1:] for found in sorted(glob.glob(word)) or [word]]
        if script == "-m":
            name = words.pop(0).replace(".", "/")
            script = f"{name}/__main__.py" if (ROOT / name).is_dir() else f"{name}.py"
        ended = cli(script, *words)
        assert ended.status == 0, f"{' '.join(command)}\n{ended.out}{ended.err}"
        return ended.out

    return call


def commands_of(page, begins):
    """The commands of a page whose words, joined, match `begins`."""
    return [command for command in pages.shell_commands(DOCS / page) if re.match(begins, " ".join(command))]


@pytest.fixture
def walked(reader, place):
    """The folder after "Without the scripts" of running.md was done there, by the first test that asks."""
    if not (place / "out/rte/report.html").exists():
        prepro, *of_one_task = commands_of("running.md", r"python .*(my-bert|out/rte$)")[:4]
        reader(prepro)
        for command in of_one_task:
            reader(command)
            reader([word.replace("rte", "mnli") for word in command])
        for task in ("rte", "mnli"):  # the tiny encoder learns too little for a super ticket
            mask = read_mask(min(place.glob(f"out/{task}/masks/winning/*.json")))
            heads, ffns = mask.tickets[task].counts
            (place / f"out/{task}/super_tickets.yml").write_text(f"{task}: {{heads: {heads}, ffns: {ffns}}}\n")
        for command in commands_of("running.md", r"python .*out.*mtdnn|python construct_mtl_mask"):
            reader(command)
    return place


def test_the_pipeline_without_the_scripts_runs_as_the_page_says(walked):
    for kind in ("dense", "winning/super_tickets"):
        assert len(json.loads((walked / f"out/mtdnn/{kind}/seed_2018/result.json").read_text())["tasks"]) == 2
    assert (walked / "out/mtdnn/multi_task.html").exists()
    assert len(list(walked.glob("out/rte/rewind/winning/*/seed_*/result.json"))) == 3  # sparsities


def test_reports_are_made_as_the_page_says(walked, reader):
    (walked / "checkpoints").mkdir(exist_ok=True)
    shutil.copytree(walked / "out", walked / "checkpoints/bert-base-uncased", dirs_exist_ok=True)
    low_resource = walked / "checkpoints/bert-base-uncased/low_resource"
    shutil.copytree(walked / "out/rte", low_resource / "rows_0.1/mnli")
    one, of_all, of_parts, of_several, collect, of_records = commands_of(
        "reports.md", "python -m mt_dnn.re(ports|cords)"
    )
    assert "super tickets: checkpoints/bert-base-uncased/rte/super_tickets.yml" in reader(one)
    reader(of_all)
    assert f"report: {low_resource.relative_to(walked)}/all/report.html" in reader(of_parts)
    shutil.rmtree(low_resource)
    assert "| MT-DNN, my-bert |" in reader(of_several)
    reader(collect)
    reader(of_records)
    for name in ("report.html", "report.md", "report.csv", "report.png", "super_tickets.yml"):
        again = (walked / "records/report" / name).read_bytes()
        assert again == (walked / "checkpoints/bert-base-uncased/rte" / name).read_bytes(), name
    for name in ("report.html", "report.md", "report.csv", "report.png", "super_tickets.yml"):
        assert f"`{name}`" in (DOCS / "reports.md").read_text() and (walked / "checkpoints/report" / name).exists()


def test_the_papers_counts_are_what_the_code_prints(place):
    shape = {"layers": 12, "heads": 12, "hidden": 768, "intermediate": 3072, "parameters": 109_482_240}
    tickets = {
        task: Ticket(frozenset((unit % 12, unit // 12) for unit in range(chosen.heads)), frozenset(range(chosen.ffns)))
        for task, chosen in read_super_tickets([ROOT / "experiments/glue/super_tickets_base.yml"]).items()
        if chosen
    }
    table = weights_table(Mask("winning", {"name": "bert-base-uncased", **shape}, tickets, {}))
    assert table + "\n" in [fence.text for fence in pages.fences(DOCS / "method.md")]


def test_run_folder_has_the_files_of_the_page(walked):
    table = (DOCS / "files.md").read_text().partition("## Run folder")[2].partition("## Log")[0]
    named = {name.rstrip("/") for name in re.findall(r"(?m)^\| `([\w./]+)`", table)}
    found = {path.name for path in (walked / "out/rte").iterdir()}
    assert {"result.json", "log.txt", "model"} < named
    assert named - {"checkpoint", "failed.txt", "export"} <= found
    assert {path.name for path in (walked / "out/rte/model").iterdir()} >= {
        "model.safetensors",
        "mask.json",
        "tasks.json",
    }


def keys(mask):
    """The keys of a mask's JSON, level by level, and how its provenance names the scores."""
    scores = re.sub(r"[0-9a-f]{64}|\.{3}", "*", mask["provenance"]["scores"])
    return [list(part) for part in (mask, mask["model"], *mask["tickets"].values(), mask["provenance"])], scores


def test_the_masks_on_the_page_and_in_the_code_look_as_those_that_are_written(walked):
    (fence,) = (fence for fence in pages.fences(DOCS / "files.md") if '"provenance"' in fence.text)
    docstring = re.search(r"(?ms)^ +\{$.*^ +\}$", masks.__doc__)
    written = json.loads(next(walked.glob("out/rte/masks/winning/*.json")).read_text())
    assert keys(json.loads(fence.text)) == keys(json.loads(docstring[0])) == keys(written)


def test_the_scores_on_the_page_look_as_those_that_are_written(walked):
    (fence,) = (fence for fence in pages.fences(DOCS / "files.md") if '"raw"' in fence.text)
    shown, written = json.loads(fence.text), json.loads((walked / "out/rte/importance.json").read_text())
    assert {unit: list(scores) for unit, scores in shown.items()} == {unit: list(written[unit]) for unit in shown}
    assert normalise(np.array(shown["heads"]["raw"])) == pytest.approx(np.array(shown["heads"]["normalised"]), abs=5e-5)


def test_the_log_on_the_page_looks_as_one_that_is_written(walked):
    """Line by line, but for the time, the task, its metrics and whatever has a digit in it."""

    def form(line):
        line = re.sub(r", f1 [\d.]+", "", line.partition("; see ")[0].partition("  ")[2])
        line = re.sub(r"code \S+", "code #", line)  # there may be no git
        return re.sub(r"\b(tweet|rte)\b", "TASK", re.sub(r"\S*\d\S*", "#", line))

    (excerpt,) = (fence.text for fence in pages.fences(DOCS / "files.md") if "versions: code" in fence.text)
    (log, *_) = walked.glob("out/rte/rewind/winning/*/*/log.txt")
    assert {form(line) for line in excerpt.splitlines()} <= {form(line) for line in log.read_text().splitlines()}


def test_the_result_on_the_page_has_keys_of_one_that_is_written(walked):
    (fence,) = (fence for fence in pages.fences(DOCS / "files.md") if '"average_score"' in fence.text)
    (path, *_) = walked.glob("out/rte/rewind/winning/*/*/result.json")
    shown, written = json.loads(fence.text), json.loads(path.read_text())
    assert shown.keys() <= written.keys()
    assert shown["tasks"]["mrpc"].keys() <= written["tasks"]["rte"].keys()
    assert shown["dev"].keys() == shown["tasks"]["mrpc"]["dev_sets"].keys()


def test_exports_and_predictions_run_as_the_page_says(walked, reader, monkeypatch):
    monkeypatch.setattr("mt_dnn.export.export_table.TIMING_SECONDS", 0.01)
    run = next(command for command in commands_of("exports_and_predictions.md", "python -m mt_dnn.export"))[3]
    (walked / run).parent.mkdir(parents=True)
    (walked / run).symlink_to(walked / "out/rte")
    (walked / "rows.tsv").write_text("a good film\tit was good\n")
    for command in commands_of("exports_and_predictions.md", r"python -m mt_dnn.export .*(zeroed|compact)"):
        assert "parameters" in reader(command)
    (command,) = commands_of("exports_and_predictions.md", r"python -m mt_dnn.predict .*--input")
    reader(command)
    assert (walked / "predictions.tsv").read_text().startswith("row\tlabel\tprobability\n0\t")

    names = {}
    for fence in pages.fences(DOCS / "exports_and_predictions.md"):
        if fence.language == "python":
            code = (
                fence.text.replace("RUN/", f"{walked / run}/")
                .replace('["What', '[("What')
                .replace('."])', '.", "Yes.")])')
            )
            exec(compile(ast.parse(code), "the page", "exec"), names)
    assert names["model"].config.id2label[0] == "not_entailment"
    assert names["classify"].task.name == "rte"
