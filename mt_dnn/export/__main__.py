"""Export the model of a finished run, one per task with its ticket taken out: python -m mt_dnn.export RUN --format dense|compact|onnx."""

from pathlib import Path

from data_utils.door import open_door
from data_utils.errors import UserError
from data_utils.run_folder import RunFolder
from mt_dnn.config import ExportOptions, parse_options


def main():
    (options,) = parse_options(__doc__, ExportOptions)

    from data_utils.saved_tasks import read_saved_tasks
    from mt_dnn.export.classifier import model_folder
    from mt_dnn.export.formats import export, refuse_to_replace

    folder = model_folder(options.run)
    run, tasks = RunFolder(folder.parent), read_saved_tasks(folder).tasks
    if not options.output and folder.name != run.model.name:
        raise UserError(f"{folder}: not the folder of a run, expected --output, to say where the export goes")
    output = Path(options.output or run.exports / options.format)
    places = {name: output / name if len(tasks) > 1 else output for name in tasks}
    for place in places.values():
        refuse_to_replace(place, folder)
    for name, place in places.items():
        table = export(folder, name, options.format, place)
        print(f"{place}: {name}, {options.format}\n\n{table}", flush=True)


if __name__ == "__main__":
    open_door(main)
