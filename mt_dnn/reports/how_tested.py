"""What the pages say of their tests, and of the correction of p-values."""

HELD_OUT_ROWS = """
Held-out rows are training rows that a task's runs used neither to train nor to score heads and FFNs. (In one encoder,
or under another task's ticket, the other task may have trained on the same text.) Differences on them show the same
runs on other rows; they decide nothing.
"""

PHASE_TRANSITION = f"""
Every test is a paired t-test over seeds, two-sided: is the mean of the differences zero? The runs of a seed are pairs,
as they share the training rows (drawn by the seed, if a task trains on a part of them) and the first weights of the
task head. With fewer than two shared seeds, or the same difference with every seed, there is no test. If runs are
missing, the test takes seeds and sizes that leave no gap, those for which (seeds - 1) x sizes is largest. Tests and
intervals cover what varies with the seed, not which rows happen to be in dev, nor which tasks were taken. They suppose
that the differences of seeds are normally distributed; a test without this supposition (flipping signs) cannot give a p
below 0.0625 with five seeds. Seeds that rewound the same masks (`rewind.py --seeds`) do not vary the choice of tickets.
Intervals are 95 % and not corrected; p-values are corrected by Holm's method, as follows. A comparison without a test
counts as p = 1 there.

A ticket to the dense model: corrected for the sizes of one kind of ticket on one task; there, all tickets by other
criteria than the main one count as one kind, and all tickets of other tasks. Winning tickets over all tasks: corrected
for the sizes.

A hypothesis on one task has one difference per seed. H1: the winning ticket of the size that the other seeds choose on
their held-out rows, minus the dense model. (If a seed chose by its own rows, the luck of its best run would count as a
gain. Two seeds share most of those that choose for them, so H1's differences are not quite independent.) H2 and H3: the
mean score of the one kind minus that of the other, over the sizes that both have. Corrected for the tasks.

A hypothesis over all tasks is decided by the mean of these differences over the tasks, one number for each seed that
all of them have; corrected for the hypotheses of this page in which a task takes part. It is confirmed if the corrected
p is below 0.05 and the difference above zero, refuted if p is below 0.05 and the difference below zero, and else not
distinguishable from noise.

The questions which criterion is better and whether tickets transfer are tested like the hypotheses, and corrected for
the questions of their section.

Parts of one task's rows (`--train_fraction`) count as tasks of their own.

A task takes no part where the dense model is not better than the baseline, which gives every row the most frequent
label, or the mean. It is better if one metric at least is above the baseline's by more than the sampling error of the
dev rows, and none is that much below. An F1 whose baseline is 0 counts only if it is the only metric.
{HELD_OUT_ROWS}H1 has none, as these rows choose its tickets.
"""

MULTI_TASK = f"""
Every test is a paired t-test over seeds, two-sided: is the mean of the differences zero? With fewer than two shared
seeds, or the same difference with every seed, there is no test. Tests and intervals cover what varies with the seed,
not which rows happen to be in dev. They suppose that the differences of seeds are normally distributed; a test without
this supposition (flipping signs) cannot give a p below 0.0625 with five seeds. Seeds that trained one and the same mask
do not vary the choice of tickets, nor the draw of random ones. Intervals are 95 % and not corrected; p-values are
corrected by Holm's method, in which a comparison without a test counts as p = 1.

The Avg Score against that of MT-DNN is corrected for all rows of the encoder. It decides on H4, which is confirmed if
the corrected p is below 0.05 and the difference above zero, refuted if p is below 0.05 and the difference below zero,
and else not distinguishable from noise. The scores of single tasks are corrected for the tasks of a row. The control
compares winning tickets in the same way with other kinds of the same mask that close as many heads and FFNs, and are
shared in the same way. The average without a task is that of the other tasks. It shows how much one task decides, and
is no test. A task counts also where MT-DNN is not better than the baseline.
{HELD_OUT_ROWS}If held-out rows chose the super tickets (`super_tickets_held_out.yml`), differences on these rows favour
them.
"""
