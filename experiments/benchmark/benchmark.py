"""Measure training, scoring, evaluation, prepro and starts, beside transformers.Trainer and the machine's limit.

Prints a table and writes it as benchmark.md, all numbers as benchmark.json, and how cost grows as growth.png. Texts and
weights are made up. What is compared is done in turns, and every number is the median over the turns.
"""

import sys
from pathlib import Path

# The repository and this folder, wherever this script is called or loaded from.
sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parent)]

from data_utils.door import open_door  # noqa: E402
from data_utils.files import write_whole  # noqa: E402
from data_utils.json_file import write_json  # noqa: E402
from mt_dnn.flags.flag import COUNT  # noqa: E402
from mt_dnn.flags.parser import Parser  # noqa: E402

SPARSITIES = ["0.2", "0.5", "0.8"]


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument(
        "--device",
        default="auto",
        choices=["auto", "cuda", "cpu"],
        help="where to run; auto takes the GPU if there is one (default: auto)",
    )
    parser.add_argument(
        "--precision", default="auto", choices=["auto", "bfloat16", "float32"], help="as train.py's (default: auto)"
    )
    parser.add_argument(
        "--on",
        nargs="+",
        default=["minilm:rte", "minilm:sst", "base:rte"],
        metavar="SHAPE:LENGTHS",
        choices=[f"{shape}:{texts}" for shape in ("minilm", "base") for texts in ("rte", "sst")],
        help="encoder shapes (minilm, base) with rows as long as a task's (rte, sst) "
        "(default: minilm:rte minilm:sst base:rte)",
    )
    parser.add_argument(
        "--batches",
        type=COUNT,
        default=6,
        help="batches of 32 rows in each turn, for minilm:rte; others get what takes about as long (default: 6)",
    )
    parser.add_argument("--repeats", type=COUNT, default=3, help="turns (default: 3)")
    parser.add_argument(
        "--output_dir",
        default="checkpoints/benchmark",
        help="folder for what is written (default: checkpoints/benchmark)",
    )
    options = parser.parse_args()

    import growth
    import starts
    from compare import compare, machine, to_markdown

    from mt_dnn.runtime.machine import choose_device, choose_precision, save_time

    save_time()
    device = choose_device(options.device)
    precision = choose_precision(options.precision, device)
    compared = {}
    for name in options.on:
        shape, texts = name.split(":")
        compared[name] = compare(shape, texts, device, precision, options.batches, options.repeats, SPARSITIES)
    print("commands", flush=True)
    commands = starts.measure(device, options.repeats)
    print("growth", flush=True)
    found = {
        "machine": machine(device, precision),
        "repeats": options.repeats,
        "compared": compared,
        "commands": commands,
        "growth": growth.measure(device, precision, 32, options.repeats),
    }

    output, table = Path(options.output_dir), to_markdown(found)
    write_json(output / "benchmark.json", found)
    with write_whole(output / "benchmark.md") as file:
        file.write(table)
    with write_whole(output / "growth.png", "wb") as file:
        growth.draw(found["growth"]).savefig(file, format="png", dpi=110)
    print(f"{table}\nwritten: {output}/benchmark.md, benchmark.json, growth.png")


if __name__ == "__main__":
    open_door(main)
