"""What the scripts call, in a copy of the repository whose Python writes down its arguments and does nothing."""

import shutil

import pytest
from calls import RECORDING_PYTHON, SCRIPTS_WITH_GPUID


@pytest.mark.parametrize("name", [*SCRIPTS_WITH_GPUID, "quickstart"])
def test_flags_are_passed_through_after_all_others_and_to_the_command_that_they_are_for(repository, name):
    flags = {
        "FLAGS": "--warmup 0.06 --weight_decay 0",
        "TRAIN_FLAGS": "--min_heads_per_layer 2",
        "REWIND_FLAGS": "--keep_gates",
        "PREPRO_FLAGS": "--max_seq_len 128",
    }
    ended = repository(name, "cpu", **flags)
    assert ended.status == 0 and "error" not in ended.err
    scripts = [call[0] for call in ended.calls]
    assert "train.py" in scripts or "rewind.py" in scripts
    for script, *arguments in ended.calls:
        if script in ("train.py", "rewind.py"):
            its = flags["TRAIN_FLAGS" if script == "train.py" else "REWIND_FLAGS"]
            if name == "quickstart" and script == "rewind.py" and "tweet,amazon" in arguments:
                its = ""  # --keep_gates, say, is for one task
            wanted = f"{flags['FLAGS']} {its}".split()
            assert arguments[-len(wanted) :] == wanted
        if script == "prepro.py":
            assert arguments[-2:] == ["--max_seq_len", "128"]


def test_another_criterion_scores_and_its_masks_are_rewound(repository, tmp_path):
    for kind in ("winning", "random", "token/winning"):  # as train.py leaves them
        (tmp_path / "checkpoints/enc/mnli/masks" / kind).mkdir(parents=True)
    ended = repository("rewind_mnli", "cpu", ENCODER="enc", CRITERION="token")
    assert (ended.status, ended.err) == (0, "")
    train, rewind, _ = ended.calls
    assert train[train.index("--criterion") + 1] == "token"
    masks = [argument for argument in rewind if "/masks/" in argument]
    assert {path.split("/masks/")[1] for path in masks if "dense" not in path} >= {"token/winning", "random"}


@pytest.mark.parametrize(
    "variable, flags, setting",
    [
        ("TRAIN_FLAGS", "--criterion token", "CRITERION"),
        ("TRAIN_FLAGS", "--warmup 0.1 --seed=5", "SEEDS"),
        ("REWIND_FLAGS", "--keep_gates\n--seed 5", "SEEDS"),
        ("FLAGS", "--train_datasets rte", "TASK"),
        ("FLAGS", "--output_dir elsewhere", "CHECKPOINTS"),
    ],
)
def test_flags_that_folders_depend_on_are_refused_in_favour_of_their_settings(repository, variable, flags, setting):
    ended = repository("rewind_mnli", "cpu", **{variable: flags})
    assert ended.status == 2 and not ended.calls
    assert len(ended.err.splitlines()) == 1 and f"expected {setting}: folders depend on it" in ended.err


@pytest.mark.parametrize("entry", ["mnli", "mnli=", "=3"])
def test_a_task_without_epochs_is_refused(repository, entry):
    ended = repository("prepare_mtdnn_base", "cpu", EPOCHS_BY_TASK=f"{entry} rte=6")
    assert ended.status == 2 and not ended.calls
    assert f"EPOCHS_BY_TASK: '{entry}', expected TASK=EPOCHS" in ended.err


@pytest.mark.parametrize("criterion, folder", [("example", "winning"), ("token", "token/winning")])
def test_the_super_tickets_of_a_criterion_are_shared_or_it_says_how_to_merge_them(
    repository, tmp_path, criterion, folder
):
    mask = f"checkpoints/my runs/mtdnn/masks/{folder}/super_tickets.json"
    settings = {"CHECKPOINTS": "checkpoints/my runs", "CRITERION": criterion}
    ended = repository("train_mtdnn", "cpu", **settings)
    assert ended.status == 2 and not ended.calls and len(ended.err.splitlines()) == 1
    assert f"{mask}: no such mask" in ended.err
    by = "" if criterion == "example" else f" --criterion {criterion}"
    command = f"construct_mtl_mask.py --model base --checkpoints checkpoints/my runs --output {mask}{by} "
    assert f"{command}(your own super tickets: with --super_tickets" in ended.err
    (tmp_path / mask).parent.mkdir(parents=True)
    (tmp_path / mask).touch()
    rewind, _ = repository("train_mtdnn", "cpu", **settings).calls
    assert rewind[rewind.index("--masks") + 1] == mask and "--save_model" in rewind


