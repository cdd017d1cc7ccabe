"""Masks from scores: files and folders by criterion, and scores that do not fit are refused."""

import json

import numpy as np
import pytest
from toy import MODEL

from data_utils.errors import UserError
from mt_dnn.checksums import weights_fingerprint
from mt_dnn.flags.commands import MaskOptions
from mt_dnn.run_folder import RunFolder
from mt_dnn.tickets.make_masks import refuse_min_heads, write_masks
from mt_dnn.tickets.masks import read_mask
from mt_dnn.tickets.scores import fingerprint, normalise, write_importance
from mt_dnn.tickets.ticket import TICKET_KINDS, choose, counts_at, rankings


def made_from(criterion="example"):
    return {
        "task": "rte",
        "criterion": criterion,
        "train_fraction": 1.0,
        "holdout": 0.1,
        "seed": 7,
        "encoder": "tiny",
        "encoder_weights": "0123",
        "training_rows": "def",
        "data": {"rte_train": "abc"},
    }


def scored(folder, criterion="example", seed=0, shift=0.0):
    """A run folder with a model (its weights are any bytes) and its scores by a criterion."""
    files, rng = RunFolder(folder), np.random.default_rng(seed)
    files.model.mkdir(parents=True, exist_ok=True)
    (files.model / "model.safetensors").write_bytes(b"weights")
    more = {"rows": 9, "weights": weights_fingerprint(files.model), "model": MODEL, "checkpoint": str(files.model)}
    scores = rng.random((3, 4)) + shift, rng.random(3) + shift
    write_importance(files.importance(criterion), *scores, {**made_from(criterion), **more})
    return files


def write(files, criterion="example", sparsities=("0.5",), **more):
    options = MaskOptions(criterion=criterion, sparsities=list(sparsities), **more)
    return write_masks(files, options, made_from(criterion))


def masks(files):
    return {str(path.relative_to(files.masks)): path.read_bytes() for path in files.masks.rglob("*.json")}


def test_masks_of_two_criteria_lie_beside_each_other_and_random_ones_are_shared(tmp_path):
    files = scored(tmp_path)
    write(files)
    first = masks(files)
    scored(tmp_path, "loss", seed=1, shift=-0.5)
    write(files, "loss")
    name = "heads_6_ffns_1.json"
    by_scores = {f"{kind}/{name}" for kind, entry in TICKET_KINDS.items() if entry.by_scores}
    assert by_scores >= {f"winning/{name}", f"losing/{name}"}
    assert set(first) == {"dense/heads_0_ffns_0.json", f"random/{name}", *by_scores}
    assert {**masks(files), **first} == masks(files)
    assert set(masks(files)) - set(first) == {f"loss/{path}" for path in by_scores}
    mask = read_mask(files.mask("winning", 6, 1, "loss"))
    assert mask.criterion_of("rte") == "loss" and mask.provenance["scores"].startswith("importance_loss.json, scores")
    assert read_mask(files.mask("random", 6, 1)).criterion_of("rte") is None


def test_masks_of_other_scores_by_the_same_criterion_are_removed(tmp_path):
    files = scored(tmp_path)
    write(files, sparsities=["0.2", "0.5"])
    scored(tmp_path, "loss")
    write(files, "loss", ["0.2"])
    scored(tmp_path, seed=1)
    write(files)
    assert not files.mask("winning", 2, 0).exists() and files.mask("winning", 6, 1).exists()
    assert files.mask("winning", 2, 0, "loss").exists() and files.mask("random", 2, 0).exists()


def test_random_masks_of_the_seed_alone_as_they_were_before_are_drawn_anew(tmp_path):
    files = scored(tmp_path)
    write(files, sparsities=["0.2"])
    for kind in ("random", "winning"):
        path = files.mask(kind, 2, 0)
        content = json.loads(path.read_text())
        content["provenance"].pop("drawn_from", None)
        content["provenance"]["scores"] = "importance.json sha256 of another file"
        path.write_text(json.dumps(content))
    write(files)
    assert not files.mask("random", 2, 0).exists() and not files.mask("winning", 2, 0).exists()


def edit(files, change, renewed=True):
    """Change importance.json; `renewed`: with the fingerprint that then is right."""
    path = files.importance("example")
    content = json.loads(path.read_text())
    change(content)
    if renewed:
        content["sha256"] = fingerprint(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "change, complaint",
    [
        (lambda scores: scores.update(task="sst"), "task: 'sst', expected 'rte'"),
        (lambda scores: scores.update(criterion="loss"), "criterion: 'loss', expected 'example'"),
        (lambda scores: scores.update(seed=8), "seed: 8, expected 7"),
        (lambda scores: scores.update(holdout=0.0), "holdout: 0.0, expected 0.1"),
        (lambda scores: scores.update(encoder="other"), "encoder: 'other', expected 'tiny'"),
        (lambda scores: scores.update(data={"rte_train": "xyz"}), "data: {'rte_train': 'xyz'}, expected"),
        (lambda scores: scores.update(weights="0"), "weights: '0', expected"),
        (lambda scores: scores["model"].update(layers=4), "heads.raw: .*, expected 4 layers"),
        (
            lambda scores: scores["model"].update(heads=5),
            r"heads.raw\[0\]: .*, expected a score for each of the 5 heads",
        ),
        (lambda scores: scores["ffns"].update(raw=[]), r"ffns.raw: \[\], expected a score for each of the 3 layers"),
        (lambda scores: scores["ffns"].update(raw=["1", "2", "3"]), r"ffns.raw\[0\]: '1', expected a score"),
        (lambda scores: scores["ffns"].update(raw=[0, 0, 0]), "all zero"),
        (lambda scores: scores["ffns"].update(raw=[1, -2, 3]), "a negative score"),
        (lambda scores: scores["heads"]["normalised"].reverse(), "not normalised from the raw ones"),
        (lambda scores: scores.pop("model"), "model: missing"),
    ],
)
def test_scores_that_do_not_fit_are_refused_and_no_mask_is_written(tmp_path, change, complaint):
    files = scored(tmp_path)
    edit(files, change)
    with pytest.raises(UserError, match=f"{files.importance('example')}: .*{complaint}"):
        write(files)
    assert not files.masks.exists()


