"""Hostile input. A package, so that its system ends with it."""
