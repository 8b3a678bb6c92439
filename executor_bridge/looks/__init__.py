"""What each check reads, and in which order. Must never judge: that is for `executor_bridge.checks`."""
