"""Load beyond capacity. A package, so that its system ends with it."""
