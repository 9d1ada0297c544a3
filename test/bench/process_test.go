package bench

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/test/runatest"
)

const (
	idle       = time.Minute
	loadTurns  = 10_000
	loadAtOnce = 16
)

// BenchmarkProcess measures the real program: its size, its start, its memory
// idle, before and after 10,000 turns, and what a turn leaves on the disk.
func BenchmarkProcess(b *testing.B) {
	for range b.N {
		dir := b.TempDir()
		first := runatest.Start(b, runatest.Options{Dir: dir})
		ask(b, first, "warm-up")
		code, _ := first.Stop()
		require.Zero(b, code)

		began := time.Now()
		r := runatest.Start(b, runatest.Options{Dir: dir})
		ask(b, r, "warm-up")
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "start-to-answer-ms")
		b.ReportMetric(megabytes(binarySize(b, r)), "binary-MB")

		time.Sleep(idle)
		before, beforeOwn, disk := resident(b, r, "VmRSS:"), resident(b, r, "RssAnon:"), folderSize(b, dir)
		load(b, r)
		grown := folderSize(b, dir) - disk
		time.Sleep(idle)
		b.ReportMetric(megabytes(before), "idle-MB")
		b.ReportMetric(megabytes(beforeOwn), "idle-own-MB")
		b.ReportMetric(megabytes(resident(b, r, "VmRSS:")), "idle-after-load-MB")
		b.ReportMetric(megabytes(resident(b, r, "RssAnon:")), "idle-after-load-own-MB")
		b.ReportMetric(megabytes(grown)/(loadTurns/1000), "disk-MB/1000-turns")
	}
}

func ask(b *testing.B, r *runatest.Runa, session string) {
	answer, err := r.Try(runatest.Request{Method: "POST", Path: "/v1/chat", Body: map[string]any{
		"sessionId": session, "message": "What does the Pro plan cost?",
	}})
	require.NoError(b, err)
	require.Equal(b, 200, answer.Status, "%s", answer.Body)
}

// load sends turns, ten to a conversation.
func load(b *testing.B, r *runatest.Runa) {
	began := time.Now()
	var all sync.WaitGroup
	for n := range loadAtOnce {
		all.Go(func() {
			for i := range loadTurns / loadAtOnce {
				ask(b, r, fmt.Sprintf("load-%d-%d", n, i/10))
			}
		})
	}
	all.Wait()
	b.ReportMetric(loadTurns/time.Since(began).Seconds(), "turns/s")
}

// resident is the memory of the process, in bytes, as Linux counts it: VmRSS
// is all of it, pages of the binary and of mapped files included, RssAnon what
// the process holds of its own.
func resident(b *testing.B, r *runatest.Runa, kind string) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.PID()))
	require.NoError(b, err)
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == kind {
			kilobytes, err := strconv.ParseInt(fields[1], 10, 64)
			require.NoError(b, err)
			return kilobytes << 10
		}
	}
	b.Fatalf("no %s in /proc", kind)
	return 0
}

func folderSize(b *testing.B, dir string) (size int64) {
	require.NoError(b, filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	}))
	return size
}

func binarySize(b *testing.B, r *runatest.Runa) int64 {
	info, err := os.Stat(fmt.Sprintf("/proc/%d/exe", r.PID()))
	require.NoError(b, err)
	return info.Size()
}

func megabytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }
