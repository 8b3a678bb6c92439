"""What every service stands on: the bus, the cluster, settings, logs, health, metrics, shutdown. Decides nothing."""
