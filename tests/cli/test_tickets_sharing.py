"""Tickets sharing end to end on a tiny BERT: merged masks, each task's own ticket, the exact variant."""

import json
import shutil

import numpy as np
import torch
from calls import QUICK, TOGETHER, options, result_of, rewind
from safetensors.torch import load_file

from data_utils.tokenized import read_split
from mt_dnn.model_files import load_model
from mt_dnn.tickets.masks import Mask, read_mask, write_mask
from mt_dnn.tickets.ticket import DENSE, Ticket
from mt_dnn.training.checkpoint import Checkpoints
from mt_dnn.training.evaluate import measure, predict


def mask_for(folder, fine_tuned, tickets):
    model = read_mask(fine_tuned / "masks/dense/heads_0_ffns_0.json").model
    write_mask(folder / "shared.json", Mask("winning", model, tickets, {}))
    return folder / "shared.json"


def test_empty_tickets_are_mt_dnn(workshop, fine_tuned, mt_dnn_run, tmp_path, cli):
    mask = mask_for(tmp_path, fine_tuned, dict.fromkeys(TOGETHER.split(","), DENSE))
    rewind(cli, workshop, [mask], tmp_path, task=TOGETHER)
    for file in mt_dnn_run.glob("dev_predictions*"):
        assert (tmp_path / "winning/shared/seed_2018" / file.name).read_text() == file.read_text()


def test_tickets_sharing_learns_and_its_model_is_saved_with_every_ticket(
    workshop, fine_tuned, mt_dnn_run, tmp_path, cli, refused
):
    tickets = {
        "sst": Ticket(frozenset({(0, 1), (1, 0), (1, 2)}), frozenset({2})),
        "rte": Ticket(frozenset({(0, 0)}), frozenset({0})),
        "stsb": DENSE,
        "mnli": DENSE,
    }
    mask = mask_for(tmp_path, fine_tuned, tickets)
    rewind(cli, workshop, [mask], tmp_path / "out", "--save_model", task=TOGETHER)
    run = tmp_path / "out/winning/shared/seed_2018"
    result = result_of(run)
    assert result["dev"]["sst"]["accuracy"] >= 0.9
    assert {task: (entry["heads_closed"], entry["ffns_closed"]) for task, entry in result["tasks"].items()} == {
        "sst": (3, 1),
        "rte": (1, 1),
        "stsb": (0, 0),
        "mnli": (0, 0),
    }
    tasks = [workshop.tasks[task] for task in tickets]
    model = load_model(run / "model", tasks)
    assert {name: shared.ticket for name, shared in model.shared.items()} == {
        "sst": tickets["sst"],
        "rte": tickets["rte"],
    }
    for task in tasks[:3]:
        split = read_split(workshop.data, task, "dev")
        assert measure(task, split, predict(model, task, split, 64)) == result["dev"][task.name]

    ended = cli("mt_dnn/reports/multi_task.py", tmp_path / "out", mt_dnn_run)
    assert ended.status == 0, ended.err
    rows = [line for line in ended.out.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows[2:]] == [
        "| Most frequent label, or mean",
        "| MT-DNN, tiny-bert",
        "| Tickets-Share (shared), tiny-bert",
    ]
    weights = np.mean([entry["remaining_weights"]["by_formula"] for entry in result["tasks"].values()])
    assert f"| {100 * result['average_score']:.1f} | {100 * weights:.1f} % |" in rows[4] and "| 100.0 % |" in rows[3]
    assert "\n".join(rows) in (tmp_path / "out/multi_task.md").read_text()
    shutil.copytree(run, tmp_path / "out/winning/other/seed_2018")
    assert "| Tickets-Share (other), tiny-bert |" in cli("mt_dnn/reports/multi_task.py", tmp_path / "out").out
    shutil.copytree(mt_dnn_run, tmp_path / "out/winning/other/seed_1", ignore=shutil.ignore_patterns("model"))
    for name in ("result.json", "config.json"):
        path = tmp_path / "out/winning/other/seed_1" / name
        path.write_text(json.dumps({**json.loads(path.read_text()), "seed": 1, "kind": "winning"}))
    assert "tickets of other sizes" in refused("mt_dnn/reports/multi_task.py", tmp_path / "out")
    shutil.rmtree(tmp_path / "out/winning/other")

    assert "a run of one task" in refused("mt_dnn/reports/multi_task.py", fine_tuned)
    both = cli("mt_dnn/reports/multi_task.py", mt_dnn_run, fine_tuned, "--output_dir", tmp_path / "both")
    assert "1 runs of one task are left out; python -m mt_dnn.reports shows them" in both.out, both.err
    assert "a run of 4 tasks" in refused("mt_dnn/reports/__main__.py", mt_dnn_run)

    again = (
        "rewind.py",
        *options(workshop, TOGETHER),
        "--masks",
        mask,
        "--output_dir",
        tmp_path / "out",
        "--save_model",
    )
    assert "1 runs, 1 finished before" in cli(*again).out
    mask_for(tmp_path, fine_tuned, {**tickets, "stsb": Ticket(frozenset({(0, 0)}))})
    line = refused(*again)
    assert "made with criteria {'stsb': None}, now {'stsb': 'example'}; other tickets of stsb; give the old" in line
    fewer = "rewind.py", *options(workshop, "sst,rte"), *again[-5:]
    assert f"made with train_datasets {TOGETHER.split(',')}, now ['sst', 'rte']; give the old" in refused(*fewer)