@pytest.mark.parametrize("name, setting", [("train_mtdnn", "TICKETS_SHARING"), ("rewind_mnli", "SAVE_MODEL")])
def test_another_word_than_yes_or_no_is_one_line(repository, name, setting):
    ended = repository(name, "cpu", **{setting: "true"})
    assert (ended.status, ended.calls) == (2, [])
    assert ended.err == f"{ended.err.split(': ')[0]}: error: {setting}=true, expected yes or no\n"


@pytest.mark.parametrize("task", ["rte", "rte,"])
def test_one_task_alone_is_no_multi_task_learning(repository, task):
    ended = repository("train_mtdnn", "cpu", TASK=task)
    assert (ended.status, ended.calls) == (2, [])
    assert ended.err.endswith(f": error: TASK={task}, expected several tasks, separated by commas\n")


def test_the_quickstart_keeps_all_rewound_models_where_asked(repository):
    ended = repository("quickstart", "cpu", SAVE_MODEL="yes")
    rewound = [call for call in ended.calls if call[0] == "rewind.py"]
    assert len(rewound) == 3 and all("--save_model" in call for call in rewound)


def test_there_are_masks_at_the_sparsities_that_are_rewound(repository):
    train, rewind, _ = repository("rewind_mnli", "cpu", SPARSITIES="0.125 0.25", MASK_SPARSITIES="0.1 0.2").calls
    assert train[train.index("--sparsities") + 1 : train.index("--sparsities") + 5] == ["0.1", "0.2", "0.125", "0.25"]
    assert rewind[rewind.index("--sparsities") + 1 : rewind.index("--sparsities") + 3] == ["0.125", "0.25"]


def test_a_start_that_train_mtdnn_has_not_written_is_one_line(repository, tmp_path):
    shutil.rmtree(tmp_path / "checkpoints/bert-base-uncased/mtdnn/winning")
    ended = repository("domain_adaptation", "cpu")
    assert (ended.status, ended.calls) == (2, []) and len(ended.err.splitlines()) == 1
    assert "seed_2018/model: no such model, expected that of train_mtdnn.sh; run it before, or set START" in ended.err


def test_scripts_with_parts_of_the_rows_pass_each_part_and_keep_it_in_a_folder_of_its_own(repository):
    def pairs(ended, *names):
        calls = [call for call in ended.calls if "train.py" in call[0]]
        return [tuple(call[call.index(name) + 1] for name in names) for call in calls]

    ended = repository("rewind_mnli_low_resource", "cpu")
    folder = "checkpoints/bert-base-uncased/low_resource/rows"
    assert pairs(ended, "--train_fraction", "--epochs", "--output_dir") == [
        ("0.01", "6", f"{folder}_0.01/mnli"),
        ("0.1", "3", f"{folder}_0.1/mnli"),
        ("0.2", "3", f"{folder}_0.2/mnli"),
    ]
    ended = repository("rewind_mnli_low_resource", "cpu", TASK="qnli")
    assert pairs(ended, "--output_dir")[-1] == (f"{folder}_0.2/qnli",)


def test_prepro_takes_the_task_file_and_the_folder_that_error_lines_name(repository):
    ended = repository("../experiments/glue/prepro", TASK_DEF="my tasks.yml", TOKENIZED="my splits")
    (call,) = ended.calls
    assert [call[call.index(flag) + 1] for flag in ("--task_def", "--data_dir")] == ["my tasks.yml", "my splits"]


