"""Recorded runs: reading them, looking at them, deciding them again, asking what would have been. Acts on nothing."""
