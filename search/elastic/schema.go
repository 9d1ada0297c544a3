package elastic

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/elastic/go-elasticsearch/v8/esapi"
)

// mapping is of all indices that this program makes. A field may be added to
// it, with a higher version: Migrate then adds it to an index that is there. A
// change of a field needs a rebuild.
//
//go:embed mapping.json
var mapping []byte

// mappingVersion is the version in mapping.json.
const mappingVersion = 1

// firstGeneration is the generation that Migrate makes; later ones come of
// rebuilds.
const firstGeneration = "first"

// Migrate makes the index if there is none and adds to one of an older program
// what this one needs. Several processes may do it at once. An index of a newer
// program is refused.
func Migrate(ctx context.Context, cfg Config) error {
	x, err := connect(cfg)
	if err != nil {
		return err
	}
	defer func() { _ = x.Close() }()
	return wrap("migrate", x.migrate(ctx))
}

func (x *Index) migrate(ctx context.Context) error {
	found, err := x.generations(ctx)
	if errors.Is(err, errNoIndex) {
		if err := x.createIndex(ctx, x.indexName(firstGeneration), x.alias()); err != nil {
			return err
		}
		found, err = x.generations(ctx)
	}
	if err != nil {
		return err
	}
	return x.upgrade(ctx, found.current)
}

// createIndex makes an index together with its alias. One that is there
// already stays as it is.
func (x *Index) createIndex(ctx context.Context, name, alias string) error {
	err := x.change(ctx, esapi.IndicesCreateRequest{Index: name, Body: encode(clause{
		"settings": clause{
			"number_of_shards":     x.cfg.Shards,
			"auto_expand_replicas": "0-1",
			// Not left to the default: a write waits for the next refresh, and
			// none would come to a shard that nobody searches.
			"refresh_interval": "200ms",
		},
		"mappings": json.RawMessage(mapping),
		"aliases":  clause{alias: clause{}},
	})})
	if is(err, "resource_already_exists_exception") {
		return nil
	}
	if err == nil {
		x.cfg.Logger.InfoContext(ctx, "search index made", "index", name, "alias", alias)
	}
	return err
}

// upgrade adds the fields that an index of an older mapping lacks.
func (x *Index) upgrade(ctx context.Context, index string) error {
	have, err := x.mappingVersionOf(ctx, index)
	switch {
	case err != nil:
		return err
	case have > mappingVersion:
		return fmt.Errorf("mapping %d of %s is newer than this program's %d", have, index, mappingVersion)
	case have == mappingVersion:
		return nil
	}
	err = x.change(ctx, esapi.IndicesPutMappingRequest{Index: []string{index}, Body: bytes.NewReader(mapping)})
	if is(err, "illegal_argument_exception") {
		return fmt.Errorf("mapping %d of %s cannot become %d, only a rebuild can: %w", have, index, mappingVersion, err)
	}
	if err == nil {
		x.cfg.Logger.InfoContext(ctx, "search mapping applied", "index", index, "version", mappingVersion)
	}
	return err
}

func (x *Index) mappingVersionOf(ctx context.Context, index string) (int, error) {
	var answer map[string]struct {
		Mappings struct {
			Meta struct {
				Version int `json:"version"`
			} `json:"_meta"`
		} `json:"mappings"`
	}
	err := x.call(ctx, esapi.IndicesGetMappingRequest{Index: []string{index}}, &answer)
	return answer[index].Mappings.Meta.Version, err
}
