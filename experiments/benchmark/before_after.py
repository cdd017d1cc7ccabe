"""Print two measurements of one machine side by side: before and after a change.

Both are benchmark.json of benchmark.py; for the first one, --checkout names a checkout of the earlier commit.
"""

from typing import Any

from data_utils.check import TEXT, check, fields, list_of
from data_utils.cli import run_main
from data_utils.errors import UserError
from data_utils.json_file import read_json
from mt_dnn.flags.parser import Parser


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("before", help="benchmark.json of the earlier commit")
    parser.add_argument("after", help="benchmark.json of the later commit")
    options = parser.parse_args()

    from experiments.benchmark.table import side_by_side

    before, after = measurement(options.before), measurement(options.after)
    for key in ("device", "has"):
        if before["machine"][key] != after["machine"][key]:
            raise UserError(
                f"{options.after}: machine.{key}: {after['machine'][key]}, expected {before['machine'][key]} as in "
                f"{options.before}"
            )
    print(side_by_side(before, after), end="")


def measurement(path: str) -> dict[str, Any]:
    """Read what benchmark.py wrote; raise UserError for another file."""
    found = read_json(path, "a measurement")
    machine = fields({"device": TEXT, "has": list_of(TEXT)}, others=True)
    check(fields({"machine": machine, "compared": fields({}, others=True)}), found, path)
    return found


if __name__ == "__main__":
    run_main(main)
