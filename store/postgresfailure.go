package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// sqlStates are the server's codes that mean something here; the rest are
// mistakes. A unique violation (23505) is one of them: see postgresDialect.
var sqlStates = map[string]failure{
	"40001": again, // serialization failure
	"40P01": again, // deadlock
	"55P03": again, // lock not had in time

	"53000": exhausted, "53100": exhausted, // disk full
	"53200": exhausted, // out of memory
	"53300": exhausted, // too many connections
	"53400": exhausted, // a configured limit
	"58030": exhausted, // I/O error

	"57014": lost,                                              // a statement that took too long was cancelled
	"57P01": lost, "57P02": lost, "57P03": lost, "57P05": lost, // shut down, crashed, starting, idle too long
	"25P03": lost, "25P04": lost, // a transaction that was idle, or took, too long
	"25006": lost, // a standby, after the primary went away
}

func (*postgresDialect) failure(err error) failure {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		return failureOf(server)
	}
	if cutOff(err) {
		return lost
	}
	return otherwise
}

func failureOf(server *pgconn.PgError) failure {
	if kind, ok := sqlStates[server.Code]; ok {
		return kind
	}
	switch {
	case strings.HasPrefix(server.Code, "08"): // connection exceptions
		return lost
	case server.Routine == "RevalidateCachedQuery": // a migration changed what a kept statement returns
		return again
	default:
		return otherwise
	}
}

// cutOff reports whether the server was not reached or went away.
func cutOff(err error) bool {
	for _, known := range []error{
		driver.ErrBadConn, sql.ErrConnDone, sql.ErrTxDone, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, context.DeadlineExceeded,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || pgconn.SafeToRetry(err)
}
