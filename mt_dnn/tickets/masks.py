"""Mask files: a ticket for one or more tasks, for people first.

    {
      "kind": "winning",
      "model": {"name": "bert-base-uncased", "layers": 12, "heads": 12, "hidden": 768, "intermediate": 3072,
                "parameters": 109482240},
      "tickets": {"rte": {"heads": {"0": [3, 7], "5": [1]}, "ffns": [11]}},
      "provenance": {"scores": "importance.json, scores sha256 ...", "checkpoint": "...", "seed": 2018}
    }

heads: closed heads by layer; ffns: layers whose FFN is closed; both count from 0.
"""

import dataclasses
import glob
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from data_utils.errors import UserError
from data_utils.files import sha256
from data_utils.json_file import read_json, write_json
from mt_dnn.tickets.scores import read_importance
from mt_dnn.tickets.ticket import DENSE, Shape, Ticket, choose, counts_at, rankings

KINDS = ("dense", "winning", "random", "losing")


@dataclass(frozen=True)
class Mask:
    """What a mask file says: one Ticket per task name, for one model, and where it comes from.

    `model`: its name and the fields of its Shape.
    `provenance`: free text by key, or the provenance of every task by its name.
    """

    kind: str
    model: dict
    tickets: dict
    provenance: dict

    @property
    def shape(self):
        """The Shape of the model."""
        return Shape(**{key: value for key, value in self.model.items() if key != "name"})

    def provenance_of(self, task: str) -> dict:
        """Where the ticket of one task comes from."""
        own = self.provenance.get(task)
        return own if isinstance(own, dict) else self.provenance


def write_mask(path, mask):
    """Write a mask file."""
    write_json(
        path,
        {
            "kind": mask.kind,
            "model": mask.model,
            "tickets": describe_tickets(mask.tickets),
            "provenance": mask.provenance,
        },
    )


def describe_tickets(tickets):
    """Return {task name: Ticket} as a mask file has it, for people: units are listed per layer, ascending."""

    def by_layer(ticket):
        return {str(layer): ticket.heads_of(layer) for layer in sorted({layer for layer, _ in ticket.heads})}

    return {task: {"heads": by_layer(ticket), "ffns": sorted(ticket.ffns)} for task, ticket in tickets.items()}


def read_mask(path):
    """Read a mask file; return a Mask.

    Raises UserError `file: key: what, expected what` unless every unit exists in the model that the
    file names, stands there once, and every layer keeps a head.
    """
    content = read_json(path, "a mask")

    def want(condition, key, found, expected):
        if not condition:
            raise UserError(f"{path}: {key}: {found!r}, expected {expected}")

    missing = {"kind", "model", "tickets"} - set(content)
    want(not missing, "keys", sorted(content), "kind, model, tickets, provenance")
    model, tickets = content["model"], content["tickets"]
    want(content["kind"] in KINDS, "kind", content["kind"], f"one of {', '.join(KINDS)}")
    sizes = [field.name for field in dataclasses.fields(Shape)]
    want(
        isinstance(model, dict)
        and set(model) == {"name", *sizes}
        and isinstance(model["name"], str)
        and all(type(model[key]) is int and model[key] > 0 for key in sizes),
        "model",
        model,
        f"name, {', '.join(sizes)} of the model",
    )
    want(isinstance(tickets, dict) and tickets, "tickets", tickets, "a ticket by task name")
    want(
        isinstance(content.get("provenance", {}), dict),
        "provenance",
        content.get("provenance"),
        "where the mask comes from, by key",
    )
    layers, heads = model["layers"], model["heads"]
    read = {}
    for task, ticket in tickets.items():
        where = f"tickets.{task}"
        want(
            isinstance(ticket, dict) and set(ticket) == {"heads", "ffns"} and isinstance(ticket["heads"], dict),
            where,
            ticket,
            "heads by layer, and ffns",
        )
        want(isinstance(ticket["ffns"], list), f"{where}.ffns", ticket["ffns"], "a list of layers")
        for ffn in ticket["ffns"]:
            want(_is_index(ffn, layers), f"{where}.ffns", ffn, f"layers from 0 to {layers - 1}")
        want(len(set(ticket["ffns"])) == len(ticket["ffns"]), f"{where}.ffns", ticket["ffns"], "every layer once")
        closed = set()
        for layer, units in ticket["heads"].items():
            key = f"{where}.heads.{layer}"
            want(
                layer.isdecimal() and str(int(layer)) == layer and int(layer) < layers,
                f"{where}.heads",
                layer,
                f"layers from 0 to {layers - 1}",
            )
            want(isinstance(units, list), key, units, "a list of heads")
            for head in units:
                want(_is_index(head, heads), key, head, f"heads from 0 to {heads - 1}")
            want(len(set(units)) == len(units), key, units, "every head once")
            want(len(units) < heads, key, units, "at least one head of the layer left open")
            closed |= {(int(layer), head) for head in units}
        read[task] = Ticket(frozenset(closed), frozenset(ticket["ffns"]))
    return Mask(content["kind"], model, read, content.get("provenance", {}))


def _is_index(value, below):
    return type(value) is int and 0 <= value < below


def tickets_for(mask, path, tasks):
    """Return {task name: Ticket} for `tasks` (names) in `mask` (read from `path`); raise UserError if one has none."""
    for task in tasks:
        if task not in mask.tickets:
            raise UserError(
                f"{path}: tickets for {', '.join(mask.tickets)}, expected one for '{task}' (--train_datasets)"
            )
    return {task: mask.tickets[task] for task in tasks}


