-- ensure_partitions: makes the partitions that will be needed and empties DEFAULT; gives the names of the new ones.
SELECT audit_ensure_partitions()
