"""The Python commands of experiments/phase_transition: the grid's table, ranks of heads, masks from records."""

import json
import shutil

import pytest
from fake_runs import COLLECT, write_run

RESTORE = "experiments/phase_transition/restore_masks.py"


def test_the_grids_table_shows_held_out_scores_and_marks_the_best(tmp_path, cli):
    for rate, dev, held_out in ((1e-4, 0.9, 0.6), (5e-4, 0.5, 0.8)):
        write_run(tmp_path / str(rate), "dense", (0, 0), 1, dev, held_out, learning_rate=rate, epochs=3)
    ended = cli("experiments/phase_transition/grid.py", tmp_path)
    assert ended.status == 0, ended.err
    header, _, row = ended.out.strip().splitlines()
    assert header == "| task | 3 epochs, 0.0001 | 3 epochs, 0.0005 |" and row == "| rte | 60.0 | **80.0** |"


@pytest.mark.parametrize(
    ("kind", "held_out", "seeds"), [("winning", 0.6, [1]), ("dense", None, [1]), ("dense", 0.6, [1, 2])]
)
def test_the_grids_table_takes_one_dense_run_of_each_setting_with_held_out_rows(
    tmp_path, refused, kind, held_out, seeds
):
    for seed in seeds:
        write_run(tmp_path, kind, (0, 0), seed, 0.5, held_out, learning_rate=1e-4, epochs=3)
    line = refused("experiments/phase_transition/grid.py", tmp_path)
    assert f"seed_{seeds[-1]}: {kind}, {int(held_out is not None)} tasks with held-out rows, rate 0.0001" in line


def test_the_ranks_of_heads_and_how_many_of_them_tickets_close(fine_tuned, tmp_path, cli, refused):
    heads = "experiments/phase_transition/heads.py"
    scores = json.loads((fine_tuned / "importance.json").read_text())["heads"]["normalised"]
    flat = sorted(((score, (layer, head)) for layer, row in enumerate(scores) for head, score in enumerate(row)))
    (_, (layer, head)), *_, (_, (top_layer, top_head)) = flat
    shutil.copytree(fine_tuned, tmp_path / "sst")
    for kind, level, closed in (("winning", (1, 0), {layer: [head]}), ("losing", (1, 1), {top_layer: [top_head]})):
        folder = write_run(tmp_path, kind, level, 1, 0.5, task="sst")
        config = json.loads((folder / "config.json").read_text())
        config["tickets"]["sst"]["heads"] = {str(at): own for at, own in closed.items()}
        (folder / "config.json").write_text(json.dumps(config))
    ended = cli(heads, tmp_path, f"{layer}.{head}", f"{top_layer}.{top_head}")
    assert ended.status == 0, ended.err
    row, sizes, losing, winning = (ended.out.strip().splitlines()[at] for at in (4, 8, 10, 11))
    assert row == f"| sst | {len(flat)} | 1 |"
    assert sizes == "| task | ticket | 1 + 0 | 1 + 1 |"
    assert (losing, winning) == ("| sst | losing |  | 1 |", "| sst | winning | 1 |  |")
    for head in ("1", "x.1", "9.0", "0.99"):
        assert f"HEAD '{head}', expected LAYER.HEAD from 0.0" in refused(heads, tmp_path, head)
    assert "no importance scores by `example`" in refused(heads, folder, "0.0")


@pytest.mark.parametrize("records, files", [("five_tasks/runs", 25), ("five_tasks/criteria_records", 50)])
def test_masks_are_restored_from_the_committed_records(tmp_path, cli, records, files):
    ended = cli(RESTORE, f"experiments/phase_transition/{records}", tmp_path)
    assert ended.status == 0 and f"masks by {files} of {files} files" in ended.out, ended.err


def test_masks_restored_from_records_are_those_that_train_wrote(fine_tuned, tmp_path, cli, refused):
    assert cli(COLLECT, fine_tuned, "--output", tmp_path / "records").status == 0
    ended = cli(RESTORE, tmp_path / "records", tmp_path)
    assert ended.status == 0, ended.err
    restored = tmp_path / fine_tuned.name
    written = [path.relative_to(fine_tuned) for path in fine_tuned.glob("masks/**/*.json")]
    alike = [name for name in written if (restored / name).exists()]  # it writes those at the default sparsities
    assert {name.parts[1] for name in alike} == {"dense", "winning", "random", "losing"}
    for name in alike:
        masks = [json.loads((folder / name).read_text()) for folder in (fine_tuned, restored)]
        for mask in masks:
            del mask["provenance"]["checkpoint"]  # a path
        assert masks[0] == masks[1], name
    (restored / "masks/losing/heads_6_ffns_1.json").unlink()
    shutil.rmtree(restored / "masks/winning")  # as if it had been killed
    assert "masks by 1 of 1 files" in cli(RESTORE, tmp_path / "records", tmp_path).out
    assert all((restored / name).exists() for name in alike)
    other = restored / "masks/losing/heads_6_ffns_1.json"  # of a sweep with --min_heads_per_layer 2
    other.write_text(other.read_text().replace('"min_heads_per_layer": 1', '"min_heads_per_layer": 2'))
    shutil.rmtree(restored / "masks/winning")
    assert "masks by 0 of 1 files" in cli(RESTORE, tmp_path / "records", tmp_path).out
    assert '"min_heads_per_layer": 2' in other.read_text() and not (restored / "masks/winning").exists()
    (restored / "importance.json").write_text('{"task": "of another sweep"}')
    assert "masks by 0 of 1 files" in cli(RESTORE, tmp_path / "records", tmp_path).out
    assert (restored / "importance.json").read_text() == '{"task": "of another sweep"}'
    scores = tmp_path / "records/importance.jsonl"
    good = scores.read_text()
    for edit, complaint in (
        (("sst/importance", "../importance"), "file: '../importance.json', expected a path below"),
        (('"criterion"', '"per"'), "criterion: missing"),
    ):
        scores.write_text(good.replace(*edit))
        assert complaint in refused(RESTORE, tmp_path / "records", tmp_path / "other")
    assert not (tmp_path / "other").exists()
    assert "no importance scores" in refused(RESTORE, tmp_path / "none", tmp_path)
