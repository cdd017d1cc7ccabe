"""Print two measurements of one machine side by side: before and after a change.

Both are benchmark.json of benchmark.py; for the first one, --checkout names a checkout of the earlier commit.
"""

from data_utils.cli import run_main
from data_utils.json_file import read_json
from mt_dnn.flags.parser import Parser


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("before", help="benchmark.json of the earlier commit")
    parser.add_argument("after", help="benchmark.json of the later commit")
    options = parser.parse_args()

    from experiments.benchmark.table import side_by_side

    print(side_by_side(*(read_json(path, "a measurement") for path in (options.before, options.after))), end="")


if __name__ == "__main__":
    run_main(main)
