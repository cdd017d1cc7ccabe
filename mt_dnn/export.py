"""Export the model of a finished run, one per task with its ticket taken out: python -m mt_dnn.export RUN --format dense|compact|onnx."""

from pathlib import Path

from data_utils.files import RunFolder, open_door
from mt_dnn.config import ExportOptions, parse_options


def main():
    (options,) = parse_options(__doc__, ExportOptions)

    from data_utils.saved_tasks import read_saved_tasks
    from mt_dnn.classifier import model_folder
    from mt_dnn.formats import export
    folder = model_folder(options.run)
    output, tasks = Path(options.output or RunFolder(options.run).exports / options.format), read_saved_tasks(folder).tasks
    for name in tasks:
        place = output / name if len(tasks) > 1 else output
        table = export(folder, name, options.format, place)
        print(f"{place}: {name}, {options.format}\n\n{table}", flush=True)


if __name__ == "__main__":
    open_door(main)
