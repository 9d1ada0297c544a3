package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"

	"runa/schemas"
)

// CreateTool registers a tool. An identical definition of the same name is the
// tool that exists; a different one is schemas.Conflict.
func (s *Store) CreateTool(ctx context.Context, product string, spec schemas.ToolSpec, i Idempotency) (schemas.Tool, error) {
	var tool schemas.Tool
	err := s.update(ctx, func(t *tx) error {
		if err := t.mustLive(ctx, product); err != nil {
			return err
		}
		id, err := t.bound(ctx, product, kindTool, i)
		if err != nil {
			return err
		}
		if id != "" {
			tool, err = t.readTool(ctx, product, id)
			return err
		}
		if tool, err = s.sameTool(ctx, t, product, spec); err != nil {
			return err
		}
		if tool.ID == "" {
			if tool, err = s.insertTool(ctx, t, product, spec); err != nil {
				return err
			}
		}
		return t.bind(ctx, product, kindTool, i, tool.ID)
	})
	return tool, err
}

// sameTool returns the tool of that name if its definition is the same, and a
// zero Tool if the name is free.
func (s *Store) sameTool(ctx context.Context, t *tx, product string, spec schemas.ToolSpec) (schemas.Tool, error) {
	var id string
	err := t.row(ctx, `SELECT id FROM tools WHERE product = ? AND name = ?`, product, spec.Name).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return schemas.Tool{}, nil
	}
	if err != nil {
		return schemas.Tool{}, err
	}
	tool, stored, err := s.readWhole(ctx, t, product, id)
	if err != nil {
		return schemas.Tool{}, err
	}
	if !equalSpec(stored, spec) {
		return schemas.Tool{}, &schemas.Error{
			Code: schemas.Conflict, Param: "name",
			Message: "a different tool has the name " + spec.Name + "; PATCH /v1/tools/" + id + " changes it",
		}
	}
	return tool, nil
}

func equalSpec(a, b schemas.ToolSpec) bool {
	left, errA := json.Marshal(a)
	right, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(left, right)
}

func (s *Store) insertTool(ctx context.Context, t *tx, product string, spec schemas.ToolSpec) (schemas.Tool, error) {
	id := schemas.NewID(schemas.ToolPrefix)
	text, headers, err := s.sealSpec(product, id, spec)
	if err != nil {
		return schemas.Tool{}, err
	}
	_, err = t.exec(ctx, `INSERT INTO tools (product, id, name, spec, headers, created_at) VALUES (?, ?, ?, ?, ?, ?)`,
		product, id, spec.Name, text, headers, t.now)
	if err != nil {
		return schemas.Tool{}, err
	}
	return t.readTool(ctx, product, id)
}

// storedSpec is a tool's definition as the row keeps it: the names of its
// headers in the open, their values sealed beside it.
type storedSpec struct {
	schemas.ToolSpec
	HeaderNames []string `json:"headerNames"`
}

func (s *Store) sealSpec(product, id string, spec schemas.ToolSpec) (text string, headers []byte, err error) {
	secrets, err := json.Marshal(spec.Headers)
	if err != nil {
		return "", nil, err
	}
	if headers, err = s.sealer.Seal(secrets, product, id); err != nil {
		return "", nil, err
	}
	stored := storedSpec{ToolSpec: spec, HeaderNames: []string{}}
	for name := range spec.Headers {
		stored.HeaderNames = append(stored.HeaderNames, name)
	}
	slices.Sort(stored.HeaderNames)
	stored.Headers = nil
	raw, err := json.Marshal(stored)
	return string(raw), headers, err
}

// UpdateTool changes a tool by a patch that valid accepts.
func (s *Store) UpdateTool(ctx context.Context, product, id string, patch schemas.ToolPatch, valid func(*schemas.ToolSpec) error) (schemas.Tool, error) {
	var tool schemas.Tool
	err := s.update(ctx, func(t *tx) error {
		if err := t.lockProduct(ctx, product); err != nil {
			return err
		}
		_, spec, err := s.readWhole(ctx, t, product, id)
		if err != nil {
			return err
		}
		patch.Apply(&spec)
		if err := valid(&spec); err != nil {
			return err
		}
		if err := t.freeName(ctx, product, id, spec.Name); err != nil {
			return err
		}
		text, headers, err := s.sealSpec(product, id, spec)
		if err != nil {
			return err
		}
		_, err = t.exec(ctx, `UPDATE tools SET name = ?, spec = ?, headers = ? WHERE product = ? AND id = ?`,
			spec.Name, text, headers, product, id)
		if err != nil {
			return err
		}
		tool, err = t.readTool(ctx, product, id)
		return err
	})
	return tool, err
}

