package main

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// failpoint returns what the program calls at its named points. With the value
// "NAME" or "NAME#N" the process kills itself, as kill -9 would, when it comes
// to the point for the first or the Nth time.
func failpoint(value string) func(point string) {
	if value == "" {
		return nil
	}
	name, count, found := strings.Cut(value, "#")
	nth := int64(1)
	if n, err := strconv.ParseInt(count, 10, 64); found && err == nil {
		nth = n
	}
	var seen atomic.Int64
	return func(point string) {
		if point == name && seen.Add(1) == nth {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // nothing happens any more
		}
	}
}