def test_where_the_training_of_one_task_fails_the_others_are_trained(repository, tmp_path):
    fails = 'case "$*" in *"--train_datasets qqp "*) exit 1 ;; esac\n'
    (tmp_path / ".venv/bin/python").write_text(RECORDING_PYTHON + fails)
    ended = repository("prepare_mtdnn_base", "cpu")
    assert ended.status == 1
    tasks = [call[call.index("--train_datasets") + 1] for call in ended.calls]
    assert tasks == ["mnli", "qqp", "qnli", "sst", "mrpc", "cola", "rte", "stsb"]


def test_a_task_that_another_process_trains_is_left_for_the_end(repository, tmp_path):
    locked = 'case "$*" in *"/mnli --"*--skip_locked* | *qqp/seed_2*--skip_locked*) exit 75 ;; esac\n'
    (tmp_path / ".venv/bin/python").write_text(RECORDING_PYTHON + locked)
    ended = repository("prepare_mtdnn_base", "cpu", EPOCHS_BY_TASK="mnli=3 qqp=6 rte=6", SEEDS="1 2")
    assert ended.status == 0
    names = "--train_datasets", "--epochs", "--seed"
    called = [(*(call[call.index(name) + 1] for name in names), "--skip_locked" in call) for call in ended.calls]
    assert called == [
        ("mnli", "3", "1", True),
        ("mnli", "3", "2", True),
        ("qqp", "6", "1", True),
        ("qqp", "6", "2", True),
        ("rte", "6", "1", True),
        ("rte", "6", "2", True),
        ("mnli", "3", "1", False),  # now it waits
        ("qqp", "6", "2", False),
    ]


def test_a_seed_that_another_process_trains_is_rewound_after_the_others(repository, tmp_path):
    locked = 'case "$*" in *"--seed 1 "*--skip_locked*) exit 75 ;; esac\n'
    (tmp_path / ".venv/bin/python").write_text(RECORDING_PYTHON + locked)
    ended = repository("rewind_rte_winning", "cpu", SEEDS="1 2")
    assert ended.status == 0
    called = [
        (call[0], call[call.index("--seed" if call[0] == "train.py" else "--seeds") + 1])
        for call in ended.calls
        if call[0] in ("train.py", "rewind.py")
    ]
    assert called == [
        ("train.py", "1"),
        ("train.py", "2"),
        ("rewind.py", "2"),
        ("train.py", "1"),
        ("rewind.py", "1"),
    ]


def test_where_a_report_can_not_be_made_the_runs_after_it_are(repository, tmp_path):
    """As all runs on few rows failed, say."""
    fails = 'case "$*" in *mt_dnn.reports*_0.01/mnli) exit 2 ;; *"--train_fraction 0.01 "*) exit 1 ;; esac\n'
    (tmp_path / ".venv/bin/python").write_text(RECORDING_PYTHON + fails)
    ended = repository("rewind_mnli_low_resource", "cpu")
    assert ended.status == 1
    reports = [call[-1].split("_")[-1].removesuffix("/mnli") for call in ended.calls if "mt_dnn.reports" in call]
    assert reports == ["0.01", "0.1", "0.2"]


def test_paths_with_spaces_arrive_whole(repository):
    ended = repository("rewind_rte_winning", "cpu", ENCODER="some where/my bert", SEEDS="1 2")
    assert (ended.status, ended.err) == (0, "")
    train, rewind, _, other, *_, report = ended.calls
    assert train[train.index("--init_checkpoint") + 1] == "some where/my bert"
    assert train[train.index("--data_dir") + 1] == "data/tokenized/my bert"
    masks = rewind.index("--masks") + 1
    assert rewind[masks : masks + 2] == ["checkpoints/my bert/rte/masks/winning", "--sparsities"]
    assert rewind[rewind.index("--output_dir") + 1] == "checkpoints/my bert/rte/rewind"
    assert "checkpoints/my bert/rte/seed_2/masks/winning" in other
    assert report == ["-m", "mt_dnn.reports", "checkpoints/my bert/rte"]
