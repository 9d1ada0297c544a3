package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"runa/schemas"
)

func reindexCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "reindex", Short: "Fill the index anew from the records while it serves, and wait for the end", Args: cobra.NoArgs,
		Long: `Ask a running Runa to fill its index anew from the records, and wait for the
end. The index of before answers until then. The command needs the operator's
key (RUNA_OPERATOR_KEY) and the address of the API (--url, or RUNA_LISTEN);
ending it does not end the work.`,
		RunE: withConfig(func(cmd *cobra.Command, cfg Config) error {
			base, _ := cmd.Flags().GetString("url") // the flag is this command's own
			if base == "" {
				base = "http://" + cfg.Listen
			}
			return reindex(cmd.Context(), strings.TrimSuffix(base, "/"), cfg.OperatorKey, cmd.OutOrStdout())
		}),
	}
	addSettings(cmd.Flags(), roleAPI)
	cmd.Flags().String("url", "", "address of the API, such as https://runa.example.com; http:// and RUNA_LISTEN when empty")
	return cmd
}

// reindexEvery is how often the command asks how far the work is.
const reindexEvery = time.Second

func reindex(ctx context.Context, base, key string, out io.Writer) error {
	if key == "" {
		return fmt.Errorf("RUNA_OPERATOR_KEY must be set: the index serves every product")
	}
	for method, shown := http.MethodPost, false; ; method = http.MethodGet {
		state, err := askReindex(ctx, method, base, key)
		if err != nil {
			return err
		}
		if !shown {
			fmt.Fprintln(out, "the index is being filled anew")
			shown = true
		}
		switch state.Status {
		case schemas.ReindexCompleted:
			fmt.Fprintln(out, "done")
			return nil
		case schemas.ReindexRunning:
		default:
			return fmt.Errorf("the rebuild ended %s; the index of before goes on to answer, and the workers' logs say why", state.Status)
		}
		select {
		case <-time.After(reindexEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func askReindex(ctx context.Context, method, base, key string) (state schemas.Reindex, err error) {
	req, err := http.NewRequestWithContext(ctx, method, base+"/v1/reindex", nil)
	if err != nil {
		return state, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return state, err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return state, err
	}
	if resp.StatusCode != http.StatusOK {
		return state, fmt.Errorf("%s: %s", resp.Status, text)
	}
	return state, json.Unmarshal(text, &state)
}
