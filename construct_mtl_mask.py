"""Merge the super tickets of several tasks into one mask (tickets sharing); rewind.py trains them in one encoder."""

from pathlib import Path

from data_utils.cli import run_main
from data_utils.errors import UserError
from mt_dnn.flags.commands import MergeOptions
from mt_dnn.flags.parser import parse_options


def main() -> None:
    (options,) = parse_options(__doc__, MergeOptions)

    from mt_dnn.tickets.criteria import criterion_named
    from mt_dnn.tickets.masks import refuse_to_replace, write_mask
    from mt_dnn.tickets.super_tickets import merge_masks, read_super_tickets, weights_table
    from mt_dnn.tickets.ticket import TICKET_KINDS

    if options.kind not in TICKET_KINDS:
        raise UserError(f"--kind {options.kind}: no such kind of tickets, expected one of {', '.join(TICKET_KINDS)}")

    if options.criterion:
        criterion_named(options.criterion)

    checkpoints = Path(options.checkpoints or f"checkpoints/bert-{options.model}-uncased")
    chosen_by = {"criterion": options.criterion} if options.criterion else {}
    found = read_super_tickets(options.super_tickets or [f"experiments/glue/super_tickets_{options.model}.yml"])
    super_tickets = {task: ticket._replace(**chosen_by) for task, ticket in found.items() if ticket}
    missing = ", ".join(task for task in found if task not in super_tickets)
    if not super_tickets:
        raise UserError(f"no super ticket for {missing or 'any task'} (see the report), expected one at least")
    mask = merge_masks(checkpoints, super_tickets, options.kind)
    output = Path(options.output or checkpoints / "mtdnn" / "masks" / mask.folder(mask.tickets) / "super_tickets.json")
    refuse_to_replace(output)
    write_mask(output, mask)

    print(weights_table(mask))
    print(f"mask: {output}")
    if missing:
        print(
            f"left out, without a super ticket (see the report): {missing}; "
            "take it out of TASK in scripts/train_mtdnn.sh, too"
        )


if __name__ == "__main__":
    run_main(main)
