"""The audit for the person who asks: is it whole, who did what, give me a copy, make it again."""
