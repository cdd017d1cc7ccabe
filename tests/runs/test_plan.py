"""Where rewind.py puts its runs, and what their config.json says, without doing any."""

from pathlib import Path

import pytest
from toy import MODEL

from data_utils.errors import UserError
from mt_dnn.flags.commands import RewindOptions
from mt_dnn.run_config import MAY_BE_UNKNOWN, refuse_other_config
from mt_dnn.runs.plan import plan
from mt_dnn.tickets.masks import Mask
from mt_dnn.tickets.ticket import DENSE, Ticket

TICKET = Ticket(frozenset({(0, 3), (2, 1)}), frozenset({1}))


def planned(masks, tasks=("rte",), **options):
    masks = {Path(f"{number}.json"): mask for number, mask in enumerate(masks)}
    owners = {task: options.get("tickets_of", task) for task in tasks}
    outcome = dict.fromkeys(sorted(MAY_BE_UNKNOWN))
    runs = plan(masks, owners, RewindOptions(masks=[], output_dir="out", seeds=[7], **options), outcome)
    return {str(run.files.folder.relative_to("out")): run for run in runs}


def mask(kind="winning", task="rte", **provenance):
    return Mask(kind, MODEL, {task: DENSE if kind == "dense" else TICKET}, provenance)


def test_runs_of_two_criteria_do_not_share_a_folder_and_say_which_it_is():
    runs = planned([mask(), mask(criterion="loss"), mask("losing", criterion="loss"), mask("random"), mask("dense")])
    name = "heads_2_ffns_1/seed_7"
    criteria = {folder: run.config["criteria"]["rte"] for folder, run in runs.items()}
    assert criteria == {
        f"winning/{name}": "example",
        f"loss/winning/{name}": "loss",
        f"loss/losing/{name}": "loss",
        f"random/{name}": None,
        "dense/heads_0_ffns_0/seed_7": None,
    }


def test_tickets_of_another_task_go_to_a_folder_of_their_own_and_the_run_says_whose_they_are():
    runs = planned([mask(task="mnli", criterion="loss")], tickets_of="mnli")
    ((folder, run),) = runs.items()
    assert folder == "tickets_of_mnli/loss/winning/heads_2_ffns_1/seed_7" and run.tickets == {"rte": TICKET}
    assert run.source_of("rte") == {"criterion": "loss", "tickets_of": "mnli"}
    assert (
        run.config["tickets_of"] == {"rte": "mnli"}
        and planned([mask()], tickets_of="rte").keys() == planned([mask()]).keys()
    )
    with pytest.raises(UserError, match="tickets for mnli, expected one for 'rte'.*--tickets_of"):
        planned([mask(task="mnli")])
    with pytest.raises(UserError, match="tickets for rte, expected one for 'mnli'"):
        planned([mask()], tickets_of="mnli")


def test_two_encoders_of_the_hub_with_one_last_name_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("encoders/bert").mkdir(parents=True)
    saved = {"encoder": "bert", "encoder_weights": None, "init_checkpoint": "one/bert"}
    with pytest.raises(UserError, match="made with init_checkpoint 'one/bert', now 'other/bert'"):
        refuse_other_config(tmp_path, saved, {**saved, "init_checkpoint": "other/bert"})
    for same in ("one/bert", "encoders/bert", "data/encoders/bert", "/disk/bert"):  # fetched in the meantime
        refuse_other_config(tmp_path, saved, {**saved, "init_checkpoint": same})
    known = {**saved, "encoder_weights": "0123"}
    refuse_other_config(tmp_path, known, {**known, "init_checkpoint": "other/bert"})