def test_an_edited_score_does_not_have_the_fingerprint(tmp_path):
    files = scored(tmp_path)
    edit(files, lambda scores: scores.update(rows=10), renewed=False)
    with pytest.raises(UserError, match="sha256: missing, or not that of the content"):
        write(files)
    edit(files, lambda scores: scores.pop("sha256"), renewed=False)
    with pytest.raises(UserError, match="sha256: missing, or not that of the content"):
        write(files)


def test_scores_of_an_encoder_with_other_weights_are_refused_where_both_are_known(tmp_path):
    files = scored(tmp_path)
    assert all(read_mask(path).provenance["encoder_weights"] == "0123" for path in write(files))
    edit(files, lambda scores: scores.update(encoder_weights="4567"))
    with pytest.raises(UserError, match="encoder_weights: '4567', expected '0123'"):
        write(files)
    edit(files, lambda scores: scores.update(encoder_weights=None))  # scored with an encoder by its hub name
    assert all("encoder_weights" not in read_mask(path).provenance for path in write(files))


def test_scores_of_another_model_than_the_one_beside_them_are_refused(tmp_path):
    files = scored(tmp_path)
    (files.model / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(UserError, match="importance.json: weights: "):
        write(files)


@pytest.mark.parametrize("kept, size", [(1, (6, 1)), (3, (3, 1))])
def test_each_mask_is_the_ticket_of_its_kind_seed_task_and_minimum_of_heads(tmp_path, kept, size):
    files = scored(tmp_path)
    write(files, min_heads_per_layer=kept)
    scores = json.loads(files.importance("example").read_text())
    heads, ffns = np.array(scores["heads"]["normalised"]), np.array(scores["ffns"]["raw"])
    for kind, ranking in rankings(heads, ffns, 7, "rte").items():
        assert read_mask(files.mask(kind, *size)).tickets == {"rte": choose(*ranking, *size, kept)}


def test_heads_are_ranked_within_their_layer_whatever_its_scale(tmp_path):
    files = scored(tmp_path)
    within = np.array([[0.2, 0.4, 0.4, 0.8], [0.1, 0.7, 0.7, 0.1], [0.5, 0.5, 0.5, 0.5]])  # each layer of norm 1
    raw = within * [[5.0], [1000.0], [0.1]]  # by raw scores three heads of the last layer would be closed first
    path = files.importance("example")
    written = {key: value for key, value in json.loads(path.read_text()).items() if key not in ("heads", "ffns")}
    write_importance(path, raw, np.arange(1.0, 4.0), written)
    write(files, sparsities=["0.25"])
    closed = {kind: read_mask(files.mask(kind, 3, 0)).tickets["rte"].heads for kind in ("winning", "losing")}
    assert closed == {"winning": {(1, 0), (1, 3), (0, 0)}, "losing": {(0, 3), (1, 1), (1, 2)}}
    np.testing.assert_allclose(normalise(raw), within)
    np.testing.assert_allclose(normalise(np.array([[3.0, -4.0], [0.0, 0.0]])), [[0.6, -0.8], [0.0, 0.0]])


def test_masks_with_another_minimum_of_heads_do_not_stay_beside_new_ones(tmp_path):
    files = scored(tmp_path)
    before, after = ({path for path in write(files, min_heads_per_layer=kept)} for kept in (1, 3))
    assert before - after and {path for path in files.masks.rglob("heads_*.json")} == after


def test_as_many_heads_to_keep_as_a_layer_has_are_refused(tmp_path):
    files = scored(tmp_path)
    for kept in (4, 13):
        with pytest.raises(UserError, match=f"--min_heads_per_layer {kept}: .* 4 heads, expected at most 3"):
            write(files, min_heads_per_layer=kept)
    assert not files.masks.exists() and len(write(files, min_heads_per_layer=3)) == 4


def test_the_only_head_of_a_layer_stays_open_and_ffns_can_be_closed():
    refuse_min_heads(1, heads=1)
    with pytest.raises(UserError, match="1 heads, expected at most 1"):
        refuse_min_heads(2, heads=1)
    assert counts_at("0.5", layers=4, heads=1) == (0, 2)
