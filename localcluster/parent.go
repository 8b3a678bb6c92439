package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

const (
	// parentVariable names the process that this one must not outlive.
	parentVariable = "LOCALCLUSTER_PARENT_PID"
	parentPoll     = time.Second
)

// followParent ends this process soon after its parent is gone, on systems with and without a death signal.
//
// An empty pid means that nobody is to be followed.
func followParent(pid string) error {
	if pid == "" {
		return nil
	}
	parent, err := strconv.Atoi(pid)
	if err != nil || parent <= 0 {
		return fmt.Errorf("%s=%q is not a process id; give the pid of the parent or leave it out", parentVariable, pid)
	}
	go func() {
		for os.Getppid() == parent {
			time.Sleep(parentPoll)
		}
		// The data directory is written by transactions, so there is nothing to put in order first.
		fmt.Fprintf(os.Stderr, "localcluster: parent %d is gone, ending\n", parent)
		os.Exit(1)
	}()
	return nil
}
