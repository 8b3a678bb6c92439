"""The only reader of the two resources: turns their versions into change messages on the log, and decides nothing."""
