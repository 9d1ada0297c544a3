package seal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// Setting is the name of the setting that holds a keyset; errors about its
// value carry it.
const Setting = "RUNA_KEYSET"

// maxKeyset bounds a keyset file, in bytes; a keyset of a hundred keys has
// about 20 KB.
const maxKeyset = 1 << 20

// Load returns the Sealer of the keyset in fromEnv (the value of RUNA_KEYSET: a
// cleartext tink JSON keyset, base64) or, if fromEnv is empty, of the file at
// path (the same JSON, not encoded). A file that does not exist is made, with
// one new AES-256-GCM key and mode 0600; processes that race to make it all
// get the keyset of the one that won. The folder of path must exist.
//
// A file that others can read or write is refused.
func Load(path string, fromEnv string) (*Sealer, error) {
	if value := strings.TrimSpace(fromEnv); value != "" {
		return fromValue(value)
	}
	sealer, err := fromFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return sealer, err
	}
	if err := create(path); err != nil {
		return nil, fmt.Errorf("make keyset file %s: %w", path, err)
	}
	return fromFile(path)
}

// fromValue never repeats the value in an error: it is a secret, even a bad one.
func fromValue(value string) (*Sealer, error) {
	const allowed = Setting + ": want a tink JSON keyset in base64"
	text, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return nil, fmt.Errorf("%s: the value is not base64", allowed)
	}
	sealer, err := parse(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", allowed, err)
	}
	return sealer, nil
}

func fromFile(path string) (*Sealer, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open keyset file: %w", err)
	}
	defer func() { _ = file.Close() }()
	if err := checkMode(file); err != nil {
		return nil, err
	}
	sealer, err := parse(io.LimitReader(file, maxKeyset))
	if err != nil {
		return nil, fmt.Errorf("keyset file %s: want a tink JSON keyset: %w", path, err)
	}
	return sealer, nil
}

func checkMode(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("keyset file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("keyset file %s is not a regular file", file.Name())
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("keyset file %s has mode %04o, so other users can reach the key: run chmod 600 %s",
			file.Name(), mode, file.Name())
	}
	return nil
}

func parse(r io.Reader) (*Sealer, error) {
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(r))
	if err != nil {
		return nil, fmt.Errorf("not a keyset: %w", err)
	}
	return newSealer(handle)
}

// create puts a new keyset at path, or leaves the one that another process put
// there first. The file is whole and on disk before it has its name, and the
// name is on disk before create returns: a key that is lost in a power cut
// would take along all that was sealed with it.
func create(path string) error {
	text, err := generate()
	if err != nil {
		return err
	}
	folder := filepath.Dir(path)
	temporary, err := writeTemporary(folder, text)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary) }()
	// Link fails if the name is taken, where rename would replace a keyset that
	// another process may already be using.
	if err := os.Link(temporary, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(folder)
}

// NewKeyset returns a new keyset with one AES-256-GCM key, as the setting takes
// it.
func NewKeyset() (string, error) {
	text, err := generate()
	return base64.StdEncoding.EncodeToString(text), err
}

func generate() ([]byte, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	var text bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&text)); err != nil {
		return nil, fmt.Errorf("write keyset: %w", err)
	}
	return text.Bytes(), nil
}

// writeTemporary writes text to a new file in folder, mode 0600, flushed to
// disk, and returns its path.
func writeTemporary(folder string, text []byte) (path string, err error) {
	file, err := os.CreateTemp(folder, ".keyset-*")
	if err != nil {
		return "", err
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Sync(), file.Close())
	if err != nil {
		_ = os.Remove(file.Name())
		return "", err
	}
	return file.Name(), nil
}

func syncFolder(folder string) error {
	dir, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
