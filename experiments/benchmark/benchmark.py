"""Measure fine-tuning, rewinding, importance and evaluation, beside transformers.Trainer and the machine's limit.

Every number is that of a whole epoch, in a process that has seen none of its batches before. Prints a table and writes
it as benchmark.md, and all numbers as benchmark.json. Texts and weights are made up, with the shapes of real ones.
"""

import math
from pathlib import Path

from data_utils.cli import run_main
from data_utils.errors import UserError
from data_utils.files import make_folder, write_whole
from data_utils.json_file import write_json
from experiments.benchmark.commands import ROOT
from mt_dnn.flags.flag import COUNT
from mt_dnn.flags.parser import Parser

# By encoder shape and task: rows to train on and dev rows. BERT-base gets fewer, as it takes ten times as long.
ROWS = {
    "minilm:rte": (960, 480),
    "minilm:sst": (960, 480),
    "minilm:mnli": (960, 480),
    "base:rte": (96, 96),
    "base:mnli": (192, 192),
}
ON = ["minilm:rte", "minilm:sst", "base:rte"]  # by default, so that it takes less than 15 minutes on two cores


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument(
        "--device",
        default="auto",
        choices=["auto", "cuda", "cpu"],
        help="where to run; auto takes the GPU if there is one (default: auto)",
    )
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=["float32", "bfloat16"],
        help="what to compute in (default: both, or float32 if the machine has no instruction for bfloat16)",
    )
    parser.add_argument(
        "--on",
        nargs="+",
        default=ON,
        metavar="SHAPE:LENGTHS",
        choices=list(ROWS),
        help=f"encoder shapes (minilm, base) with rows as long as a task's (rte, sst, mnli) (default: {' '.join(ON)})",
    )
    parser.add_argument("--rows", type=COUNT, help="rows to train on, and half as many dev rows (default: by shape)")
    parser.add_argument(
        "--checkout",
        default=str(ROOT),
        help="measure the commands of another checkout of this repository, such as one of an earlier commit",
    )
    parser.add_argument(
        "--output_dir",
        default="checkpoints/benchmark",
        help="folder for what is written (default: checkpoints/benchmark)",
    )
    options = parser.parse_args()

    from experiments.benchmark.compare import compare, machine, precisions_of
    from experiments.benchmark.made_up import TEXTS
    from experiments.benchmark.table import to_markdown
    from mt_dnn.runtime.device import choose_device

    device = choose_device(options.device)
    own = (options.rows, math.ceil(options.rows / 2)) if options.rows else None
    planned = {name: own or ROWS[name] for name in options.on}
    for name, (rows, dev_rows) in planned.items():  # before anything is measured
        available, _ = TEXTS[name.split(":")[1]]
        if rows + dev_rows > available:
            raise UserError(f"--rows {rows}: expected at most {available * 2 // 3} for {name}")
    found, output = {"machine": machine(device), "compared": {}}, Path(options.output_dir)
    precisions = options.precisions or precisions_of(device)
    make_folder(output)
    for name, (rows, dev_rows) in planned.items():
        shape, texts = name.split(":")
        checkout = Path(options.checkout).resolve()
        found["compared"][name] = compare(shape, texts, rows, dev_rows, device, precisions, checkout)
        write_json(output / "benchmark.json", found)  # now, as the next shape may not fit into memory
        with write_whole(output / "benchmark.md") as file:
            file.write(to_markdown(found))
    print(f"{to_markdown(found)}\nwritten: {output}/benchmark.md, benchmark.json")


if __name__ == "__main__":
    run_main(main)
