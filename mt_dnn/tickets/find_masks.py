"""Which mask files --masks and --sparsities name."""

import glob
from collections.abc import Iterable
from pathlib import Path

from data_utils.advice import advice
from data_utils.errors import UserError
from data_utils.files import find
from mt_dnn.tickets.masks import Mask, tickets_for
from mt_dnn.tickets.ticket import counts_at


def find_masks(patterns: Iterable[str | Path]) -> list[Path]:
    """Return the mask files, sorted and each once, that files, folders (searched through) and patterns name.

    Raises UserError for a pattern that finds none.
    """
    found = set()
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            paths = find(path, "*.json")
        else:
            paths = [path] if path.is_file() else [Path(name) for name in glob.glob(str(pattern), recursive=True)]
        files = [file for file in paths if file.is_file() and not file.name.startswith(".")]
        if not files:
            raise UserError(
                f"--masks {pattern}: no mask found, expected a mask file, a folder of them, or a pattern; train.py "
                "--do_mask makes masks, with --criterion NAME those of another criterion"
            )
        found.update(files)
    return sorted(found)


def refuse_output_among_masks(patterns: Iterable[str | Path], output_dir: str | Path) -> None:
    """Raise UserError if runs would go into a folder of masks: the next call would take their files for masks."""
    output = Path(output_dir).resolve()
    for folder in filter(Path.is_dir, map(Path, patterns)):
        if output.is_relative_to(folder.resolve()):
            raise UserError(f"--output_dir {output_dir}: in --masks {folder}, expected a folder outside of it")


def at_sparsities(masks: dict[Path, Mask], sparsities: Iterable[str], task: str) -> dict[Path, Mask]:
    """Return those of `masks` whose ticket for `task` closes as much as one of `sparsities` does, and the dense ones.

    `masks`: {path: Mask} to choose from. Raises UserError for a sparsity that no mask of a folder is at.
    """
    chosen = {path: mask for path, mask in masks.items() if mask.kind == "dense"}
    others = {path: mask for path, mask in masks.items() if mask.kind != "dense"}
    for sparsity in sparsities:
        found = {}
        for path, mask in others.items():
            kept = mask.provenance_of(task).get("min_heads_per_layer", 1)
            counts = counts_at(sparsity, mask.shape.layers, mask.shape.heads, kept)
            if tickets_for(mask, path, [task])[task].counts == counts:
                found[path] = mask
        lacking = sorted({str(path.parent) for path in others} - {str(path.parent) for path in found})
        if lacking or not others:
            raise UserError(
                f"--sparsities {sparsity}: no mask in {', '.join(lacking) or '--masks'} is at this sparsity; "
                f"make it with train.py --do_mask {advice(f'--sparsities {sparsity}')}"
            )
        chosen |= found
    return chosen
