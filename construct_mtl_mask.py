"""Merge super tickets of several tasks into one mask; rewind.py trains them in a shared encoder (tickets sharing)."""

from pathlib import Path

from data_utils.door import open_door
from data_utils.errors import UserError
from data_utils.run_folder import RunFolder
from mt_dnn.config import MergeOptions, parse_options


def main():
    (options,) = parse_options(__doc__, MergeOptions)

    from mt_dnn.tickets.masks import write_mask
    from mt_dnn.tickets.super_tickets import merge_masks, read_super_tickets, weights_table

    checkpoints = Path(options.checkpoints or f"checkpoints/bert-{options.model}-uncased")
    counts = read_super_tickets(options.super_tickets or [f"experiments/glue/super_tickets_{options.model}.yml"])
    missing = [task for task, own in counts.items() if own is None]
    if len(missing) == len(counts):
        raise UserError(f"no super ticket for {', '.join(missing)} (see the report), expected one for a task at least")
    mask = merge_masks(
        {
            task: RunFolder(checkpoints / task).mask(options.kind if any(own) else "dense", *own)
            for task, own in counts.items()
            if own is not None
        },
        options.kind,
    )
    output = Path(options.output or checkpoints / "mtdnn" / "masks" / options.kind / "super_tickets.json")
    write_mask(output, mask)

    print(weights_table(mask))
    if missing:
        print(f"left out, as there is no super ticket for it (see the report): {', '.join(missing)}")
    print(f"mask: {output}")


if __name__ == "__main__":
    open_door(main)
