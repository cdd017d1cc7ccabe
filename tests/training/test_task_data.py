"""Rows of a task that another task trains on are found, as they are not unseen where both share an encoder."""

import re

import numpy as np
import yaml
from calls import QUICK, ROOT, options
from toy_tasks import TASK_DEF

from data_utils.tokenized import read_split
from mt_dnn.training.task_data import TaskData, shared_rows


def test_evaluated_rows_that_a_task_trains_on_are_counted(workshop):
    sst, rte = workshop.tasks["sst"], workshop.tasks["rte"]
    train, dev, pairs = (
        read_split(workshop.data, task, split) for task, split in ((sst, "train"), (sst, "dev"), (rte, "dev"))
    )
    texts = [*dev.rows()]
    other = TaskData(rte, dev.part(np.array([5, 2, 9])), {"rte": pairs})
    wanted = sum(text in {texts[5], texts[2], texts[9]} for text in texts)
    own = TaskData(sst, train, {"sst": dev}, dev.part(np.array([2, 5])))
    assert list(shared_rows([own, other])) == [
        f"{wanted} of {len(dev)} dev rows of sst are training rows of rte",
        "2 of 2 held-out rows of sst are training rows of rte",
    ]
    assert list(shared_rows([own])) == []
    of_one_file = TaskData(sst, dev, {"sst": dev})
    assert list(shared_rows([of_one_file])) == [f"{len(dev)} of {len(dev)} dev rows of sst are training rows of sst"]


def test_the_log_of_tasks_that_share_rows_says_so(workshop, tmp_path, cli):
    entry = yaml.safe_load((ROOT / TASK_DEF).read_text())["sst"]
    again = {**entry, "splits": {"train": entry["splits"]["dev"], "dev": entry["splits"]["dev"]}}
    (tmp_path / "tasks.yml").write_text(yaml.safe_dump({"sst": entry, "again": again}))
    tasks = ("--task_def", tmp_path / "tasks.yml", "--data_dir", tmp_path / "data")
    prepare = ("--raw_dir", workshop.raw, "--init_checkpoint", workshop.encoder, "--max_seq_len", 64)
    assert cli("prepro.py", *prepare, *tasks).status == 0
    ended = cli(
        "train.py", "--do_train", *options(workshop, "sst,again"), *QUICK, *tasks, "--output_dir", tmp_path / "out"
    )
    assert ended.status == 0, ended.err
    log = (tmp_path / "out/log.txt").read_text()
    assert re.search("[1-9][0-9]* of [0-9]+ dev rows of sst are training rows of again\n", log)
    assert re.search("[1-9][0-9]* of [0-9]+ dev rows of again are training rows of again\n", log)
    assert "training rows of sst" not in log
