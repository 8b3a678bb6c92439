"""The trace of a recorded run, made of its messages: the same spans that the services send. Acts on nothing."""
