"""What goes wrong, for the reader: one line saying what is wrong, where, and what would be right."""


class UserError(Exception):
    """Something the reader can mend: one line saying what is wrong, where, and what would be right."""


class RunFailed(UserError):
    """A run that can't be done, as memory is full; others may do better."""


class Diverged(RunFailed):
    """A run whose loss is no number, nor would it be one from any of its checkpoints."""
