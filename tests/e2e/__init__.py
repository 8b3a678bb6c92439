"""The whole system from outside. A package, so that its system ends with it."""
