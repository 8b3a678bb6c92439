"""Measures what the product does beside a floor: the same API writes from one bare client, in the same run.

Nothing of the product imports it, and no test depends on a figure of it.
"""