def test_calls_that_need_one_task_are_one_line(workshop, fine_tuned, tmp_path, refused):
    call = (
        "rewind.py",
        *options(workshop, "sst,rte"),
        "--masks",
        fine_tuned / "masks/winning",
        "--output_dir",
        tmp_path,
    )
    assert "--sparsities with --train_datasets sst,rte: expected one task" in refused(*call, "--sparsities", 0.5)
    assert "--keep_gates with --train_datasets sst,rte: expected one task" in refused(*call, "--keep_gates")
    line = refused(*call)
    assert "tickets for sst, expected one for 'rte'" in line and "--tickets_of" not in line


def test_a_merged_mask_whose_tickets_saw_the_held_out_rows_is_refused(workshop, fine_tuned, tmp_path, cli, refused):
    """A merged mask knows for every task what was held out."""
    for task in ("sst", "rte"):
        content = json.loads((fine_tuned / "masks/winning/heads_6_ffns_1.json").read_text())
        content["tickets"], content["provenance"]["holdout"] = {task: content["tickets"]["sst"]}, 0.0
        path = tmp_path / task / "masks/winning/heads_6_ffns_1.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content))
    own = tmp_path / "own.yml"
    own.write_text("sst: {heads: 6, ffns: 1}\nrte: {heads: 6, ffns: 1}\n")
    merged = tmp_path / "merged.json"
    merge = ("construct_mtl_mask.py", "--super_tickets", own, "--checkpoints", tmp_path, "--output", merged)
    assert cli(*merge).status == 0
    mask = read_mask(merged)
    assert {task: mask.provenance_of(task)["holdout"] for task in mask.tickets} == {"sst": 0.0, "rte": 0.0}
    call = ("--masks", merged, "--output_dir", tmp_path / "out")
    line = refused("rewind.py", *options(workshop, "sst,rte", *QUICK), *call, "--holdout", 0.1)
    assert f"{merged}: tickets.sst: made with --holdout 0.0, so rows that --holdout 0.1 holds out helped" in line
    assert not (tmp_path / "out").exists()
    path.write_text(json.dumps({**content, "provenance": {**content["provenance"], "holdout": 0.1}}))
    assert "made with --holdout 0.1 and 0.0; expected the same" in refused(*merge)


# ---- exact sharing ----


CLOSED_BY_BOTH, CLOSED_BY_SST = (1, 0), (0, 1)


def query_rows(weights, head):
    layer, number = head
    return weights[f"bert.encoder.layer.{layer}.attention.self.query.weight"][8 * number : 8 * number + 8]


def test_with_exact_sharing_a_head_that_all_tasks_close_stays_pre_trained(workshop, fine_tuned, tmp_path, cli, refused):
    tickets = {"sst": Ticket(frozenset({CLOSED_BY_BOTH, CLOSED_BY_SST})), "rte": Ticket(frozenset({CLOSED_BY_BOTH}))}
    mask = mask_for(tmp_path, fine_tuned, tickets)
    start = load_file(workshop.encoder / "model.safetensors")
    start = {f"bert.{name.removeprefix('bert.')}": value for name, value in start.items()}
    for name, more in (("as the paper", []), ("exact", ["--exact_sharing"])):
        rewind(cli, workshop, [mask], tmp_path / name, "--save_model", *QUICK, *more, task="sst,rte")
        run = tmp_path / name / "winning/shared/seed_2018"
        trained, exact = load_file(run / "model/model.safetensors"), name == "exact"
        assert json.loads((run / "config.json").read_text())["exact_sharing"] == exact
        assert torch.equal(query_rows(trained, CLOSED_BY_BOTH), query_rows(start, CLOSED_BY_BOTH)) == exact
        assert not torch.equal(query_rows(trained, CLOSED_BY_SST), query_rows(start, CLOSED_BY_SST))
    call = ("rewind.py", *options(workshop, "sst,rte", *QUICK), "--masks", mask, "--save_model", "--output_dir")
    assert "made with exact_sharing True, now False" in refused(*call, tmp_path / "exact")
    assert "--exact_sharing with --train_datasets sst: expected several tasks" in refused(
        "rewind.py", *options(workshop), "--masks", mask, "--output_dir", tmp_path / "no", "--exact_sharing"
    )


def test_exact_sharing_goes_on_to_the_same_bytes_after_a_stop(workshop, fine_tuned, tmp_path, cli, monkeypatch):
    tickets = {"sst": Ticket(frozenset({(0, 1), (1, 0)}), frozenset({2})), "rte": Ticket(frozenset({(0, 0), (1, 2)}))}
    mask = mask_for(tmp_path, fine_tuned, tickets)
    more = ("--grad_accumulation_step", 2, "--log_per_updates", 1, "--checkpoint_minutes", 0)
    call = ("rewind.py", *options(workshop, "sst,rte", *QUICK, *more), "--masks", mask, "--exact_sharing")
    call += ("--save_model", "--output_dir")
    assert cli(*call, tmp_path / "whole").status == 0
    save, saved = Checkpoints.save, []

    def stop(self, *arguments):
        save(self, *arguments)
        saved.append(arguments)
        if len(saved) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "save", stop)
        assert cli(*call, tmp_path / "stopped").status == 130
    ended = cli(*call, tmp_path / "stopped")
    assert ended.status == 0 and "resumes from" in ended.out
    for file in ("model/model.safetensors", "dev_predictions_sst.tsv"):
        whole, stopped = (tmp_path / name / "winning/shared/seed_2018" / file for name in ("whole", "stopped"))
        assert stopped.read_bytes() == whole.read_bytes()
