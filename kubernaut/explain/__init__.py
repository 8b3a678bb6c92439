"""Why a run is where it is: what keeps it waiting, what led there, and the messages that prove it. Acts on nothing."""
