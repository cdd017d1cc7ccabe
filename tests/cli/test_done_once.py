"""Which runs are done: finished ones are skipped, stopped and failed ones done later, others refused."""

import json
import shutil

import pytest
import toy_tasks
from calls import QUICK, files_up_to, options, rewind

from mt_dnn.runs import session
from mt_dnn.training import trainer


def test_finished_runs_are_skipped_and_unfinished_ones_done(workshop, fine_tuned, tmp_path, cli, refused):
    masks = [fine_tuned / "masks/winning"]
    assert "3 runs, 0 finished before" in rewind(cli, workshop, masks, tmp_path, *QUICK).out
    (tmp_path / "winning/heads_6_ffns_1/seed_2018/result.json").unlink()
    assert "3 runs, 2 finished before" in rewind(cli, workshop, masks, tmp_path, *QUICK).out
    assert "3 runs, 3 finished before" in rewind(cli, workshop, masks, tmp_path, *QUICK).out
    assert "made with epochs 1, now 4" in refused(
        "rewind.py", *options(workshop, "sst", *QUICK, "--epochs", 4), "--masks", *masks, "--output_dir", tmp_path
    )


def test_a_run_is_done_anew_as_the_refusal_says_and_what_lies_in_its_folder_stays(
    workshop, fine_tuned, tmp_path, cli, refused
):
    run = tmp_path / "sst"
    shutil.copytree(fine_tuned, run)
    rewind(cli, workshop, [run / "masks/winning"], run / "rewind", *QUICK)
    call = ("train.py", *options(workshop, "sst", *QUICK), "--do_train", "--do_mask", "--seed", 1, "--output_dir", run)
    line = refused(*call)
    assert "seed 2018, now 1 (in the scripts, further seeds stand at the end of SEEDS)" in line
    assert line.endswith("or remove its result.json, checkpoint/, model/ and export/ to run anew\n")
    before = (run / "importance.json").read_text()
    (run / "result.json").unlink()
    shutil.rmtree(run / "model")
    assert cli(*call).status == 0
    assert json.loads((run / "config.json").read_text())["seed"] == 1
    assert (run / "importance.json").read_text() != before
    assert len(list(run.glob("rewind/winning/*/seed_2018/result.json"))) == 3


def test_a_model_asked_for_later_is_made(workshop, fine_tuned, tmp_path, cli):
    masks = [fine_tuned / "masks/winning/heads_6_ffns_1.json"]
    rewind(cli, workshop, masks, tmp_path, *QUICK)
    ended = rewind(cli, workshop, masks, tmp_path, "--save_model", *QUICK)
    assert "1 runs, 0 finished before, 1 finished without a model, to be repeated\n" in ended.out
    assert (tmp_path / "winning/heads_6_ffns_1/seed_2018/model/model.safetensors").exists()


def test_a_model_of_an_earlier_run_does_not_count_as_that_of_a_later_one(workshop, fine_tuned, tmp_path, cli, refused):
    masks = [fine_tuned / "masks/winning/heads_6_ffns_1.json"]
    run = tmp_path / "winning/heads_6_ffns_1/seed_2018"
    rewind(cli, workshop, masks, tmp_path, "--save_model", *QUICK)
    (run / "result.json").unlink()
    other = (*QUICK, "--learning_rate", 1e-3)
    call = ("rewind.py", *options(workshop), *other, "--masks", *masks, "--output_dir", tmp_path)
    assert f"{run / 'model'}: of an earlier run, expected none; remove it, or give --save_model" in refused(*call)
    shutil.rmtree(run / "model")
    rewind(cli, workshop, masks, tmp_path, *other)
    assert "1 finished without a model" in rewind(cli, workshop, masks, tmp_path, "--save_model", *other).out


