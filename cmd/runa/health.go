package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// healthTimeout is longer than a check of /readyz may take.
const healthTimeout = 5 * time.Second

func healthCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "health", Short: "Ask a running process whether it is ready; for probes without curl", Args: cobra.NoArgs,
		RunE: withConfig(func(cmd *cobra.Command, cfg Config) error {
			address := cfg.Listen
			if cfg.HealthListen != "" {
				address = cfg.HealthListen
			}
			return health(cmd.Context(), address, cmd.OutOrStdout())
		}),
	}
	addSettings(cmd.Flags(), roleAPI|roleWorker)
	return cmd
}

// health prints what /readyz answers; an answer but 200 is an error.
func health(ctx context.Context, address string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, resp.Body)
	if resp.StatusCode != http.StatusOK {
		err = errors.Join(fmt.Errorf("not ready: %s", resp.Status), err)
	}
	return errors.Join(err, resp.Body.Close())
}
