"""Export the model of a finished run, one per task, without the units that its ticket closes.

python -m mt_dnn.export RUN --format zeroed|compact|onnx
"""

from pathlib import Path

from data_utils.cli import run_main
from data_utils.errors import UserError
from mt_dnn.flags.commands import ExportOptions
from mt_dnn.flags.parser import parse_options
from mt_dnn.run_folder import RunFolder


def main() -> None:
    (options,) = parse_options(__doc__, ExportOptions)

    from mt_dnn.export.formats import export, refuse_to_replace
    from mt_dnn.export.saved_model import find_saved_model
    from mt_dnn.runtime.memory import memory_errors

    saved = find_saved_model(options.run)
    files = RunFolder(saved.folder.parent)
    if not options.output and saved.folder != files.model:
        raise UserError(f"{saved.folder}: not the folder of a run, expected --output, to say where the export goes")
    output = Path(options.output or files.exports / options.file_format)
    places = {name: output / name if len(saved.tasks) > 1 else output for name in saved.tasks}
    for place in places.values():
        refuse_to_replace(place, saved)
    for name, place in places.items():
        with memory_errors():
            table = export(saved, name, options.file_format, place)
        print(f"{place}: {name}, {options.file_format}\n\n{table}", flush=True)


if __name__ == "__main__":
    run_main(main)
