"""Flags that one command alone has."""

from dataclasses import dataclass
from pathlib import Path

from mt_dnn.flags.flag import COUNT, SEED, flag, name, names, number, path
from mt_dnn.run_folder import DEFAULT_CRITERION


@dataclass(kw_only=True)
class PreproOptions:
    """What to tokenize."""

    raw_dir: str = flag("data/glue", "folder of the raw files, as download.sh lays them out", type=path)
    data_dir: str = flag("data/tokenized/bert-base-uncased", "folder to write the tokenized splits to", type=path)
    task_def: str = flag("experiments/glue/glue_task_def.yml", "YAML file that describes the tasks", type=path)
    tasks: list[str] | None = flag(
        None, "tokenize only these tasks, separated by commas (default: all tasks of the YAML file)", type=names
    )
    init_checkpoint: str = flag(
        "bert-base-uncased", "encoder whose tokenizer to use: a hub name or a local folder", type=path
    )
    max_seq_len: int = flag(
        512, "cut rows to this many tokens, special tokens included", type=number(int, 8, 2**31 - 1)
    )
    skip_bad_rows: bool = flag(False, "drop and count bad rows; without it a split with a bad row is not tokenized")


@dataclass(kw_only=True)
class MaskOptions:
    """Importance and masks."""

    criterion: str = flag(
        DEFAULT_CRITERION,
        "how heads and FFNs are scored: a name in mt_dnn/tickets/criteria.py, where each is explained; the default is "
        "the paper's equation",
    )
    sparsities: list[str] = flag(
        [f"{percent / 100:.2f}" for percent in range(5, 101, 5)],
        "write masks at these sparsities, the fraction of the heads and of the FFNs that is closed. 0.30:0.25 closes "
        "30 %% of the heads and 25 %% of the FFNs",
        nargs="+",
    )
    min_heads_per_layer: int = flag(
        1, "keep at least this many heads open in every layer, those that would be closed last", type=COUNT
    )


@dataclass(kw_only=True)
class TrainOptions:
    """Steps and output of train.py."""

    output_dir: str = flag(
        None, "folder to write the model, the importance scores, the masks and the log to", type=path, required=True
    )
    seed: int = flag(
        2018,
        "seed of the task head, dropout, the rows that --train_fraction draws, their order, and random masks",
        type=SEED,
    )
    do_train: bool = flag(False, "fine-tune the model; skipped if it is finished")
    do_mask: bool = flag(
        False, "score heads and FFNs with the fine-tuned model, and write masks of every kind of ticket"
    )
    skip_locked: bool = flag(
        False,
        "if another process does this run, do not wait for it, but end with status 75: the scripts then take the "
        "next task or seed",
    )


@dataclass(kw_only=True)
class RewindOptions:
    """Tickets and output of rewind.py."""

    masks: list[str] = flag(
        None,
        "masks to rewind: files, folders with only masks in them, such as checkpoints/bert-base-uncased/rte/masks, or "
        "patterns such as 'masks/*/heads_1*.json'",
        nargs="+",
        type=path,
        required=True,
    )
    sparsities: list[str] | None = flag(
        None, "rewind only the masks at these sparsities, and the dense one (default: all masks)", nargs="+"
    )
    tickets_of: str | None = flag(
        None,
        "train the task under the tickets that the masks have for this other task (default: under its own tickets)",
        type=name,
    )
    output_dir: str = flag(
        None, "folder to write to; each ticket and seed gets a folder of its own below it", type=path, required=True
    )
    seeds: list[int] = flag([2018], "do one run per ticket and seed", nargs="+", type=SEED)
    parallel: str = flag(
        "batches",
        "what several processes (started by torchrun) share: the rows of every batch, or the runs, each done by one "
        "process",
        choices=["batches", "runs"],
    )
    keep_gates: bool = flag(
        False,
        "train the whole encoder with closed gates. Without this flag closed heads and FFNs are taken out of the "
        "weights: the same computation, faster, with other random numbers in dropout",
    )
    exact_sharing: bool = flag(
        False,
        "several tasks: leave the heads that a task's ticket closes exactly as they are in the task's updates. Without "
        "this flag the momentum of other tasks still moves them, as in the paper's code",
    )
    save_model: bool = flag(False, "keep the trained model of each run, for mt_dnn.export and mt_dnn.predict")


