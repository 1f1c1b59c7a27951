// Package surface is what the host program offers to TypeScript: system calls, connections, SQLite, arithmetic. Each
// operation does one thing and decides nothing: no names of units, no second tries, no paths of its own. What is asked for is
// checked for its types; what the system refuses is thrown with the name of its errno.
package surface

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
	"nodekiln.dev/native/loop"
)

// Nows are all operations that do not wait, by name.
func Nows() map[string]loop.Now {
	all := map[string]loop.Now{}
	for _, some := range []map[string]loop.Now{process, textNows, fileNows, digestNows, childNows, databaseNows, netNows, serverNows, busNows, keyNows, streamNows} {
		maps.Copy(all, some)
	}
	return all
}

// Waits are all operations that wait, by name.
func Waits() map[string]loop.Wait {
	all := map[string]loop.Wait{}
	for _, some := range []map[string]loop.Wait{fileWaits, childWaits, netWaits, serverWaits, busWaits, streamWaits, signalWaits} {
		maps.Copy(all, some)
	}
	return all
}

// refusal is what the system said no to.
type refusal struct {
	errno      syscall.Errno
	call       string
	path, dest string
}

func (r refusal) Error() string {
	text := unix.ErrnoName(r.errno) + ": " + r.errno.Error() + ", " + r.call
	if r.path != "" {
		text += " '" + r.path + "'"
	}
	if r.dest != "" {
		text += " -> '" + r.dest + "'"
	}
	return text
}

// Describe gives the errno's name.
func (r refusal) Describe() (code, path string) { return unix.ErrnoName(r.errno), r.path }

// refused is nil for nil. `paths` are the call's.
func refused(err error, call string, paths ...string) error {
	if err == nil {
		return nil
	}
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s %s: %w", call, strings.Join(paths, " "), err)
		}
		errno = unix.ENOENT
	}
	paths = append(paths, "", "")
	return refusal{errno, call, paths[0], paths[1]}
}

// named is an error with a code of its own.
type named struct{ code, message string }

func (n named) Error() string { return n.message }

// Describe gives the code.
func (n named) Describe() (code, path string) { return n.code, "" }

// again repeats what a signal interrupted.
func again(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// table holds what is open by numbers, for TypeScript to name; it may be used from any goroutine.
type table[T any] struct {
	mutex sync.Mutex
	open  map[float64]T
	last  float64
}

func (t *table[T]) add(one T) float64 {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.open == nil {
		t.open = map[float64]T{}
	}
	t.last++
	t.open[t.last] = one
	return t.last
}

func (t *table[T]) get(id float64) (T, error) { return t.look(id, false) }

// take takes it out.
func (t *table[T]) take(id float64) (T, error) { return t.look(id, true) }

func (t *table[T]) look(id float64, out bool) (one T, err error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	one, isOpen := t.open[id]
	if !isOpen {
		err = named{"ERR_CLOSED", fmt.Sprintf("%v is not open", id)}
	}
	if out {
		delete(t.open, id)
	}
	return one, err
}
