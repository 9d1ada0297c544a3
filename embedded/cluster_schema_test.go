package embedded

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/schema/postgresql/v12"
	temporalschema "go.temporal.io/server/tools/common/schema"
	temporalsql "go.temporal.io/server/tools/sql"
	"golang.org/x/sync/errgroup"
)

func mustDatabase(tb testing.TB, config ClusterConfig) database {
	tb.Helper()
	db, err := parseDatabase(config.withDefaults())
	require.NoError(tb, err)
	return db
}

// mustList runs a query that returns one text per row, on one database.
func mustList(tb testing.TB, db database, name, query string) []string {
	tb.Helper()
	connection, err := pgx.ConnectConfig(tb.Context(), db.at(name))
	require.NoError(tb, err)
	defer func() { require.NoError(tb, connection.Close(context.WithoutCancel(tb.Context()))) }()
	rows, err := connection.Query(tb.Context(), query)
	require.NoError(tb, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(tb, err)
	return list
}

// mustShape lists the columns and indexes of both databases, without a table
// that Temporal's updates leave behind and new databases do not have.
func mustShape(tb testing.TB, db database) (shape []string) {
	tb.Helper()
	for _, schema := range db.schemas() {
		shape = append(shape, mustList(tb, db, schema.name, `SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable
			FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'cluster_metadata' ORDER BY 1`)...)
		shape = append(shape, mustList(tb, db, schema.name, "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'cluster_metadata' ORDER BY 1")...)
	}
	return shape
}

func mustVersions(tb testing.TB, db database) (versions []string) {
	tb.Helper()
	for _, schema := range db.schemas() {
		versions = append(versions, mustList(tb, db, schema.name, "SELECT curr_version FROM schema_version")...)
	}
	return versions
}

func TestMigrateClusterAtOnceAndAgain(t *testing.T) {
	t.Parallel()
	config := mustClusterConfig(t)
	var group errgroup.Group
	for range 8 {
		group.Go(func() error { return MigrateCluster(t.Context(), config) })
	}
	require.NoError(t, group.Wait())
	db := mustDatabase(t, config)
	require.Equal(t, []string{v12.Version, v12.VisibilityVersion}, mustVersions(t, db))
	const history = "SELECT old_version || ' ' || new_version || ' ' || update_time FROM schema_update_history"
	before := mustList(t, db, db.main(), history)
	require.Len(t, before, 1)
	require.NoError(t, MigrateCluster(t.Context(), config))
	require.Equal(t, before, mustList(t, db, db.main(), history))
}

// mustOlderCluster makes databases with Temporal's own tool, as they were at
// older versions.
func mustOlderCluster(tb testing.TB, db database, versions ...string) {
	tb.Helper()
	logger := log.NewNoopLogger()
	for i, schema := range db.schemas() {
		require.NoError(tb, db.locked(tb.Context(), func(connection *pgx.Conn) error {
			return db.ensureDatabase(tb.Context(), connection, schema.name)
		}))
		connection, err := temporalsql.NewConnection(db.store(schema.name, 1), logger)
		require.NoError(tb, err)
		setup := &temporalschema.SetupConfig{InitialVersion: "0.0"}
		require.NoError(tb, temporalschema.NewSetupSchemaTask(connection, setup, logger).Run())
		update := &temporalschema.UpdateConfig{SchemaName: schema.folder, TargetVersion: "v" + versions[i]}
		require.NoError(tb, temporalschema.NewUpdateSchemaTask(connection, update, logger).Run())
		connection.Close()
	}
}

func TestOlderClusterIsUpgraded(t *testing.T) {
	t.Parallel()
	fresh := mustClusterConfig(t)
	require.NoError(t, MigrateCluster(t.Context(), fresh))
	want := mustShape(t, mustDatabase(t, fresh))
	for _, versions := range [][]string{{"1.0", "1.1"}, {"1.17", "1.9"}} {
		config := mustClusterConfig(t)
		db := mustDatabase(t, config)
		mustOlderCluster(t, db, versions...)
		require.Equal(t, versions, mustVersions(t, db))
		var group errgroup.Group
		for range 3 {
			group.Go(func() error { return MigrateCluster(t.Context(), config) })
		}
		require.NoError(t, group.Wait())
		require.Equal(t, []string{v12.Version, v12.VisibilityVersion}, mustVersions(t, db))
		require.Equal(t, want, mustShape(t, db), "from versions %v", versions)
	}
}

// A newer schema is used if it says that this server may, and never changed.
func TestNewerCluster(t *testing.T) {
	t.Parallel()
	config := mustClusterConfig(t)
	require.NoError(t, MigrateCluster(t.Context(), config))
	db := mustDatabase(t, config)
	of := mustURL(t, config.DatabaseURL, db.main())
	mustExec(t, of, "UPDATE schema_version SET curr_version = '9.9'")
	require.NoError(t, MigrateCluster(t.Context(), config))
	require.Equal(t, "9.9", mustVersions(t, db)[0])
	mustExec(t, of, "UPDATE schema_version SET min_compatible_version = '9.0'")
	require.ErrorContains(t, MigrateCluster(t.Context(), config), "newer Runa")
}

// mustURL names another database of the same server.
func mustURL(tb testing.TB, text, database string) string {
	tb.Helper()
	parsed, err := url.Parse(text)
	require.NoError(tb, err)
	parsed.Path = "/" + database
	return parsed.String()
}

// A user who may not make databases is told what to have run, and can go on
// when it was.
func TestUserWhoMayNotCreate(t *testing.T) {
	t.Parallel()
	config := mustClusterConfig(t)
	admin := config.DatabaseURL
	user := strings.TrimSuffix(config.DatabasePrefix, "_")
	mustExec(t, admin, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD 'p@ss w/rd'", user))
	t.Cleanup(func() {
		for _, name := range []string{"temporal", "temporal_visibility"} {
			mustExec(t, admin, "DROP DATABASE IF EXISTS "+quoted(config.DatabasePrefix+name)+" WITH (FORCE)")
		}
		mustExec(t, admin, "DROP ROLE "+user)
	})
	parsed, err := url.Parse(admin)
	require.NoError(t, err)
	parsed.User = url.UserPassword(user, "p@ss w/rd")
	config.DatabaseURL = parsed.String()

	err = MigrateCluster(t.Context(), config)
	require.ErrorContains(t, err, fmt.Sprintf(`CREATE DATABASE "%stemporal" OWNER "%s"`, config.DatabasePrefix, user))
	require.NotContains(t, err.Error(), "w/rd")
	mustExec(t, admin, fmt.Sprintf("CREATE DATABASE %stemporal", config.DatabasePrefix))
	err = MigrateCluster(t.Context(), config)
	require.ErrorContains(t, err, "ALTER DATABASE")
	mustExec(t, admin, fmt.Sprintf("ALTER DATABASE %stemporal OWNER TO %s", config.DatabasePrefix, user))
	mustExec(t, admin, fmt.Sprintf("CREATE DATABASE %stemporal_visibility OWNER %s", config.DatabasePrefix, user))
	connected, stop := mustWorker(t, mustStartCluster(t, config))
	t.Cleanup(stop)
	require.Equal(t, "hello you", mustRun(t, connected, greeting))
}

func TestClusterConfigIsChecked(t *testing.T) {
	t.Parallel()
	const database = "postgres://u:secret@127.0.0.1:1/d"
	for want, config := range map[string]ClusterConfig{
		"DatabaseURL is empty":    {},
		"is not a URL":            {DatabaseURL: "postgres://u:secret%@host:x/d?password=secret"},
		"sslmode is invalid":      {DatabaseURL: "postgres://u@h/d?sslmode=secret&password=secret"},
		"DatabasePrefix":          {DatabaseURL: database, DatabasePrefix: "A;"},
		`service "api" is unkn`:   {DatabaseURL: database, Services: []string{"api"}},
		"Retention":               {DatabaseURL: database, Retention: time.Minute},
		"NumHistoryShards":        {DatabaseURL: database, NumHistoryShards: -1},
		"MaxConns":                {DatabaseURL: database, MaxConns: 1},
		"not host:port":           {DatabaseURL: database, Listen: "127.0.0.1"},
		"between 301 and":         {DatabaseURL: database, Listen: "127.0.0.1:40000"},
		"Broadcast must be":       {DatabaseURL: database, Listen: "0.0.0.0:7233"},
		"Listen: lookup":          {DatabaseURL: database, Listen: "no host:7233"},
		"TLS needs":               {DatabaseURL: database, TLS: TLS{CertFile: "a"}},
		"connect to PostgreSQL: ": {DatabaseURL: database, Listen: "127.0.0.1:0"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, err := StartCluster(ctx, config)
		require.ErrorContains(t, err, want)
		require.NotContains(t, strings.ReplaceAll(err.Error(), "sslmode=secret", ""), "secret", want)
	}
}

// A database that takes connections and says nothing ends the start in time.
func TestSilentDatabase(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = silent.Close() }()
	began := time.Now()
	_, err = StartCluster(t.Context(), ClusterConfig{
		DatabaseURL: fmt.Sprintf("postgres://u:secret@%s/d?sslmode=disable&connect_timeout=1", silent.Addr()),
		Listen:      "127.0.0.1:0",
	})
	require.ErrorContains(t, err, "connect to PostgreSQL")
	require.NotContains(t, err.Error(), "secret")
	require.Less(t, time.Since(began), 10*time.Second)
}
