// Command clickhouse serves ClickHouse's own engine, loaded from libchdb.so,
// behind ClickHouse's HTTP interface on loopback, so that tests run on the real
// SQL dialect, tables and deduplication where no server can be installed.
//
// It is not a server for anything else: one user, no roles, quotas or row
// policies, no native protocol, no sessions, no external tables, no query log.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	lib := flag.String("lib", "", "libchdb.so")
	dir := flag.String("data", "", "folder of the tables")
	addr := flag.String("listen", "127.0.0.1:8123", "loopback address")
	user := flag.String("user", "default", "the only user")
	password := flag.String("password", "", "the user's password")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, *lib, *dir, *addr, *user, *password); err != nil {
		fmt.Fprintln(os.Stderr, "clickhouse:", err)
		os.Exit(1)
	}
}

// serve opens the engine, answers until the context ends, and closes it.
func serve(ctx context.Context, lib, dir, addr, user, password string) error {
	if err := loopback(addr); err != nil {
		return err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	e, err := load(lib)
	if err != nil {
		return err
	}
	h, err := newHandler(e, dir, user, password)
	if err != nil {
		return err
	}
	defer h.close()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	slog.Info("ready", "version", h.version, "address", l.Addr().String())
	return run(ctx, l, h)
}

// run stops by itself: a request that is still answered after five seconds is cut.
func run(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		<-ctx.Done()
		limit, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if server.Shutdown(limit) != nil {
			_ = server.Close()
		}
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-drained
	return nil
}

func loopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("%s is not a loopback address", addr)
	}
	return nil
}
