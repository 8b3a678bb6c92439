"""The run that shows whether a program that reads the public events behaves: `kubernaut conformance --command CMD`."""
