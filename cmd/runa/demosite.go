package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"runa/cmd/runa/demo"
	"runa/schemas"
	"runa/store"
)

// demoSite serves the help centre and the tools of a made-up product on an
// address of its own, as a customer's would be.
type demoSite struct {
	listener net.Listener
	server   *http.Server
}

func listenDemo(address string) (*demoSite, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("RUNA_DEMO_LISTEN: %w", err)
	}
	return &demoSite{listener: listener, server: &http.Server{ReadHeaderTimeout: 5 * time.Second}}, nil
}

func (d *demoSite) address() string { return d.listener.Addr().String() }
func (d *demoSite) url() string     { return "http://" + d.address() }

func (d *demoSite) serve(h http.Handler) {
	d.server.Handler = h
	go func() { _ = d.server.Serve(d.listener) }() // it ends with close
}

func (d *demoSite) close() error {
	return errors.Join(d.server.Close(), ignoreClosed(d.listener.Close()))
}

// register gives the default product the demo's knowledge and tools through
// the public API, as its owner would, unless it has them. The key for it lasts
// as long as that.
func (d *demoSite) register(ctx context.Context, st *store.Store, api string) error {
	known, err := d.registered(ctx, st)
	if err != nil || known {
		return err
	}
	key, secret, err := st.CreateKey(ctx, schemas.DefaultProduct, "demo")
	if err != nil {
		return err
	}
	defer func() { _ = st.RevokeKey(context.WithoutCancel(ctx), key.ID) }() // a key that stays is listed
	for _, t := range demo.Tools(d.url()) {
		if err := post(ctx, api+"/v1/tools", secret, t); err != nil {
			return err
		}
	}
	return post(ctx, api+"/v1/knowledge", secret, demo.Source(d.url()))
}

func (d *demoSite) registered(ctx context.Context, st *store.Store) (bool, error) {
	sources, err := st.Sources(ctx, schemas.DefaultProduct, store.ListOptions{Limit: 100})
	if err != nil {
		return false, err
	}
	for _, s := range sources.Items {
		if s.URL == demo.Source(d.url()).URL {
			return true, nil
		}
	}
	return false, nil
}

func post(ctx context.Context, url, key string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, resp.Status, answer)
	}
	return err
}
