package store

import (
	"strings"
	"unicode/utf8"
)

// clean makes the texts among a statement's arguments such as every database
// keeps and compares alike: UTF-8 without NUL. A NUL or a broken byte becomes
// U+FFFD; bytes that must stay as they are go in as []byte.
func clean(args []any) []any {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = cleanText(text)
		}
	}
	return args
}

func cleanText(text string) string {
	if utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 {
		return text
	}
	const replacement = string(utf8.RuneError)
	return strings.ReplaceAll(strings.ToValidUTF8(text, replacement), "\x00", replacement)
}
