"""From importance scores to mask files: every kind of ticket at every sparsity, in the folder of the scored model.

Masks of scores that are no longer there are removed.
"""

from pathlib import Path
from typing import Any

import numpy as np

from data_utils.advice import advice
from data_utils.errors import UserError
from mt_dnn.checksums import weights_fingerprint
from mt_dnn.flags.commands import MaskOptions
from mt_dnn.run_config import differs
from mt_dnn.run_folder import RunFolder
from mt_dnn.tickets.criteria import CRITERIA, criterion_named
from mt_dnn.tickets.masks import Mask, read_mask, write_mask
from mt_dnn.tickets.scores import SCORE_ANEW, read_importance
from mt_dnn.tickets.ticket import DENSE, TICKET_KINDS, choose, counts_at, rankings


def write_masks(files: RunFolder, options: MaskOptions, scored_with: dict[str, Any]) -> list[Path]:
    """Write the masks of all kinds at all sparsities of `options`, and the dense one; return their paths.

    They are chosen by the scores in the run folder `files`. `scored_with`: entries that importance.json must have
    (task, criterion, seed, ...); its seed draws the random masks. Sparsities that close the same numbers of heads and
    FFNs share a file. Masks that this function made earlier from other scores, or with another min_heads_per_layer,
    are removed.

    Raises UserError, and writes nothing, where the scores are not those or min_heads_per_layer leaves no head to close.
    """
    heads, ffns, importance = _read_scores(files, options.criterion, scored_with)
    layers, heads_per_layer = heads.shape
    refuse_min_heads(options.min_heads_per_layer, heads_per_layer)
    task, seed, model = scored_with["task"], scored_with["seed"], importance["model"]
    scores = files.importance(options.criterion)
    kept = options.min_heads_per_layer
    common = {
        "checkpoint": importance["checkpoint"],
        "seed": seed,
        "holdout": scored_with["holdout"],
        # Some records lack them, and weights of a hub name have no fingerprint.
        **{
            key: importance[key]
            for key in ("encoder_weights", "training_rows", "train_fraction")
            if importance.get(key)
        },
        "min_heads_per_layer": kept,
    }
    by_scores = {"criterion": options.criterion, "scores": f"{scores.name}, scores sha256 {importance['sha256']}"}
    at_random = {"drawn_from": f"the seed {seed} and the task's name, {task}"}
    all_counts = sorted({counts_at(sparsity, layers, heads_per_layer, kept) for sparsity in options.sparsities})
    written = [files.mask("dense", 0, 0)]
    write_mask(written[0], Mask("dense", model, {task: DENSE}, common))
    for kind, ranking in rankings(heads, ffns, seed, task).items():
        source, criterion = (by_scores, options.criterion) if TICKET_KINDS[kind].by_scores else (at_random, None)
        _remove_others(files.mask_folder(kind, criterion), set(source.values()), kept)
        for counts in all_counts:
            ticket = choose(*ranking, *counts, min_heads_per_layer=kept)
            path = files.mask(kind, *counts, criterion=criterion)
            write_mask(path, Mask(kind, model, {task: ticket}, {**source, **common}))
            written.append(path)
    return written


def remove_masks_by_scores(files: RunFolder) -> None:
    """Remove the masks that write_masks() chose by importance scores, of all criteria."""
    for criterion in CRITERIA:
        for kind in (kind for kind, its in TICKET_KINDS.items() if its.by_scores):
            _remove_others(files.mask_folder(kind, criterion), set(), 0)


def refuse_min_heads(min_heads_per_layer: int, heads: int) -> None:
    """Raise UserError if no head may be closed in a layer of this many `heads`. A layer's only head is never closed."""
    most = max(1, heads - 1)
    if min_heads_per_layer > most:
        raise UserError(
            f"--min_heads_per_layer {min_heads_per_layer}: every layer of this encoder has {heads} heads, "
            f"expected at most {most}, so that one can be closed; change {advice(f'--min_heads_per_layer {most}')}"
        )


def _read_scores(
    files: RunFolder, criterion: str, scored_with: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Return what read_importance() returns.

    Raises UserError unless the scores are those of the model in `files`, and have the entries `scored_with`.
    """
    path = files.importance(criterion)
    heads, ffns, importance = read_importance(path)
    wanted = {**scored_with, "weights": weights_fingerprint(files.model) or importance.get("weights")}
    for key, value in wanted.items():
        if differs(key, found := importance.get(key), value):
            raise UserError(f"{path}: {key}: {found!r}, expected {value!r}; {SCORE_ANEW}")
    if (name := importance["model"]["name"]) != (encoder := scored_with["encoder"]):
        raise UserError(f"{path}: model.name: {name!r}, expected {encoder!r}, the encoder; {SCORE_ANEW}")
    if not criterion_named(criterion).signed and min(heads.min(), ffns.min()) < 0:
        raise UserError(
            f"{path}: heads, ffns: a negative score, expected none by this criterion (signed=True in "
            f"mt_dnn/tickets/criteria.py allows them); {SCORE_ANEW}"
        )
    return heads, ffns, importance


def _remove_others(folder: Path, sources: set[str], min_heads_per_layer: int) -> None:
    """Remove the masks in `folder` that write_masks() made from other sources, or with another minimum of heads."""
    for path in folder.glob("heads_*_ffns_*.json"):
        provenance = read_mask(path).provenance
        source = provenance.get("drawn_from", provenance.get("scores"))
        kept = provenance.get("min_heads_per_layer", 1)
        if source and (source not in sources or kept != min_heads_per_layer):
            path.unlink()
