"""Write the importance scores of a sweep again, from its records, and masks by these scores.

With them, sharing.sh and questions.sh run on a machine that has not run the sweep. Other scores that are there stay,
and so do their masks, and masks with another --min_heads_per_layer than the default.
"""

from pathlib import Path

from data_utils.check import TEXT, check, fields, integer, number
from data_utils.cli import run_main
from data_utils.errors import UserError
from data_utils.json_file import read_json, write_json
from mt_dnn.flags.commands import MaskOptions
from mt_dnn.flags.parser import Parser
from mt_dnn.records.record import read_importance_files
from mt_dnn.run_folder import RunFolder
from mt_dnn.tickets.make_masks import write_masks
from mt_dnn.tickets.masks import read_mask
from mt_dnn.tickets.ticket import TICKET_KINDS

SCORES = fields({"task": TEXT, "criterion": TEXT, "seed": integer(0), "holdout": number(0, 1)}, others=True)


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("records", metavar="RECORDS", help="folder of the records")
    parser.add_argument("output", metavar="OUTPUT", help="where the runs were: checkpoints/NAME")
    usual = MaskOptions().sparsities
    parser.add_argument("--sparsities", nargs="+", default=usual, help=f"of the masks (default: {' '.join(usual)})")
    options = parser.parse_args()
    records, output = options.records, options.output

    importance_files = read_importance_files([records])
    if not importance_files:
        raise UserError(
            f"{records}: no importance scores, expected records that mt_dnn.records.collect made of a sweep"
        )
    written = 0
    for name, (place, content) in importance_files.items():
        check(SCORES, content, f"{place}: {name}")
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise UserError(f"{place}: file: {name!r}, expected a path below the folder of the runs")
        files = RunFolder(Path(output, name).parent)
        path, importance = files.importance(content["criterion"]), {**content, "checkpoint": str(files.model)}
        mine = not path.exists() or read_json(path, "importance scores") == importance  # equal: masks may be missing
        if mine and not made_otherwise(files, content["criterion"]):
            write_json(path, importance)
            write_masks(files, MaskOptions(sparsities=options.sparsities, criterion=content["criterion"]), content)
            written += 1
    print(f"{output}: masks by {written} of {len(importance_files)} files of importance scores; the others were there")


def made_otherwise(files: RunFolder, criterion: str) -> bool:
    """Whether the run folder `files` has masks with another --min_heads_per_layer than those that are made here."""
    of_kinds = {kind: criterion if entry.by_scores else None for kind, entry in TICKET_KINDS.items()}
    masks = [path for of_kind in of_kinds.items() for path in files.mask_folder(*of_kind).glob("*.json")]
    usual = MaskOptions.min_heads_per_layer
    return any(read_mask(path).provenance.get("min_heads_per_layer", usual) != usual for path in masks)


if __name__ == "__main__":
    run_main(main)
