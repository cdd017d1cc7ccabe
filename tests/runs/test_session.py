"""What a run's seed decides, and how its log begins."""

from types import SimpleNamespace

import torch
from calls import options, tokenize

from data_utils.errors import RunFailed
from mt_dnn.runs import session


def test_a_seed_draws_the_task_head_dropout_and_the_order_of_the_rows(workshop, tmp_path, cli, monkeypatch):
    noted = []

    def note(model, data, optimization, machine, precision, seed, files):
        (head,) = model.task_heads.values()
        noted.append((head.weight[0, 0].item(), torch.initial_seed(), seed))
        raise RunFailed("that is enough")

    monkeypatch.setattr(session, "fine_tune", note)
    train = ("train.py", *options(workshop), "--do_train", "--output_dir")
    for seed in (1, 2):
        cli(*train, tmp_path / str(seed), "--seed", seed)
    monkeypatch.setattr(session, "rank", lambda: 1)  # the second of several processes
    cli(*train, tmp_path / "other process", "--seed", 2)
    one, two, other = noted
    assert all(a != b for a, b in zip(one, two))
    assert (other[0], other[2]) == (two[0], two[2]) and other[1] != two[1]  # dropout alone differs between processes


def test_the_log_says_how_many_rows_prepro_dropped(workshop, tmp_path, cli, monkeypatch):
    def stop(*arguments):
        raise RunFailed("that is enough")

    monkeypatch.setattr(session, "fine_tune", stop)
    assert cli(*tokenize(workshop, tmp_path / "data", "snli,rte")).status == 0
    at = SimpleNamespace(data=tmp_path / "data", encoder=workshop.encoder)
    cli("train.py", *options(at, "snli,rte"), "--do_train", "--output_dir", tmp_path / "out")
    log = (tmp_path / "out/log.txt").read_text()
    assert "snli, 38 of 38 training rows (2 dropped by prepro.py); dev: snli 38 rows (2 dropped by prepro.py)\n" in log
    assert "rte, 240 of 240 training rows; dev: rte 60 rows\n" in log
