package grafana

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"

	"runa/analytics"
	"runa/analytics/clickhouse"
	"runa/schemas"
)

var (
	from = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	to   = from.AddDate(0, 0, 7)
)

// open returns a connection to a migrated database of this test.
func open(t *testing.T) (driver.Conn, *clickhouse.Store) {
	t.Helper()
	base := os.Getenv("RUNA_TEST_CLICKHOUSE_URL")
	if base == "" {
		t.Skip("RUNA_TEST_CLICKHOUSE_URL is not set; make test-services sets it")
	}
	u, err := url.Parse(base)
	require.NoError(t, err)
	u.Path = "/runa_grafana_" + strings.ToLower(schemas.NewID(""))
	cfg := clickhouse.Config{URL: u.String()}
	require.NoError(t, clickhouse.Migrate(t.Context(), cfg))
	store, err := clickhouse.Open(t.Context(), cfg)
	require.NoError(t, err)
	options, err := driver.ParseDSN(u.String())
	require.NoError(t, err)
	conn, err := driver.Open(options)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, store.Close())
		drop := driver.Named("name", options.Auth.Database)
		require.NoError(t, conn.Exec(context.Background(), `DROP DATABASE {name:Identifier}`, drop))
		require.NoError(t, conn.Close())
	})
	return conn, store
}

// expand does what the plugin and Grafana do with macros and variables.
func expand(sql, product string) string {
	moment := func(at time.Time) string { return fmt.Sprintf("toDateTime(%d)", at.Unix()) }
	sql = regexp.MustCompile(`\$__timeFilter\(([^)]*)\)`).ReplaceAllString(sql, "$1 >= "+moment(from)+" AND $1 <= "+moment(to))
	sql = regexp.MustCompile(`\$__timeInterval\(([^)]*)\)`).ReplaceAllString(sql, "toStartOfInterval(toDateTime($1), INTERVAL 3600 second)")
	return strings.ReplaceAll(sql, "${product:sqlstring}", "'"+strings.ReplaceAll(product, "'", "''")+"'")
}

// events are one of each kind, and what every panel needs to show something.
func events(product string) (list []schemas.Event) {
	add := func(e schemas.Event) {
		e.ID, e.Product, e.At = schemas.NewID("ev_"), product, schemas.Millis(from.Add(time.Duration(len(list)+1)*time.Hour))
		list = append(list, e)
	}
	for _, role := range []schemas.Role{schemas.RoleUser, schemas.RoleAssistant} {
		add(schemas.Event{Kind: schemas.EventMessage, Conversation: "sess_1", Subject: string(role), Size: 10})
	}
	for _, status := range []schemas.TurnStatus{schemas.TurnCompleted, schemas.TurnFailed} {
		add(schemas.Event{
			Kind: schemas.EventTurn, Conversation: "sess_1", Turn: "msg_1", Outcome: string(status), Intent: "pricing", Model: "extractive",
			Answered: true, Degraded: true, DurationMs: 40, ModelCalls: 2, InputTokens: 100, OutputTokens: 10,
		})
	}
	for _, status := range []schemas.CallStatus{schemas.CallSucceeded, schemas.CallUnknown} {
		add(schemas.Event{Kind: schemas.EventToolCall, Subject: "refund", Outcome: string(status), DurationMs: 12})
	}
	for _, reason := range []schemas.PageReason{schemas.ReasonIndexed, schemas.ReasonRobots} {
		add(schemas.Event{Kind: schemas.EventPage, Subject: "src_1", Outcome: string(reason), Size: 3})
	}
	add(schemas.Event{Kind: schemas.EventCrawl, Subject: "src_1", Outcome: string(schemas.SourceReady), Size: 1})
	return list
}

func TestSQLRuns(t *testing.T) {
	t.Parallel()
	conn, store := open(t)
	const product = "prod_it's"
	batch := analytics.Batch{ID: "b1", Events: append(events(product), events("prod_other")...)}
	require.NoError(t, store.Write(t.Context(), batch))
	ran := 0
	for _, board := range read(t) {
		for _, v := range board.Templating.List {
			if v.Datasource.Type == clickHouse {
				require.Equal(t, [][]any{{"prod_it's"}, {"prod_other"}}, query(t, conn, expand(v.Query.RawSQL, "")), v.Name)
			}
		}
		for name, q := range board.targets() {
			if q.Datasource.Type != clickHouse {
				continue
			}
			ran++
			requireRows(t, conn, name, q, product)
		}
	}
	require.Positive(t, ran)
}

// requireRows runs a query for a product that has events, and for one that has
// none.
func requireRows(t *testing.T, conn driver.Conn, name string, q target, product string) {
	t.Helper()
	require.Contains(t, q.RawSQL, "product = ${product:sqlstring}", name)
	require.Contains(t, q.RawSQL, "$__timeFilter(at)", name)
	require.NotRegexp(t, `[$]`, expand(q.RawSQL, product), "%s: a macro that this test does not know", name)
	rows := query(t, conn, expand(q.RawSQL, product))
	require.NotEmpty(t, rows, name)
	require.NotContains(t, fmt.Sprint(rows), "NaN", name)
	if q.QueryType == "timeseries" {
		require.IsType(t, time.Time{}, rows[0][0], name)
		require.InDelta(t, 0, q.Format, 0, name)
	} else {
		require.InDelta(t, 1, q.Format, 0, name)
	}
	for _, row := range query(t, conn, expand(q.RawSQL, "prod_none")) {
		require.NotContains(t, fmt.Sprint(row...), "NaN", name)
	}
}

func query(t *testing.T, conn driver.Conn, sql string) (all [][]any) {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql)
	require.NoError(t, err, sql)
	defer func() { require.NoError(t, rows.Close()) }()
	for rows.Next() {
		row := make([]any, len(rows.ColumnTypes()))
		for i, column := range rows.ColumnTypes() {
			row[i] = reflect.New(column.ScanType()).Interface()
		}
		require.NoError(t, rows.Scan(row...), sql)
		for i, value := range row {
			row[i] = reflect.ValueOf(value).Elem().Interface()
		}
		all = append(all, row)
	}
	require.NoError(t, rows.Err(), sql)
	return all
}
