"""The Python client for the public events: `from kubernaut import subscribe`. No service imports from here."""
