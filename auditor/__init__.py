"""Writes every message of the log into PostgreSQL, and nothing else. No other service waits for it."""
