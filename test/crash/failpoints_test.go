package crash

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"runa/test/harness"
	"runa/test/runatest"
)

// scenario is the work during which a process dies at a point.
type scenario struct {
	// point is the failpoint, with "#N" for the N-th time.
	point string
	// tool is what the messages make the model call.
	tool string
	// messages of one session are sent at once; 0 gives the site to crawl.
	messages int
	// deliveries and unknown are of the one call: how often the tool saw it,
	// and whether nobody can tell what came of it.
	deliveries int
	unknown    bool
}

// toolSent is no point of the program: the tool itself kills its caller.
const toolSent = "tool sent"

var scenarios = []scenario{
	{point: "chat received", tool: harness.CreateTicket, messages: 1, deliveries: 1},
	{point: "turn started", tool: harness.CreateTicket, messages: 1, deliveries: 1},
	{point: "turn opened", tool: harness.CreateTicket, messages: 1, deliveries: 1},
	{point: "chat accepted", tool: harness.CreateTicket, messages: 1, deliveries: 1},
	{point: "think sent", tool: harness.CreateTicket, messages: 1, deliveries: 1},
	{point: "think answered", tool: harness.RefundOrder, messages: 1, deliveries: 1},
	{point: "think stored", tool: harness.RefundOrder, messages: 1, deliveries: 1},
	{point: "call claimed", tool: harness.FindUser, messages: 1, deliveries: 1},
	{point: "call claimed", tool: harness.CreateTicket, messages: 1, deliveries: 1},
	{point: "call claimed", tool: harness.RefundOrder, messages: 1, deliveries: 0, unknown: true},
	{point: toolSent, tool: harness.CreateTicket, messages: 1, deliveries: 2},
	{point: toolSent, tool: harness.RefundOrder, messages: 1, deliveries: 1, unknown: true},
	{point: "tool answered", tool: harness.FindUser, messages: 1, deliveries: 2},
	{point: "tool answered", tool: harness.CreateTicket, messages: 1, deliveries: 2},
	{point: "tool answered", tool: harness.RefundOrder, messages: 1, deliveries: 1, unknown: true},
	{point: "tool stored", tool: harness.CreateTicket, messages: 1, deliveries: 1},
	{point: "tool stored", tool: harness.RefundOrder, messages: 1, deliveries: 1},
	{point: "think sent#2", tool: harness.RefundOrder, messages: 1, deliveries: 1},
	{point: "think stored#2", tool: harness.RefundOrder, messages: 1, deliveries: 1},
	{point: "turn closed", tool: harness.RefundOrder, messages: 1, deliveries: 1},
	{point: "turn closed", tool: harness.CreateTicket, messages: 3, deliveries: 1},
	{point: "batch stamped", tool: harness.CreateTicket, messages: 1, deliveries: 1},
	{point: "batch sent", tool: harness.CreateTicket, messages: 1, deliveries: 1},
	{point: "batch acknowledged", tool: harness.CreateTicket, messages: 1, deliveries: 1},
	{point: "source created"},
	{point: "page indexed"},
	{point: "page indexed#7"},
	{point: "page recorded#7"},
	{point: "crawl finished"},
}

// TestFailpoints lets the program die once at each of its points and sees that
// the next process ends what the first began.
func TestFailpoints(t *testing.T) {
	for _, s := range scenarios {
		name := strings.TrimRight(s.point+", "+s.tool, ", ")
		if s.messages > 1 {
			name += ", others queued"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.run(t)
		})
	}
}

func (s scenario) run(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	w := newWorld(t, 0, harness.NewSite(t, 12, 0))
	first := s.startDoomed(w)
	require.NoError(t, w.Register(ctx))
	var clients errgroup.Group
	clients.Go(func() error { return s.work(ctx, w) })
	select {
	case <-first.Exited():
	case <-ctx.Done():
		t.Fatal("the process did not come to the point")
	}
	code, _ := first.Stop()
	require.Equal(t, -1, code, "the process was killed, and by itself: %s", harness.Tail(first.Log()))
	w.fell()
	died := w.died
	w.start(0)
	require.NoError(t, clients.Wait())
	w.Await()
	if w.Source != "" {
		w.AwaitCrawl()
	}
	ended := time.Since(died)
	f := w.prove()
	if s.messages > 0 {
		require.Equal(t, s.messages*s.deliveries, f.Deliveries, "deliveries")
		require.Equal(t, s.unknown, f.Unknown == s.messages, "outcome unknown")
	}
	t.Logf("ready after %s, ended %s after the death; %s", w.starts[1].Round(time.Millisecond), ended.Round(time.Millisecond), f)
}

// startDoomed starts the process that will die at the point.
func (s scenario) startDoomed(w *world) *runatest.Runa {
	if s.point != toolSent {
		r, _ := w.start(0, "RUNA_FAILPOINT="+s.point)
		return r
	}
	r, _ := w.start(0)
	w.Tools.AtNextCall(r.Kill)
	return r
}

// work is what a client does, or a few.
func (s scenario) work(ctx context.Context, w *world) error {
	if s.messages == 0 {
		return w.Crawl(ctx)
	}
	w.AddSession(s.messages, func(int) *harness.Message {
		m := w.NewMessage(s.tool, 1)
		m.Wait = 60
		if s.messages > 1 {
			m.Wait = 0 // the next one waits for its place
		}
		return m
	})
	for _, m := range w.Messages() {
		if err := w.Send(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

var failpoint = regexp.MustCompile(`\.Fail\("([^"]+)"\)`)

// TestEveryFailpoint finds the points in the source and sees that each has a
// scenario.
func TestEveryFailpoint(t *testing.T) {
	t.Parallel()
	var points []string
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range failpoint.FindAllSubmatch(text, -1) {
			points = append(points, string(m[1]))
		}
		return err
	})
	require.NoError(t, err)
	slices.Sort(points)
	var covered []string
	for _, s := range scenarios {
		if point, _, _ := strings.Cut(s.point, "#"); point != toolSent {
			covered = append(covered, point)
		}
	}
	slices.Sort(covered)
	require.Equal(t, points, slices.Compact(covered), "failpoints in the source, and those with a scenario")
}
