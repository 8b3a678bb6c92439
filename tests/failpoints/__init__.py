"""Crashes at every effect. A package, so that its system ends with it."""