func (t *tx) freeName(ctx context.Context, product, id, name string) error {
	var n int
	err := t.row(ctx, `SELECT count(*) FROM tools WHERE product = ? AND name = ? AND id <> ?`, product, name, id).Scan(&n)
	if err == nil && n > 0 {
		return &schemas.Error{Code: schemas.Conflict, Message: "another tool has the name " + name, Param: "name"}
	}
	return err
}

// DeleteTool removes a tool. Calls that were made of it stay as they are.
func (s *Store) DeleteTool(ctx context.Context, product, id string) error {
	return s.update(ctx, func(t *tx) error {
		if err := t.lockProduct(ctx, product); err != nil {
			return err
		}
		changed, err := t.exec(ctx, `DELETE FROM tools WHERE product = ? AND id = ?`, product, id)
		if err := missing(changed, err, "tool", id); err != nil {
			return err
		}
		return t.unbind(ctx, product, kindTool, id)
	})
}

// Tool returns a tool.
func (s *Store) Tool(ctx context.Context, product, id string) (schemas.Tool, error) {
	var tool schemas.Tool
	err := s.view(ctx, func(t *tx) (err error) {
		tool, err = t.readTool(ctx, product, id)
		return err
	})
	return tool, err
}

// ToolWithHeaders returns a tool and its secret headers, for calling it.
func (s *Store) ToolWithHeaders(ctx context.Context, product, id string) (schemas.Tool, map[string]string, error) {
	var tool schemas.Tool
	var spec schemas.ToolSpec
	err := s.view(ctx, func(t *tx) (err error) {
		tool, spec, err = s.readWhole(ctx, t, product, id)
		return err
	})
	return tool, spec.Headers, err
}

// Tools lists a product's tools, oldest first.
func (s *Store) Tools(ctx context.Context, product string, o ListOptions) (List[schemas.Tool], error) {
	after, err := parseCursor(o.Cursor, first)
	if err != nil {
		return List[schemas.Tool]{}, err
	}
	r := s.reader()
	rows, err := r.query(ctx, `SELECT id, spec, created_at FROM tools
		WHERE product = ? AND (created_at > ? OR (created_at = ? AND id > ?))
		ORDER BY created_at, id LIMIT ?`, product, after.at, after.at, after.id, o.limit()+1)
	items, err := collect(rows, err, func(rows *sql.Rows) (schemas.Tool, error) { return scanTool(rows) })
	if err != nil {
		return List[schemas.Tool]{}, err
	}
	var total int
	err = r.row(ctx, `SELECT count(*) FROM tools WHERE product = ?`, product).Scan(&total)
	return page(items, o.limit(), total, func(t schemas.Tool) place { return place{timeMillis(t.CreatedAt), t.ID} }), err
}

func (t *tx) readTool(ctx context.Context, product, id string) (schemas.Tool, error) {
	tool, err := scanTool(t.row(ctx, `SELECT id, spec, created_at FROM tools WHERE product = ? AND id = ?`, product, id))
	return tool, notFound(err, "tool", id)
}

func scanTool(row scanner) (schemas.Tool, error) {
	var id, text string
	var created int64
	if err := row.Scan(&id, &text, &created); err != nil {
		return schemas.Tool{}, err
	}
	var s storedSpec
	err := json.Unmarshal([]byte(text), &s)
	return s.tool(id, created), err
}

func (s storedSpec) tool(id string, created int64) schemas.Tool {
	return schemas.Tool{
		ID: id, Name: s.Name, Description: s.Description, Endpoint: s.Endpoint, Method: s.Method,
		Parameters: s.Parameters, HeaderNames: orEmpty(s.HeaderNames), TimeoutMs: s.TimeoutMs, Effect: s.Effect,
		Status: schemas.ToolActive, CreatedAt: schemas.Time(schemas.FromMillis(created)),
	}
}

// readWhole reads a tool with its secret headers in one statement: they must
// not go out to the endpoint that it had before a change.
func (s *Store) readWhole(ctx context.Context, t *tx, product, id string) (schemas.Tool, schemas.ToolSpec, error) {
	var text string
	var sealed []byte
	var created int64
	err := t.row(ctx, `SELECT spec, headers, created_at FROM tools WHERE product = ? AND id = ?`, product, id).
		Scan(&text, &sealed, &created)
	if err != nil {
		return schemas.Tool{}, schemas.ToolSpec{}, notFound(err, "tool", id)
	}
	var stored storedSpec
	if err := json.Unmarshal([]byte(text), &stored); err != nil {
		return schemas.Tool{}, schemas.ToolSpec{}, err
	}
	tool := stored.tool(id, created)
	stored.Headers, err = s.openHeaders(sealed, product, id)
	return tool, stored.ToolSpec, err
}

func (s *Store) openHeaders(sealed []byte, product, id string) (map[string]string, error) {
	plain, err := s.sealer.Open(sealed, product, id)
	if err != nil {
		return nil, err
	}
	var headers map[string]string
	return headers, json.Unmarshal(plain, &headers)
}
