package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"runa/schemas"
	"runa/store"
)

// withStore runs a command on the records, beside a running server or without.
func withStore(do func(ctx context.Context, cmd *cobra.Command, st *store.Store, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		cfg, err := loadConfig(cmd.Flags(), os.Environ())
		if err != nil {
			return err
		}
		if err := makeDataDir(cfg.DataDir); err != nil {
			return err
		}
		st, _, err := openStore(cmd.Context(), cfg, roleRecords, quietLog)
		if err != nil {
			return err
		}
		defer func() { _ = st.Close() }() // nothing is left to write
		return do(cmd.Context(), cmd, st, args)
	}
}

func storeCommand(use, short string, args cobra.PositionalArgs, do func(context.Context, *cobra.Command, *store.Store, []string) error) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: args, RunE: withStore(do)}
	addSettings(cmd.Flags(), roleRecords)
	return cmd
}

// groupCommand only holds commands; a word that is none of them is an error.
func groupCommand(use, short string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
}

func keysCommand() *cobra.Command {
	keys := groupCommand("keys", "Create, list and revoke API keys")
	create := storeCommand("create", "Create a key of a product and print it once", cobra.NoArgs, createKey)
	create.Flags().String("product", schemas.DefaultProduct, "product that the key opens")
	create.Flags().String("name", "cli", "name of the key")
	list := storeCommand("list", "List keys", cobra.NoArgs, listKeys)
	list.Flags().String("product", "", "product whose keys to list; empty for all")
	keys.AddCommand(create, list, storeCommand("revoke KEY_ID", "Revoke a key", cobra.ExactArgs(1), revokeKey))
	return keys
}

func createKey(ctx context.Context, cmd *cobra.Command, st *store.Store, _ []string) error {
	product, _ := cmd.Flags().GetString("product") // the flags are this command's own
	name, _ := cmd.Flags().GetString("name")
	if err := schemas.ValidateKeyName(name); err != nil {
		return err
	}
	key, secret, err := st.CreateKey(ctx, product, name)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\t%s\n", key.ID, secret)
	return err
}

func listKeys(ctx context.Context, cmd *cobra.Command, st *store.Store, _ []string) error {
	product, _ := cmd.Flags().GetString("product")
	return table(cmd.OutOrStdout(), "ID\tPRODUCT\tNAME\tENDS IN\tCREATED\tREVOKED",
		func(o store.ListOptions) (store.List[schemas.Key], error) { return st.Keys(ctx, product, o) },
		func(k schemas.Key) string {
			revoked := "-"
			if k.RevokedAt != nil {
				revoked = stamp(*k.RevokedAt)
			}
			return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s", k.ID, k.ProductID, k.Name, k.Hint, stamp(k.CreatedAt), revoked)
		})
}

func revokeKey(ctx context.Context, cmd *cobra.Command, st *store.Store, args []string) error {
	if err := st.RevokeKey(ctx, args[0]); err != nil {
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "revoked %s\n", args[0])
	return err
}

// table prints a whole list, page by page.
func table[T any](out io.Writer, head string, read func(store.ListOptions) (store.List[T], error), line func(T) string) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, head)
	for o := (store.ListOptions{Limit: 100}); ; {
		list, err := read(o)
		if err != nil {
			return err
		}
		for _, item := range list.Items {
			fmt.Fprintln(w, line(item))
		}
		if o.Cursor = list.Next; o.Cursor == "" {
			return w.Flush()
		}
	}
}

func stamp(t schemas.Time) string { return time.Time(t).Format(time.RFC3339) }