@dataclass(kw_only=True)
class MergeOptions:
    """Super tickets and output of construct_mtl_mask.py."""

    model: str = flag(
        "base",
        "BERT-base or BERT-large: sets the defaults of --super_tickets and --checkpoints",
        choices=["base", "large"],
    )
    super_tickets: list[str] | None = flag(
        None,
        "your own super tickets: files that give how many heads and FFNs each task's ticket closes, as the report "
        "writes them (default: experiments/glue/super_tickets_<model>.yml)",
        nargs="+",
        type=path,
    )
    checkpoints: str | None = flag(
        None,
        "folder with the output of train.py for every task (default: checkpoints/bert-<model>-uncased)",
        type=path,
    )
    kind: str = flag(
        "winning",
        "kind of the tickets to merge; random or losing ones of the same sizes are controls",
    )
    criterion: str | None = flag(
        None,
        "criterion of importance that chose the tickets, for all tasks (default: what the super tickets' file says); "
        "the numbers of heads and FFNs stay those of the file",
        type=name,
    )
    output: str | None = flag(
        None,
        "mask to write (default: <checkpoints>/mtdnn/masks/[<criterion>/]<kind>/super_tickets.json)",
        type=path,
    )


@dataclass(kw_only=True)
class ExportOptions:
    """What to export."""

    run: str = flag(
        None, "folder of a finished run: of train.py, or of rewind.py with --save_model", positional=True, type=path
    )
    file_format: str = flag(
        "zeroed",
        "zeroed: a checkpoint for plain transformers, in which closed heads and FFNs are zero. compact: a smaller and "
        "faster one without them, for load_classifier of mt_dnn.export.classifier. onnx: the compact model for "
        "onnxruntime",
        name="format",
        choices=["zeroed", "compact", "onnx"],
    )
    output: str | None = flag(
        None,
        "folder to write to; with several tasks, each gets a folder below it (default: <run>/export/<format>)",
        type=path,
    )


@dataclass(kw_only=True)
class PredictOptions:
    """What to predict."""

    runs: list[str] = flag(
        None,
        "folder of a finished run or of an export; several with --glue_format",
        name="run",
        positional=True,
        nargs="+",
        type=path,
    )
    task: str | None = flag(None, "task to predict, where the model has several")
    input: str | None = flag(
        None,
        "tab-separated file: the texts alone, or more columns and a header that names the columns of the texts "
        "(default: standard input)",
        type=path,
    )
    output: str | None = flag(None, "file to write (default: standard output)", type=path)
    device: str = flag("auto", "where to compute; auto is the GPU if there is one", choices=["auto", "cuda", "cpu"])
    precision: str = flag(
        "auto",
        "what the encoder's layers compute in; auto is what the run was trained and evaluated in (an export: float32)",
        choices=["auto", "bfloat16", "float32"],
    )
    glue_format: bool = flag(
        False, "predict GLUE's test sets of the models' tasks, and write them to --output as a zip for GLUE's server"
    )
    raw_dir: str = flag(
        "data/glue", "for --glue_format: folder of the raw files, as download.sh lays them out", type=path
    )
    task_def: str = flag(
        "experiments/glue/glue_task_def.yml", "for --glue_format: YAML file that describes the tasks", type=path
    )


@dataclass(kw_only=True)
class ReportOptions:
    """What to report."""

    folders: list[str] = flag(
        None,
        "folders of train.py and rewind.py, or of collected runs; searched through for what the report shows",
        name="dir",
        positional=True,
        nargs="+",
        type=path,
    )
    output_dir: str | None = flag(None, "folder for what is written (default: the first DIR)", type=path)

    @property
    def output(self) -> Path:
        """The folder for what is written."""
        return Path(self.output_dir or self.folders[0])


@dataclass(kw_only=True)
class CollectOptions:
    """What to collect."""

    runs: list[str] = flag(
        None,
        "folders of train.py and rewind.py, searched through for finished runs",
        positional=True,
        nargs="+",
        type=path,
    )
    output: str = flag(
        None,
        "folder for the records; new ones are added, and those of runs with the same name are replaced",
        type=path,
        required=True,
    )
