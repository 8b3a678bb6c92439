"""Stale and unobserved state. A package, so that its system ends with it."""
