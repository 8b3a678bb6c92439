"""Contracts only: resources, actions, messages, subjects. Imports nothing of ours and connects to nothing."""
