"""Scores on disk: importance.json, for people and for choosing tickets, and its heat map."""

import hashlib
import json

import numpy as np

from data_utils.errors import UserError
from data_utils.files import write_whole
from data_utils.json_file import read_json, write_json


def normalise(head_scores):
    """Divide the head scores (layers, heads) of every layer by their L2 norm; a layer of zeros stays zero."""
    norms = np.linalg.norm(head_scores, axis=1, keepdims=True)
    return np.divide(head_scores, norms, out=np.zeros_like(head_scores), where=norms > 0)


def write_importance(path, heads, ffns, description):
    """Write raw and normalised scores as JSON for people, a line per layer.

    Raises UserError if a score is not finite or all are zero: such scores rank nothing, so they make no mask.
    """
    for name, scores in (("head", heads), ("FFN", ffns)):
        if not np.isfinite(scores).all():
            raise UserError(
                f"{path}: {name} scores are not finite, expected numbers; the fine-tuned model is broken, "
                "so no mask is made"
            )
        if not scores.any():
            raise UserError(
                f"{path}: all {name} scores are zero, expected some above; the loss does not move with the gates, "
                "so no mask is made"
            )
    write_json(
        path,
        {
            **description,
            "heads": {"raw": _digits(heads), "normalised": _digits(normalise(heads))},
            "ffns": {"raw": _digits(ffns)},
        },
    )


def _digits(scores):
    """Seven digits, which is what float32 holds."""
    return np.vectorize(lambda score: float(f"{score:.7g}"))(scores).tolist()


def read_importance(path):
    """Return (normalised head scores (layers, heads), FFN scores (layers,), fingerprint(), everything read)."""
    content = read_json(path, "importance scores")
    try:
        heads, ffns = np.array(content["heads"]["normalised"], float), np.array(content["ffns"]["raw"], float)
    except (KeyError, TypeError, ValueError):
        heads, ffns = np.empty(0), np.empty(0)
    if (
        not isinstance(content.get("model"), dict)
        or "checkpoint" not in content
        or heads.ndim != 2
        or ffns.shape != heads.shape[:1]
        or not (np.isfinite(heads).all() and np.isfinite(ffns).all())
    ):
        raise UserError(
            f"{path}: no usable scores, expected model, checkpoint, heads.normalised (layers x heads) and ffns.raw "
            "(layers); remove the file to score anew"
        )
    return heads, ffns, fingerprint(content), content


def fingerprint(content: dict) -> str:
    """Return the SHA-256 of the scores and of what they were made from, without the model's path: a folder may move."""
    without_paths = {key: value for key, value in content.items() if key != "checkpoint"}
    return hashlib.sha256(json.dumps(without_paths, sort_keys=True).encode()).hexdigest()


def draw_heat_map(path, heads, ffns, title):
    """Draw the normalised head scores (layers, heads) and the FFN scores (layers,) side by side as a picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    layers, n_heads = heads.shape
    figure, axes = pyplot.subplots(
        1, 2, figsize=(2.6 + 0.45 * n_heads, 1.6 + 0.34 * layers), width_ratios=[n_heads, 1.4], layout="constrained"
    )
    for axis, scores, name in ((axes[0], heads, "heads (L2-normalised per layer)"), (axes[1], ffns[:, None], "FFNs")):
        picture = axis.imshow(scores, cmap="viridis", aspect="auto", origin="lower", vmin=0)
        axis.set(title=name, xticks=range(scores.shape[1]), yticks=range(layers))
        axis.title.set_size(9)
        figure.colorbar(picture, ax=axis, aspect=12, fraction=0.15 if axis is axes[0] else 0.5)
    axes[0].set(xlabel="head", ylabel="layer")
    axes[1].set(xticks=[])
    figure.suptitle(title, fontsize=10)
    with write_whole(path, "wb") as file:
        figure.savefig(file, format="png", dpi=130)
    pyplot.close(figure)
