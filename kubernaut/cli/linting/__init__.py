"""Every error of a workflow file at once, each at its line and column. Pure: text in, findings out."""
