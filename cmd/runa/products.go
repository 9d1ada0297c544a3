package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"runa/schemas"
	"runa/store"
)

func productsCommand() *cobra.Command {
	products := groupCommand("products", "Create, list, rename and delete products")
	create := storeCommand("create NAME", "Create a product", cobra.ExactArgs(1), createProduct)
	create.Flags().String("id", "", "id of the product; made when empty")
	products.AddCommand(
		create,
		storeCommand("list", "List products", cobra.NoArgs, listProducts),
		storeCommand("rename PRODUCT_ID NAME", "Rename a product", cobra.ExactArgs(2), renameProduct),
		storeCommand("delete PRODUCT_ID", "Delete a product with its keys, conversations, tools and knowledge", cobra.ExactArgs(1), deleteProduct),
	)
	return products
}

func createProduct(ctx context.Context, cmd *cobra.Command, st *store.Store, args []string) error {
	id, _ := cmd.Flags().GetString("id") // the flag is this command's own
	if id == "" {
		id = schemas.NewID(schemas.ProductPrefix)
	}
	if err := schemas.ValidateProductID(id); err != nil {
		return err
	}
	if err := schemas.ValidateProductName(args[0]); err != nil {
		return err
	}
	p, err := st.CreateProduct(ctx, id, args[0])
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), p.ID)
	return err
}

func listProducts(ctx context.Context, cmd *cobra.Command, st *store.Store, _ []string) error {
	return table(cmd.OutOrStdout(), "ID\tNAME\tCREATED",
		func(o store.ListOptions) (store.List[schemas.Product], error) { return st.Products(ctx, o) },
		func(p schemas.Product) string {
			return fmt.Sprintf("%s\t%s\t%s", p.ID, p.Name, stamp(p.CreatedAt))
		})
}

func renameProduct(ctx context.Context, cmd *cobra.Command, st *store.Store, args []string) error {
	if err := schemas.ValidateProductName(args[1]); err != nil {
		return err
	}
	if err := st.RenameProduct(ctx, args[0], args[1]); err != nil {
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "renamed %s\n", args[0])
	return err
}

func deleteProduct(ctx context.Context, cmd *cobra.Command, st *store.Store, args []string) error {
	if err := st.DeleteProduct(ctx, args[0]); err != nil {
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "deleted %s\n", args[0])
	return err
}