def refuse_other_model(mask, path, model):
    """Raise UserError unless `mask` (read from `path`) was made for the encoder that `model` describes."""
    differing = [
        f"{key} {mask.model[key]}, the encoder has {model[key]}"
        for key in ("layers", "heads", "name")
        if mask.model[key] != model[key]
    ]
    if differing:
        raise UserError(f"{path}: made for another model: {'; '.join(differing)} (--init_checkpoint)")


def refuse_other_holdout(mask: Mask, path: Path, holdout: float, tasks: Iterable[str]) -> None:
    """Raise UserError if training rows that are to be held out helped to choose the tickets of `tasks`.

    The tickets are those in `mask`, read from `path`.
    """
    if not holdout:
        return
    for task in tasks:
        made = mask.provenance_of(task).get("holdout", holdout)
        if mask.tickets[task] != DENSE and made != holdout:
            raise UserError(
                f"{path}: tickets.{task}: made with --holdout {made}, so rows that --holdout {holdout} holds out "
                f"helped to choose it; make the masks with --holdout {holdout}"
            )


def saved_mask(folder):
    """The mask file of a saved model."""
    return Path(folder) / "mask.json"


def encoder_name(checkpoint):
    """Name an encoder by its folder or hub name; one that was trained here, by where it comes from."""
    if not saved_mask(checkpoint).is_file():
        return Path(checkpoint).name
    mask = read_mask(saved_mask(checkpoint))
    return f"{mask.model['name']} trained on {','.join(mask.tickets)} ({mask.kind})"


def find_masks(patterns):
    """Return the mask files, sorted and each once, that files, folders (searched through) and patterns name.

    Raises UserError for a pattern that finds none.
    """
    found = set()
    for pattern in patterns:
        path = Path(pattern)
        paths = (
            path.rglob("*.json")
            if path.is_dir()
            else [path]
            if path.is_file()
            else map(Path, glob.glob(str(pattern), recursive=True))
        )
        files = [file for file in paths if file.is_file() and not file.name.startswith(".")]
        if not files:
            raise UserError(f"--masks {pattern}: no mask found, expected a mask file, a folder of them, or a pattern")
        found.update(files)
    return sorted(found)


def at_sparsities(masks, sparsities, task):
    """Return the masks whose ticket for `task` is at one of the `sparsities`, and the dense masks, as {path: Mask}.

    `masks`: {path: Mask} to choose from. Raises UserError for a sparsity that no mask is at.
    """
    chosen = {path: mask for path, mask in masks.items() if mask.kind == "dense"}
    tickets = {path: mask for path, mask in masks.items() if mask.kind != "dense"}
    for sparsity in sparsities:
        found = {
            path: mask
            for path, mask in tickets.items()
            if tickets_for(mask, path, [task])[task].counts
            == counts_at(
                sparsity, mask.model["layers"], mask.model["heads"], mask.provenance.get("min_heads_per_layer", 1)
            )
        }
        if not found:
            raise UserError(
                f"--sparsities {sparsity}: none of the {len(tickets)} masks is at this level; make it with "
                f"train.py --do_mask --sparsities {sparsity}"
            )
        chosen |= found
    return chosen


def write_masks(files, data, options, seed):
    """Write the winning, losing and random masks at all levels of `options` (MaskOptions), and the dense one.

    They are chosen from the importance scores of the run folder `files`, which must be those of the task and
    rows of `data` (DataOptions); `seed` draws the random ones. Levels that close the same numbers of heads and
    FFNs share a file; masks that this function made from other scores are removed. Returns the number of levels.
    """
    heads, ffns, fingerprint, importance = read_importance(files.importance)
    (task,) = data.train_datasets
    of_the_rows = {
        "train_fraction": data.train_fraction,
        "holdout": data.holdout,
        **({"seed": seed} if data.train_fraction < 1 else {}),
    }
    for key, wanted in {"task": task, "per": options.importance_per, **of_the_rows}.items():
        if importance.get(key) != wanted:
            raise UserError(
                f"{files.importance}: {key} is {importance.get(key)!r}, not {wanted!r}; remove that file to score anew"
            )
    levels = sorted({counts_at(sparsity, *heads.shape, options.min_heads_per_layer) for sparsity in options.sparsities})
    provenance = {
        "scores": f"{files.importance.name}, scores sha256 {fingerprint}",
        "checkpoint": importance["checkpoint"],
        "seed": seed,
        "min_heads_per_layer": options.min_heads_per_layer,
        "holdout": data.holdout,
    }
    of_these_scores = {
        provenance["scores"],
        f"{files.importance.name} sha256 {sha256(files.importance)}",
    }  # and as before
    for path in (path for kind in KINDS for path in (files.masks / kind).glob("heads_*_ffns_*.json")):
        if read_mask(path).provenance.get("scores", provenance["scores"]) not in of_these_scores:
            path.unlink()
    write_mask(files.mask("dense", 0, 0), Mask("dense", importance["model"], {task: DENSE}, provenance))
    for kind, scores in rankings(heads, ffns, seed, task).items():
        if kind == "random":
            provenance = {**provenance, "drawn_from": f"the seed {seed} and the task's name, {task}"}
        for n_heads, n_ffns in levels:
            ticket = choose(*scores, n_heads, n_ffns, options.min_heads_per_layer)
            write_mask(files.mask(kind, n_heads, n_ffns), Mask(kind, importance["model"], {task: ticket}, provenance))
    return len(levels)
