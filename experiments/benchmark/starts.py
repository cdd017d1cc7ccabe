"""Measure how long commands take to answer, how long train.py takes to start, and what prepro.py takes.

Prints the numbers and writes them as starts.json. Texts and weights are made up.
"""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from data_utils.cli import run_main
from data_utils.json_file import write_json
from mt_dnn.flags.flag import COUNT
from mt_dnn.flags.parser import Parser

COMMANDS = [
    "prepro.py",
    "train.py",
    "rewind.py",
    "construct_mtl_mask.py",
    "-m mt_dnn.reports",
    "-m mt_dnn.reports.multi_task",
]


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--repeats", type=COUNT, default=3, help="times that each is measured (default: 3)")
    parser.add_argument(
        "--output_dir", default="checkpoints/benchmark", help="folder for starts.json (default: checkpoints/benchmark)"
    )
    options = parser.parse_args()
    found = measure(options.repeats)
    for what, value in found.items():
        print(f"{what}: {value:g}")
    write_json(Path(options.output_dir) / "starts.json", found)


def measure(repeats: int) -> dict[str, float]:
    """Return {what: value}: seconds are medians over `repeats`, memory is the largest."""
    import numpy as np

    from experiments.benchmark.commands import seconds_until, timed
    from experiments.benchmark.made_up import lengths_like, make_encoder, make_tokenizer, write_texts

    def median(rounds: Iterable[tuple[float, float]]) -> float:
        return float(np.median([seconds for seconds, _ in rounds]))

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_tokenizer().save_pretrained(folder / "encoder")
        make_encoder("minilm").save_pretrained(folder / "encoder")
        lengths = lengths_like("sst")
        for name, rows in (("all", len(lengths)), ("quarter", len(lengths) // 4), ("few", 32)):
            write_texts(folder, name, lengths[:rows], lengths[:100])
        encoder = ("--init_checkpoint", folder / "encoder")

        def prepro(name: str, data: str) -> tuple[float, float]:
            task = ("--task_def", folder / f"{name}.yml")
            return timed("prepro.py", "--raw_dir", folder, "--data_dir", folder / data, *task, *encoder)

        found = {
            f"{command} --help, seconds": median(timed(*command.split(), "--help") for _ in range(repeats))
            for command in COMMANDS
        }
        rounds = [(prepro("all", f"data_{number}"), prepro("quarter", f"data_{number}")) for number in range(repeats)]
        found["prepro.py, 67349 rows like SST-2's, seconds"] = median(whole for whole, _ in rounds)
        found["prepro.py, 67349 rows like SST-2's, peak MB"] = max(peak for (_, peak), _ in rounds)
        found["prepro.py, a quarter of them, peak MB"] = max(peak for _, (_, peak) in rounds)
        prepro("few", "data")
        task = ("--data_dir", folder / "data", "--task_def", folder / "few.yml", "--train_datasets", "few")
        one_row = ("--batch_size", 1, "--log_per_updates", 1)  # so that the first update itself takes no time
        train = ("train.py", "--do_train", *task, *encoder, *one_row)
        found["train.py, MiniLM, start to first update, seconds"] = float(
            np.median(
                [seconds_until("update 1/", *train, "--output_dir", folder / str(number)) for number in range(repeats)]
            )
        )
    return {what: round(value, 2) for what, value in found.items()}


if __name__ == "__main__":
    run_main(main)
