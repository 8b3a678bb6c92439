"""The executor bridge: carries out the commands of the decisions; the only writer to the cluster."""
