package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"runa/seal"
)

func keysetCommand() *cobra.Command {
	return &cobra.Command{
		Use: "keyset", Short: "Print a new keyset for RUNA_KEYSET; keep it as you keep the database", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := seal.NewKeyset()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
			return err
		},
	}
}
