package store

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ErrURL is the error of a URL that no database has. It shows no password.
var ErrURL = errors.New("the database's URL")

// errURL says nothing of what the URL holds: a part of its password would be
// taken for a host, a port or a path when a character in it was not escaped.
var errURL = fmt.Errorf("%w is not one of postgres://USER:PASSWORD@HOST:PORT/DATABASE, in which special characters of the password are written as %%XX", ErrURL)

// parsePostgres reads a URL. Its errors do not show the password.
func parsePostgres(text string) (*pgx.ConnConfig, error) {
	if err := checkURL(text); err != nil {
		return nil, err
	}
	conn, err := pgx.ParseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrURL, reason(err))
	}
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = connectTimeout
	}
	setDefault(conn, "application_name", "runa")
	setDefault(conn, "timezone", "UTC")
	return conn, nil
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Fragment != "" || u.Opaque != "" {
		return errURL
	}
	if u.User == nil && strings.Contains(text, "@") || strings.Contains(u.Path+u.RawQuery, "@") {
		return errURL
	}
	return nil
}

// reason is what pgx says of a URL, without the URL.
func reason(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, "`: "); i >= 0 {
		return text[i+len("`: "):]
	}
	return "it cannot be read"
}
