"""The way back after the broker lost its memory: what is known of each run, and what may go on (docs/recovery.md)."""
