package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRebind(t *testing.T) {
	t.Parallel()
	d := &postgresDialect{}
	for query, want := range map[string]string{
		`SELECT 1`:                                        `SELECT 1`,
		`SELECT a FROM t WHERE b = ? AND c = ?`:           `SELECT a FROM t WHERE b = $1 AND c = $2`,
		`SELECT '?', "?" FROM t WHERE b = ?`:              `SELECT '?', "?" FROM t WHERE b = $1`,
		`SELECT 'it''s ?' || ? || "a""?" || 'ä?' || ?`:    `SELECT 'it''s ?' || $1 || "a""?" || 'ä?' || $2`,
		`SELECT '"?' || ? || '"' || ?`:                    `SELECT '"?' || $1 || '"' || $2`,
		`INSERT INTO t VALUES (?,?,?,?,?,?,?,?,?,?,'x?')`: `INSERT INTO t VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,'x?')`,
	} {
		for range 2 { // the second is kept from the first
			require.Equal(t, want, d.rebind(query))
		}
	}
}

// TestURLShowsNoPassword reads URLs that are not right, in which pgx or the
// network would name a part of the password.
func TestURLShowsNoPassword(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"postgres://runa:s3cret@host:port/db", "postgres://runa:s3cret#x@host/db", "postgres://runa:s3cret@host/db#s3cret",
		"postgres://runa:1/s3cret@host/db", "postgres://runa:1?s3cret@host/db", "postgres://runa:s3cret%zz@host/db",
		"postgres://runa:s3cret@host/db?sslmode=s3", "postgres://runa:s3cret@host/db?default_query_exec_mode=none",
		"postgres://runa:s3cret@host/db?connect_timeout=soon", "postgres://runa:s3cret@host/db?sslrootcert=/none",
		"postgres://host/db?password=s3cret&sslmode=s3", "mysql://runa:s3cret@host/db", "runa:s3cret@host", "host=h password=s3cret",
		"postgres:runa:s3cret@host", " postgres://runa:s3cret@host/db",
	} {
		_, err := parsePostgres(text)
		require.Error(t, err, text)
		require.NotContains(t, err.Error(), "s3cret", text)
		require.Contains(t, err.Error(), "URL", text)
	}
	_, err := parsePostgres("postgres://runa:s3cret@host/db?sslmode=sometimes")
	require.ErrorContains(t, err, "sslmode", "what is wrong is said")
}

func TestURLIsPassedOn(t *testing.T) {
	t.Parallel()
	conn, err := parsePostgres("postgres://runa:p%40ss@host:5433/db?statement_timeout=5s&application_name=mine&connect_timeout=2&default_query_exec_mode=exec")
	require.NoError(t, err)
	require.Equal(t, "p@ss", conn.Password)
	require.Equal(t, map[string]string{"statement_timeout": "5s", "application_name": "mine", "timezone": "UTC"}, conn.RuntimeParams)
	require.Equal(t, 2*time.Second, conn.ConnectTimeout)
	require.True(t, pooled(conn))
	conn, err = parsePostgres("postgresql://host/db")
	require.NoError(t, err)
	require.Equal(t, connectTimeout, conn.ConnectTimeout)
	require.False(t, pooled(conn))
}
