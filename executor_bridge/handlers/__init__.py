"""One small module a verb: gather, act, tell. Each may be killed at any await and repeated by anybody."""
