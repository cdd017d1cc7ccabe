"""What the runs show: tables, figures, super tickets."""
