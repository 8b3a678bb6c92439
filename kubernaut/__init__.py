"""The command line and the local stack of kubernaut-workflow; no service imports from here."""
