"""A rolling restart of everything."""
