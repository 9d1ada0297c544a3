// Package dateparser stands in for the module of its name (go.mod replaces it),
// which the library of package crawl links for dating articles. Runa dates
// none, and the real one builds 78 MB of tables whenever the program starts.
// It has what is called of it, and finds no date.
package dateparser

import (
	"errors"
	"time"
)

// ParserType names a way to read a date.
type ParserType int

// The ways that are asked for.
const (
	CustomFormat ParserType = iota
	AbsoluteTime
)

// PreferredDateSource says which of two possible dates is meant.
type PreferredDateSource int

// Past prefers the earlier one.
const Past PreferredDateSource = 1

// Configuration says how dates are read.
type Configuration struct {
	PreferredDateSource PreferredDateSource
	StrictParsing       bool
}

// Parser reads dates.
type Parser struct {
	ParserTypes []ParserType
}

// Date is a date that was read.
type Date struct {
	Time time.Time
}

// Parse finds no date in any text.
func (*Parser) Parse(*Configuration, string, ...string) (Date, error) {
	return Date{}, errors.New("dates are not read")
}
