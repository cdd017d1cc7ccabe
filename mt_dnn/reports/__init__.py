"""What the runs show: tables, figures, super tickets. The files, in the order in which to read them:

comparison, wording           a paired t-test over seeds, Holm's correction; how numbers are written
points, gather, baseline      runs of one task become Points (a ticket over its seeds) and a Transition (its points)
rows                          runs of several tasks become ModelRows
pairing                       over which seeds, sizes and tasks two sides are compared
choice, hypotheses            super ticket and phase boundary; H1 to H3
sentences, how_tested         the same in words
page                          blocks, and the files that they become
contents                      the blocks of report.html, from decisions, all_tasks, compare_criteria, transfer, overlap,
                              importances, failures and figures
multi_task_contents           those of multi_task.html, with score_table
table_csv, domain_adaptation  report.csv; the table of domain adaptation
"""