@pytest.mark.parametrize("begun_anew", [False, True])
@pytest.mark.parametrize(
    "module, then", [(trainer, "compute_gradients"), (trainer, "evaluate"), (session, "save_model")]
)
def test_a_run_whose_folder_is_removed_or_begun_anew_meanwhile_ends_and_writes_nothing(
    workshop, tmp_path, refused, monkeypatch, begun_anew, module, then
):
    run, function = tmp_path / "run", getattr(module, then)

    def removed_then(*arguments, **more):
        found = function(*arguments, **more)
        shutil.rmtree(run)
        if begun_anew:
            run.mkdir()
            (run / "config.json").write_text("{}")
        return found

    monkeypatch.setattr(module, then, removed_then)
    flags = (*QUICK, "--checkpoint_minutes", 0, "--log_per_updates", 1)
    line = refused("train.py", *options(workshop), *flags, "--do_train", "--output_dir", run)
    assert f"{run}: removed, or begun anew with other options, while this command trained the run" in line
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert left == ([run / "config.json"] if begun_anew else [])


def test_a_run_that_is_done_once_more_is_not_finished_until_its_end(workshop, fine_tuned, tmp_path, cli, monkeypatch):
    """Killed between its model and its result, it would else keep the result of before beside another model."""
    masks = [fine_tuned / "masks/winning/heads_6_ffns_1.json"]
    rewind(cli, workshop, masks, tmp_path, *QUICK)

    def killed(*arguments):
        raise KeyboardInterrupt

    call = ("rewind.py", *options(workshop), *QUICK, "--masks", *masks, "--output_dir", tmp_path, "--save_model")
    with monkeypatch.context() as patch:
        patch.setattr("mt_dnn.runs.session.result_of", killed)
        assert cli(*call).status == 130
    run = tmp_path / "winning/heads_6_ffns_1/seed_2018"
    assert (run / "model").exists() and not (run / "result.json").exists()
    assert "1 runs, 0 finished before" in cli(*call).out and (run / "result.json").exists()


def test_changed_data_is_noticed(workshop, fine_tuned, tmp_path, cli, refused):
    toy_tasks.write_sst(tmp_path / "glue", rows=32, seed=7)
    arguments = (
        "prepro.py",
        "--raw_dir",
        tmp_path / "glue",
        "--data_dir",
        tmp_path / "data",
        "--tasks",
        "sst",
        "--init_checkpoint",
        workshop.encoder,
        "--max_seq_len",
        64,
    )
    assert cli(*arguments).status == 0
    rewind(cli, workshop, [fine_tuned / "masks/dense"], tmp_path / "out", *QUICK)
    assert "made with other rows, or another tokenization, of sst_dev, sst_train; " in refused(
        "rewind.py",
        *options(workshop, "sst", *QUICK),
        "--data_dir",
        tmp_path / "data",
        "--masks",
        fine_tuned / "masks/dense",
        "--output_dir",
        tmp_path / "out",
    )


def test_a_loss_that_is_no_number_ends_with_one_line_and_no_result(workshop, tmp_path, cli):
    train = (
        "train.py",
        *options(workshop),
        *QUICK,
        "--epochs",
        2,
        "--do_train",
        "--output_dir",
        tmp_path,
        "--log_per_updates",
        1,
        "--checkpoint_minutes",
        0,
    )
    ended = cli(*train, "--learning_rate", 1e30)
    assert (
        ended.status == 1
        and len(ended.err.splitlines()) == 1
        and ("the loss is nan" in ended.err or "the loss is inf" in ended.err)
    )
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "log.txt", "failed.txt"}
    assert cli(*train).status == 0  # no checkpoint with what is no number stands in the way
    assert not (tmp_path / "failed.txt").exists()


def test_a_full_disk_is_one_line_and_the_runs_are_done_later(workshop, fine_tuned, tmp_path, cli, refused):
    call = ("rewind.py", *options(workshop), *QUICK, "--masks", fine_tuned / "masks/winning", "--save_model")
    with files_up_to(20_000):  # bytes in a file; the weights are more
        line = refused(*call, "--output_dir", tmp_path)
    assert "too large" in line.lower() and not list(tmp_path.rglob("result.json"))
    ended = cli(*call, "--output_dir", tmp_path)
    assert ended.status == 0 and "3 runs: 3 finished, 0 failed" in ended.out
