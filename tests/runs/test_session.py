"""What a run's seed decides."""

import torch
from calls import options

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
