"""The picture of importance scores: importance.png, layers by heads."""

from pathlib import Path

import numpy as np

from data_utils.files import write_whole


def draw_heat_map(path: Path, heads: np.ndarray, ffns: np.ndarray, title: str) -> None:
    """Draw the normalised head scores, (layers, heads), and the FFN scores, (layers,), side by side as a picture."""
    from matplotlib.figure import Figure

    layers, heads_per_layer = heads.shape
    figure = Figure(figsize=(2.6 + 0.45 * heads_per_layer, 1.6 + 0.34 * layers), layout="constrained")
    axes = figure.subplots(1, 2, width_ratios=[heads_per_layer, 1.4])
    for axis, scores, name in ((axes[0], heads, "heads (L2-normalised per layer)"), (axes[1], ffns[:, None], "FFNs")):
        picture = axis.imshow(scores, cmap="viridis", aspect="auto", origin="lower", vmin=min(0, scores.min()))
        axis.set(title=name, xticks=range(scores.shape[1]), yticks=range(layers))
        axis.title.set_size(9)
        figure.colorbar(picture, ax=axis, aspect=12, fraction=0.15 if axis is axes[0] else 0.5)
    axes[0].set(xlabel="head", ylabel="layer")
    axes[1].set(xticks=[])
    figure.suptitle(title, fontsize=10)
    with write_whole(path, "wb") as file:
        figure.savefig(file, format="png", dpi=130)
