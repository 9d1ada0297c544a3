package elastic

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"runa/schemas"
	"runa/search"
)

var _ search.Rebuilder = (*Index)(nil)

// drain is how long an old index stays when it is out of use: searches that
// began in it end in it.
const drain = 2 * time.Second

// nextIndex is the name of the index that a rebuild makes.
func (x *Index) nextIndex(id string) string {
	sum := sha256.Sum256([]byte(id))
	return x.indexName(hex.EncodeToString(sum[:8]))
}

// StartRebuild implements search.Rebuilder. Two that start at once may both be
// refused.
func (x *Index) StartRebuild(ctx context.Context, id string) error {
	found, err := x.generations(ctx)
	name := x.nextIndex(id)
	switch {
	case err != nil:
	case found.current == name:
		err = search.ErrRebuild
	case found.next == "":
		err = x.startNext(ctx, name)
	case found.next != name:
		x.cfg.Logger.WarnContext(ctx, "a rebuild that nobody ended is given up", "index", found.next)
		if err = x.dropNext(ctx, found.next); err == nil {
			err = x.startNext(ctx, name)
		}
	}
	return wrap("start rebuild", err)
}

// startNext makes the index, and takes it away again if another was made
// meanwhile.
func (x *Index) startNext(ctx context.Context, name string) error {
	if err := x.createIndex(ctx, name, x.nextAlias()); err != nil {
		return err
	}
	found, err := x.generations(ctx)
	if err != nil {
		return errors.Join(err, x.change(ctx, esapi.IndicesDeleteRequest{Index: []string{name}}))
	}
	if found.next != name {
		return fmt.Errorf("index %s is there, and not the next generation", name)
	}
	return nil
}

// underWay returns search.ErrRebuild unless id is.
func (x *Index) underWay(ctx context.Context, id string) error {
	found, err := x.lookUp(ctx)
	if err == nil && found.next != x.nextIndex(id) {
		err = search.ErrRebuild
	}
	return err
}

// Fill implements search.Rebuilder.
func (x *Index) Fill(ctx context.Context, id, product string, chunks []search.Entry) error {
	if err := search.ValidateEntries(chunks); err != nil {
		return wrap("fill", err)
	}
	if err := x.underWay(ctx, id); err != nil {
		return wrap("fill", err)
	}
	if err := x.ensureFields(ctx, target{x.nextAlias(), x.nextIndex(id)}, chunks); err != nil {
		return wrap("fill", err)
	}
	s := scopeOf(product)
	items := make([]item, len(chunks))
	for i := range chunks {
		items[i] = newItem("create", product, s, &chunks[i])
	}
	return wrap("fill", x.bulk(ctx, x.nextAlias(), s, items, "false"))
}

// DeleteNext implements search.Rebuilder.
func (x *Index) DeleteNext(ctx context.Context, id, product string, which search.Selection) error {
	if err := x.underWay(ctx, id); err != nil {
		return wrap("delete from the next generation", err)
	}
	return wrap("delete from the next generation", x.deleteIn(ctx, x.nextAlias(), scopeOf(product), which))
}

// FinishRebuild implements search.Rebuilder.
func (x *Index) FinishRebuild(ctx context.Context, id string) error {
	name := x.nextIndex(id)
	found, err := x.generations(ctx)
	switch {
	case err != nil:
	case found.next == name:
		err = x.swap(ctx, found)
	case found.current != name:
		err = search.ErrRebuild
	}
	if err == nil {
		err = x.dropOld(ctx)
	}
	return wrap("finish rebuild", err)
}

// swap lets the aliases change over, both at one moment.
func (x *Index) swap(ctx context.Context, found generations) error {
	if err := x.refresh(ctx, x.nextAlias()); err != nil {
		return err
	}
	err := x.change(ctx, esapi.IndicesUpdateAliasesRequest{Body: encode(clause{"actions": []clause{
		{"remove": clause{"index": found.next, "alias": x.nextAlias(), "must_exist": true}},
		{"remove": clause{"index": found.current, "alias": x.alias(), "must_exist": true}},
		{"add": clause{"index": found.next, "alias": x.alias()}},
	}})})
	if err != nil {
		return err
	}
	x.cfg.Logger.InfoContext(ctx, "search index swapped", "old", found.current, "new", found.next)
	return sleep(ctx, drain)
}

// dropOld deletes the indices that no alias is of. An index is made with its
// alias, so none that is about to be used is without.
func (x *Index) dropOld(ctx context.Context) error {
	var answer map[string]struct {
		Aliases map[string]struct{} `json:"aliases"`
	}
	err := x.call(ctx, esapi.IndicesGetAliasRequest{Index: []string{x.cfg.Prefix + "-chunks-v*"}}, &answer)
	if err != nil {
		return err
	}
	for index, of := range answer {
		if len(of.Aliases) > 0 {
			continue
		}
		if err := x.change(ctx, esapi.IndicesDeleteRequest{Index: []string{index}}); err != nil && !is(err, "index_not_found_exception") {
			return err
		}
		x.cfg.Logger.InfoContext(ctx, "search index deleted", "index", index)
	}
	return nil
}

// AbortRebuild implements search.Rebuilder.
func (x *Index) AbortRebuild(ctx context.Context, id string) error {
	found, err := x.generations(ctx)
	if err == nil && found.next == x.nextIndex(id) {
		err = x.dropNext(ctx, found.next)
	}
	return wrap("abort rebuild", err)
}

func (x *Index) dropNext(ctx context.Context, name string) error {
	err := x.change(ctx, esapi.IndicesDeleteRequest{Index: []string{name}})
	if is(err, "index_not_found_exception") {
		return nil
	}
	return err
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("search/elastic: %s: %w", what, err)
	if passing(err) && !errors.Is(err, context.Canceled) && schemas.AsError(err) == nil {
		return errors.Join(schemas.Errorf(schemas.Unavailable, "the index of the knowledge cannot be reached now"), err)
	}
	return err
}
