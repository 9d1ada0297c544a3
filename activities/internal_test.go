package activities

import "runa/schemas"

// Cite is cite, for the tests of this package.
func Cite(text string, passages []schemas.Hit) (string, []schemas.Citation) {
	return cite(text, passages)
}
