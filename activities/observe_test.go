package activities_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"

	"runa/activities"
	"runa/activities/activitiestest"
	"runa/llm"
	"runa/schemas"
	"runa/search"
	"runa/telemetry"
)

// observed has a bench tell a registry, and returns what that shows.
func observed(b *activitiestest.Bench) (scrape func() string) {
	registry := prometheus.NewRegistry()
	b.Observer = telemetry.NewObserver(telemetry.ObserverConfig{Metrics: registry})
	b.Activities = activities.New(b.Config)
	return func() string {
		w := httptest.NewRecorder()
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		return w.Body.String()
	}
}

func TestAFirstStepIsCountedOnce(t *testing.T) {
	t.Parallel()
	broken := true
	b := thinking(t, func(ctx context.Context, req *llm.Request) (*llm.Response, error) {
		if broken {
			return nil, &llm.Error{Code: schemas.RateLimited, Message: "slow down", Retryable: true}
		}
		return says("Hello.")(ctx, req)
	}, &index{search: func(context.Context, search.Query) ([]search.Match, error) { return nil, errors.New("index is broken") }})
	scrape := observed(b)
	know(t, b, "Plans cost 7 euros a month.")
	key := b.Opened(t, "s", "msg_1", "what do the plans cost?")
	_, err := think(t, b, key, 1)
	require.Error(t, err)
	broken = false
	for range 2 { // the second run finds the step stored
		_, err = think(t, b, key, 1)
		require.NoError(t, err)
	}
	text := scrape()
	for _, line := range []string{
		`runa_turn_first_step_seconds_count 1`, `runa_retrieval_seconds_count{outcome="degraded"} 1`,
		`runa_model_call_seconds_count{model="scripted",outcome="rate_limited"} 1`,
		`runa_model_call_seconds_count{model="scripted",outcome="ok"} 1`,
	} {
		require.Contains(t, text, line+"\n")
	}
}

func TestACanceledStepIsCountedAsThat(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	b := thinking(t, func(ctx context.Context, _ *llm.Request) (*llm.Response, error) {
		cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	}, nil)
	scrape := observed(b)
	key := b.Opened(t, "s", "msg_1", "what do the plans cost?")
	require.Error(t, runIn(ctx, b, b.Think, activities.ThinkInput{TurnKey: key, Step: 1}))
	require.Contains(t, scrape(), `runa_model_call_seconds_count{model="scripted",outcome="canceled"} 1`+"\n")
}

func TestEveryEndOfATurnIsCounted(t *testing.T) {
	t.Parallel()
	b, _ := sweeping(t)
	scrape := observed(b)
	closed := b.Opened(t, "s1", "msg_1", "hello")
	require.NoError(t, run(t, b, b.CloseTurn, activities.CloseTurnInput{TurnKey: closed, Status: schemas.TurnCanceled}))
	b.Opened(t, "s2", "msg_2", "hello")
	leaveAlone(t, b)
	require.NoError(t, sweep(t, b))
	text := scrape()
	require.Contains(t, text, `runa_turn_seconds_count{status="canceled"} 1`+"\n")
	require.Contains(t, text, `runa_turn_seconds_count{status="failed"} 1`+"\n")
}

func TestEachPageIsCountedByItsReason(t *testing.T) {
	t.Parallel()
	b := activitiestest.New(t, nil)
	scrape := observed(b)
	site := httptest.NewServer(pagesAt(map[string]string{
		"/": page("home", "/same", "/gone"), "/same": page("home", "/same", "/gone"),
	}))
	t.Cleanup(site.Close)
	key := b.Source(t, site.URL+"/", quick())
	crawlAll(t, b, key)
	counts := map[schemas.PageReason]int{}
	for _, p := range pagesOf(t, b, key, site.URL) {
		counts[p.Reason]++
	}
	require.Len(t, counts, 3, "%v", counts)
	text := scrape()
	for reason := range counts {
		require.Contains(t, text, `runa_crawl_pages_total{reason="`+string(reason)+`"} 1`+"\n")
	}
}
