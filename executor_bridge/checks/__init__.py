"""What the checks conclude from what was read. Pure, total: must never ask the cluster, the log or a clock."""
