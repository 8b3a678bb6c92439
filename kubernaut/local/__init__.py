"""Real NATS, PostgreSQL and Kubernetes on this machine, and the services on top, for people, tests and benchmarks.

Nothing here decides anything about workflows.
"""
