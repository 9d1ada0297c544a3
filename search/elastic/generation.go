package elastic

import (
	"context"
	"errors"
	"fmt"

	"github.com/elastic/go-elasticsearch/v8/esapi"
)

// errNoIndex says that there is no index behind the alias.
var errNoIndex = errors.New("the index is not there: run \"runa migrate\"")

// generations are the indices behind the aliases.
type generations struct {
	current string
	next    string // "" when no rebuild is under way
}

// target is an index to write to, by its alias, so that nothing makes an index
// anew that was taken away.
type target struct {
	alias, index string
}

// generations asks which indices there are. It is asked afresh before each
// write and costs a millisecond: a cache would have to be waited for.
func (x *Index) generations(ctx context.Context) (generations, error) {
	var answer map[string]struct {
		Aliases map[string]struct{} `json:"aliases"`
	}
	var found generations
	err := x.call(ctx, esapi.IndicesGetAliasRequest{Name: []string{x.alias() + "*"}}, &answer)
	if err != nil {
		return found, err
	}
	for index, of := range answer {
		for alias, at := range map[string]*string{x.alias(): &found.current, x.nextAlias(): &found.next} {
			if _, ok := of.Aliases[alias]; !ok {
				continue
			}
			if *at != "" {
				return found, fmt.Errorf("alias %s is of two indices, %s and %s", alias, *at, index)
			}
			*at = index
		}
	}
	if found.current == "" {
		return found, errNoIndex
	}
	return found, nil
}

func (x *Index) targets(found generations) []target {
	list := []target{{x.alias(), found.current}}
	if found.next != "" {
		list = append(list, target{x.nextAlias(), found.next})
	}
	return list
}

// write applies f to all generations. When these have changed meanwhile, what
// f did may be lost with an old one or be missing in a new one, so it is
// applied again.
func (x *Index) write(ctx context.Context, f func(target) error) error {
	before, err := x.lookUp(ctx)
	if err != nil {
		return err
	}
	for {
		var failed error
		for _, t := range x.targets(before) {
			if failed = f(t); failed != nil {
				break
			}
		}
		after, err := x.lookUp(ctx)
		if err != nil {
			return errors.Join(failed, err)
		}
		if after == before {
			return failed
		}
		before = after
	}
}

// lookUp is generations, tried again as a write is.
func (x *Index) lookUp(ctx context.Context) (found generations, err error) {
	err = retry(ctx, func() error {
		found, err = x.generations(ctx)
		return err
	})
	return found, err
}
