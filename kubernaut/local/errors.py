"""What can go wrong with the local stack, as errors that a person can act on."""


class LocalStackError(Exception):
    """The local stack cannot do what was asked; the text says what is wrong, where, and what to do next."""


class AlreadyRunningError(LocalStackError):
    """A stack of the same name holds the lock of its directory."""


class NotReadyError(LocalStackError):
    """A process ended or stayed silent before it was ready; the text ends with its last log lines."""
