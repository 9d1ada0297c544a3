package sqlite

import (
	"context"
	"errors"
	"log/slog"
	"sync"
)

var errClosed = errors.New("analytics: the store is closed")

// files keeps a bounded number of files open and closes the one that was used
// longest ago to make room. Every call in progress holds a slot, and there are
// as many slots as files may be open; so whoever needs room finds a file that
// nobody uses, and the bound holds.
type files struct {
	log    *slog.Logger
	slots  chan struct{}
	closed chan struct{}

	mu   sync.Mutex
	open map[string]*entry
	tick uint64
}

// entry is a file that is open or being opened. It is opened outside the lock,
// by whoever comes first, so that nobody waits for another product's disk.
type entry struct {
	*file
	once sync.Once
	err  error
	// users and used are guarded by files.mu.
	users int
	used  uint64
}

func newFiles(limit int, log *slog.Logger) *files {
	return &files{
		log:    log,
		slots:  make(chan struct{}, limit),
		closed: make(chan struct{}),
		open:   make(map[string]*entry),
	}
}

// acquire returns the open file at path, making it if it is missing. The
// caller must release it.
func (fs *files) acquire(ctx context.Context, path string) (*entry, error) {
	if fs.isClosed() {
		return nil, errClosed
	}
	select {
	case fs.slots <- struct{}{}:
	case <-fs.closed:
		return nil, errClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	e, idle := fs.reserve(path)
	if idle != nil {
		fs.closeFile(idle)
	}
	// Others may wait for this opening: the end of one call must not fail them.
	e.once.Do(func() { e.file, e.err = openFile(context.WithoutCancel(ctx), path) })
	if e.err != nil {
		fs.drop(path, e)
		return nil, e.err
	}
	return e, nil
}

// reserve returns the entry of path, and the entry that must be closed to make
// room for it, if any.
func (fs *files) reserve(path string) (e, idle *entry) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	e = fs.open[path]
	if e == nil {
		if len(fs.open) == cap(fs.slots) {
			idle = fs.takeIdle()
		}
		e = &entry{}
		fs.open[path] = e
	}
	fs.tick++
	e.users++
	e.used = fs.tick
	return e, idle
}

// takeIdle removes the entry that was used longest ago of those without users.
func (fs *files) takeIdle() *entry {
	var oldestPath string
	var oldest *entry
	for path, e := range fs.open {
		if e.users == 0 && (oldest == nil || e.used < oldest.used) {
			oldestPath, oldest = path, e
		}
	}
	delete(fs.open, oldestPath)
	return oldest
}

func (fs *files) release(e *entry) {
	fs.mu.Lock()
	e.users--
	fs.mu.Unlock()
	<-fs.slots
}

// drop releases an entry that could not be opened and forgets it, so that the
// next call tries again.
func (fs *files) drop(path string, e *entry) {
	fs.mu.Lock()
	if fs.open[path] == e {
		delete(fs.open, path)
	}
	fs.mu.Unlock()
	<-fs.slots
}

func (fs *files) closeFile(e *entry) {
	if err := e.close(); err != nil {
		fs.log.Warn("close analytics file", "path", e.path, "error", err)
		return
	}
	fs.log.Debug("closed analytics file", "path", e.path)
}

func (fs *files) isClosed() bool {
	select {
	case <-fs.closed:
		return true
	default:
		return false
	}
}

// close refuses new calls, waits for those under way and closes every file.
func (fs *files) close() error {
	fs.mu.Lock()
	if fs.isClosed() {
		fs.mu.Unlock()
		return nil
	}
	close(fs.closed)
	fs.mu.Unlock()
	for range cap(fs.slots) {
		fs.slots <- struct{}{}
	}
	var failed []error
	for _, e := range fs.open {
		failed = append(failed, e.close())
	}
	return errors.Join(failed...)
}
