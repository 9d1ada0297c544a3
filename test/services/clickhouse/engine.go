package main

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

// engine is libchdb's C interface, as far as it is used here.
type engine struct {
	connect func(argc int32, argv **byte) *pointer
	release func(conn *pointer)
	query   func(conn pointer, sql string, n uintptr, format string, fn uintptr, p1 **byte, p2 *uintptr, p3 **byte, p4 *uintptr, pn uintptr) pointer
	insert  func(conn pointer, sql string, n uintptr, format string, fn uintptr, p1 **byte, p2 *uintptr, p3 **byte, p4 *uintptr, pn uintptr) pointer
	push    func(insert pointer, data *byte, n uintptr) int32
	finish  func(insert pointer) pointer
	abandon func(insert pointer)
	wrong   func(insert pointer) string
	forget  func(insert pointer)
	destroy func(result pointer)
	buffer  func(result pointer) *byte
	length  func(result pointer) uintptr
	failure func(result pointer) string
}

// pointer is an address of the library's memory; Go's collector knows nothing of it.
type pointer uintptr

func load(path string) (*engine, error) {
	lib, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return nil, err
	}
	e := &engine{}
	for name, f := range map[string]any{
		"chdb_connect":                     &e.connect,
		"chdb_close_conn":                  &e.release,
		"chdb_query_with_params_n":         &e.query,
		"chdb_stream_insert_with_params_n": &e.insert,
		"chdb_stream_append":               &e.push,
		"chdb_stream_done":                 &e.finish,
		"chdb_stream_cancel_insert":        &e.abandon,
		"chdb_stream_insert_error":         &e.wrong,
		"chdb_destroy_insert_stream":       &e.forget,
		"chdb_destroy_query_result":        &e.destroy,
		"chdb_result_buffer":               &e.buffer,
		"chdb_result_length":               &e.length,
		"chdb_result_error":                &e.failure,
	} {
		purego.RegisterLibFunc(f, lib, name)
	}
	return e, nil
}

// conn is one session of the engine. It is for one goroutine at a time; the
// engine lives as long as at least one conn is open.
type conn struct {
	*engine
	handle *pointer
}

func (e *engine) open(dir string) (*conn, error) {
	argv := []*byte{cString("clickhouse"), cString("--path=" + dir)}
	handle := e.connect(int32(len(argv)), &argv[0])
	runtime.KeepAlive(argv)
	if handle == nil {
		return nil, errors.New("the engine cannot open " + dir)
	}
	return &conn{engine: e, handle: handle}, nil
}

func (c *conn) close() { c.release(c.handle) }

// run answers one statement in the format, wholly in memory.
func (c *conn) run(sql, format string, params map[string]string) ([]byte, error) {
	p := newParams(params)
	result := c.query(*c.handle, sql, uintptr(len(sql)), format, uintptr(len(format)), p.names(), p.nameSizes(), p.values(), p.valueSizes(), p.len())
	runtime.KeepAlive(p)
	return c.take(result)
}

// load feeds the data of an INSERT. Data that ends with an error leaves no row.
func (c *conn) load(sql, format string, params map[string]string, data io.Reader) error {
	p := newParams(params)
	stream := c.insert(*c.handle, sql, uintptr(len(sql)), format, uintptr(len(format)), p.names(), p.nameSizes(), p.values(), p.valueSizes(), p.len())
	runtime.KeepAlive(p)
	if stream == 0 {
		return errors.New("the engine took no INSERT")
	}
	defer c.forget(stream)
	if err := c.pushAll(stream, data); err != nil {
		c.abandon(stream)
		return err
	}
	if text := c.wrong(stream); text != "" {
		return errors.New(text)
	}
	_, err := c.take(c.finish(stream))
	return err
}

// pushAll stops early, without an error of its own, when the engine refuses
// data: the stream knows why.
func (c *conn) pushAll(stream pointer, data io.Reader) error {
	part := make([]byte, 1<<20)
	for c.wrong(stream) == "" {
		n, err := io.ReadFull(data, part)
		if n > 0 && c.push(stream, &part[0], uintptr(n)) != 0 {
			return nil
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return fmt.Errorf("Code: 210. DB::Exception: the request's body: %w. (NETWORK_ERROR)", err) //nolint:staticcheck // ClickHouse's wording
		}
	}
	return nil
}

func (c *conn) take(result pointer) ([]byte, error) {
	if result == 0 {
		return nil, errors.New("the engine gave no result")
	}
	defer c.destroy(result)
	if text := c.failure(result); text != "" {
		return nil, errors.New(text)
	}
	n := c.length(result)
	if n == 0 {
		return nil, nil
	}
	return append([]byte(nil), unsafe.Slice(c.buffer(result), n)...), nil
}

// params are a statement's parameters, laid out as C wants them.
type params struct {
	name, value         []*byte
	nameSize, valueSize []uintptr
}

func newParams(m map[string]string) *params {
	p := &params{}
	for name, value := range m {
		p.name, p.nameSize = append(p.name, cString(name)), append(p.nameSize, uintptr(len(name)))
		p.value, p.valueSize = append(p.value, cString(value)), append(p.valueSize, uintptr(len(value)))
	}
	return p
}

func (p *params) len() uintptr         { return uintptr(len(p.name)) }
func (p *params) names() **byte        { return unsafe.SliceData(p.name) }
func (p *params) values() **byte       { return unsafe.SliceData(p.value) }
func (p *params) nameSizes() *uintptr  { return unsafe.SliceData(p.nameSize) }
func (p *params) valueSizes() *uintptr { return unsafe.SliceData(p.valueSize) }

func cString(s string) *byte { return &append([]byte(s), 0)[0] }
