"""Importance scores on disk: importance.json, for people and for choosing tickets.

{
  "task": "rte", "criterion": "example", "rows": 2490, "train_fraction": 1.0, "holdout": 0.0, "seed": 2018,
  "data": {"rte_train": "<fingerprint>"}, "training_rows": "<fingerprint>",
  "encoder": "bert-base-uncased", "encoder_weights": "<SHA-256 of its weights>",
  "weights": "<SHA-256 of the fine-tuned model's weights>",
  "model": {"name": "bert-base-uncased", "layers": 12, ...}, "checkpoint": "<the model's folder>",
  "heads": {"raw": [[...], ...], "normalised": [[...], ...]}, "ffns": {"raw": [...]},
  "sha256": "<fingerprint of all this>"
}
"""

from pathlib import Path
from typing import Any

import numpy as np

from data_utils.check import TEXT, Expectation, both, check, fields, integer, list_of, number, value_that
from data_utils.errors import UserError
from data_utils.json_file import fingerprint_of, read_json, write_json
from mt_dnn.tickets.masks import MODEL

NO_MASK = "so no mask is made"
SCORE_ANEW = "remove the file to score anew"


def normalise(head_scores: np.ndarray) -> np.ndarray:
    """Divide the head scores, (layers, heads), of every layer by their L2 norm. A layer of zeros stays zero."""
    norms = np.linalg.norm(head_scores, axis=1, keepdims=True)
    return np.divide(head_scores, norms, out=np.zeros_like(head_scores), where=norms > 0)


def refuse_useless(path: Path, heads: np.ndarray, ffns: np.ndarray) -> None:
    """Raise UserError if scores that are to be written to `path` rank nothing: one is not finite, or all are zero."""
    for name, scores in (("head", heads), ("FFN", ffns)):
        if not np.isfinite(scores).all():
            raise UserError(
                f"{path}: {name} scores are not finite, expected numbers; the fine-tuned model is broken, {NO_MASK}"
            )
        if not scores.any():
            raise UserError(
                f"{path}: all {name} scores are zero, expected some above zero; they rank nothing, {NO_MASK}"
            )


def write_importance(path: Path, heads: np.ndarray, ffns: np.ndarray, scored_with: dict[str, Any]) -> None:
    """Write raw and normalised scores as JSON for people, a line per layer, below the entries of `scored_with`."""
    scores = {
        "heads": {"raw": _digits(heads), "normalised": _digits(normalise(heads))},
        "ffns": {"raw": _digits(ffns)},
    }
    content = {**scored_with, **scores}
    write_json(path, {**content, "sha256": fingerprint(content)})


def _digits(scores: np.ndarray) -> list:
    """Seven digits, which is what float32 holds."""
    return np.vectorize(lambda score: float(f"{score:.7g}"))(scores).tolist()


def fingerprint(content: dict[str, Any]) -> str:
    """Return the SHA-256 of scores and of what they were made from. Paths do not count: a folder may move."""
    counted = {key: value for key, value in content.items() if key not in ("checkpoint", "sha256")}
    return fingerprint_of(counted, 64)


def read_importance(path: str | Path) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Return (normalised head scores (layers, heads), FFN scores (layers,), the file's content).

    Raises UserError as check_importance() does.
    """
    content = read_json(path, "importance scores")
    heads, ffns = check_importance(content, str(path))
    check(fields({"checkpoint": TEXT}, others=True), content, str(path))
    return heads, ffns, content


def check_importance(content: dict[str, Any], path: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (normalised head scores (layers, heads), FFN scores (layers,)) of `content`, read from `path`.

    Raises UserError `path: key: found, expected ...` unless there is a number for every head and FFN of the model that
    it names, some of them are not zero, and the fingerprint is that of the content.
    """
    check(fields({"model": MODEL}, others=True), content, path)
    check(_expected(content["model"]["layers"], content["model"]["heads"]), content, path)
    heads, raw = (np.array(content["heads"][key], float) for key in ("normalised", "raw"))
    ffns = np.array(content["ffns"]["raw"], float)
    if content.get("sha256") != fingerprint(content):
        raise UserError(
            f"{path}: sha256: missing, or not that of the content, expected scores as train.py wrote them; {SCORE_ANEW}"
        )
    if not heads.any() or not ffns.any() or not np.allclose(normalise(raw), heads, rtol=0, atol=1e-5):
        raise UserError(
            f"{path}: heads, ffns: all zero, or not normalised from the raw ones, "
            f"expected scores as train.py wrote them; {SCORE_ANEW}"
        )
    return heads, ffns


def _expected(layers: int, heads_per_layer: int) -> Expectation:
    """What an importance.json for a model of this size holds."""
    score = number(name="a score")
    of_layer = _exactly(heads_per_layer, score, f"a score for each of the {heads_per_layer} heads")
    heads = _exactly(layers, of_layer, f"{layers} layers")
    return fields(
        {
            "task": TEXT,
            "criterion": TEXT,
            "heads": fields({"raw": heads, "normalised": heads}),
            "ffns": fields({"raw": _exactly(layers, score, f"a score for each of the {layers} layers")}),
        },
        optional={
            **dict.fromkeys(("encoder", "sha256"), TEXT),
            "rows": integer(0),  # 0: the criterion looks at none
            "seed": integer(0),
            **dict.fromkeys(("holdout", "train_fraction"), number(0, 1)),
        },
        others=True,
    )


def _exactly(n: int, item: Expectation, expected: str) -> Expectation:
    return both(value_that(expected, lambda value: isinstance(value, list) and len(value) == n), list_of(item))
