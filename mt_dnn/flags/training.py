"""Flags that train.py and rewind.py share: what decides the outcome of a run, and on which machine it is computed."""

from dataclasses import dataclass

from data_utils.errors import UserError
from mt_dnn.flags.flag import COUNT, flag, fractions, names, number, path


@dataclass(kw_only=True)
class DataOptions:
    """Data."""

    data_dir: str = flag(
        "data/tokenized/bert-base-uncased", "folder of the tokenized splits that prepro.py wrote", type=path
    )
    task_def: str = flag("experiments/glue/glue_task_def.yml", "YAML file that describes the tasks", type=path)
    train_datasets: list[str] = flag(
        None,
        "task to train on, or several tasks, separated by commas, that share one encoder",
        type=names,
        required=True,
    )
    test_datasets: list[str] | None = flag(
        None,
        "dev sets to evaluate on, separated by commas, such as mnli_matched,mnli_mismatched "
        "(default: all dev sets of the tasks)",
        type=names,
    )
    holdout: float = flag(
        0.0,
        "fraction of each task's training rows to hold out. These rows are drawn at random, the same for all seeds. "
        "No run trains on them; every run is evaluated on them as on dev, so that a super ticket can be chosen "
        "without dev",
        type=number(float, 0, 0.9),
    )
    train_fraction: float | list[float] = flag(
        1.0,
        "fraction of each task's training rows to train on (of those that are not held out), drawn from the seed. "
        "With one seed, a larger fraction has all rows of a smaller one. One number for all tasks, or one for each, "
        "separated by commas, in the order of --train_datasets",
        type=fractions,
    )

    def __post_init__(self) -> None:
        if isinstance(self.train_fraction, list) and len(self.train_fraction) != len(self.train_datasets):
            raise UserError(
                f"--train_fraction: {len(self.train_fraction)} numbers, expected one, "
                f"or {len(self.train_datasets)}, as many as --train_datasets has tasks"
            )

    def fraction_of(self, task: str) -> float:
        """Return the fraction of the training rows of `task` to use."""
        if not isinstance(self.train_fraction, list):
            return self.train_fraction
        return self.train_fraction[self.train_datasets.index(task)]


@dataclass(kw_only=True)
class ModelOptions:
    """Model."""

    init_checkpoint: str = flag(
        "bert-base-uncased",
        "pre-trained encoder: a hub name, or a local folder in the hub's format: BERT, RoBERTa, XLM-R, "
        "ELECTRA or MPNet (mt_dnn/encoders/families.py)",
        type=path,
    )
    encoder_dropout: float = flag(
        0.1, "dropout in the encoder, on hidden states and on attention weights", type=number(float, 0, 0.99)
    )


@dataclass(kw_only=True)
class OptimizationOptions:
    """Optimization."""

    epochs: int = flag(3, "passes over the training rows", type=COUNT)
    batch_size: int = flag(
        32, "rows per batch. A batch has rows of one task; several processes share its rows", type=COUNT
    )
    grad_accumulation_step: int = flag(1, "batches per update of the weights", type=COUNT)
    optimizer: str = flag("adamax", "optimizer: a name in mt_dnn/training/optim.py; the weight decay is decoupled")
    learning_rate: float = flag(5e-5, "learning rate at its peak, after the warm-up", type=number(float, 0, above=True))
    weight_decay: float = flag(0.01, "weight decay; biases and LayerNorm weights do not decay", type=number(float, 0))
    warmup: float = flag(
        0.1,
        "fraction of the updates in which the learning rate grows linearly from 0 to its peak. Then it falls linearly "
        "to 0",
        type=number(float, 0, 1),
    )
    global_grad_clipping: float = flag(
        1.0, "clip the gradient to this norm, over all weights", type=number(float, 0, above=True)
    )


@dataclass(kw_only=True)
class MachineOptions:
    """Machine and log (these change results by rounding, precision and dropout's random numbers alone)."""

    device: str = flag("auto", "where to compute; auto is the GPU if there is one", choices=["auto", "cuda", "cpu"])
    precision: str = flag(
        "auto",
        "what the encoder's layers compute in: bfloat16 or float32. auto is bfloat16 where the hardware multiplies it "
        "much faster (most GPUs, some CPUs). Pooler, task heads, loss and importance are always in float32",
        choices=["auto", "bfloat16", "float32"],
    )
    plain: bool = flag(
        False,
        "for comparison: compute the same in the simplest way, more slowly, with encoder, dropout and embedding of "
        "transformers, whole batches, and torch's autocast",
    )
    evaluate_every: int = flag(
        1,
        "evaluate dev sets and held-out rows every this many epochs, and after the last one. Where few rows are "
        "trained on, evaluation takes much of the time",
        type=COUNT,
    )
    batch_size_eval: int = flag(64, "rows per batch in evaluation", type=COUNT)
    tokens_at_once: int = flag(
        0,
        "compute a batch in parts of at most this many tokens, padding included, to save memory. 0 is 2048 on a CPU "
        "and 8192 on a GPU",
        type=number(int, 0),
    )
    log_per_updates: int = flag(20, "write a line of the log after this many updates", type=COUNT)
    checkpoint_minutes: float = flag(
        10.0,
        "write a checkpoint after this many minutes, together with the next line of the log. At the end of an epoch "
        "one is written if the last is at least a tenth of this time old. On a slow disk they are rarer: writing them "
        "takes 5 %% of the time at most",
        type=number(float, 0),
    )
