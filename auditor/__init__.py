"""Writes every message of the log into PostgreSQL, and tells what it learned of the actions. Nobody waits for it."""
