"""`kubernaut doctor`: says what is wrong with an installation, why it matters and how to mend it. Changes nothing."""
