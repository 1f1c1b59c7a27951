package engine

import (
	"runtime/debug"
	"sync"
	_ "unsafe" // go:linkname

	alloc "modernc.org/memory"
)

// libc's allocator, which the engine's and SQLite's memory comes from, keeps up to 4 MiB of each size for later, and libc
// has no call to give it back.
//
//go:linkname allocator modernc.org/libc.allocator
var allocator alloc.Allocator

//go:linkname allocatorMu modernc.org/libc.allocatorMu
var allocatorMu sync.Mutex

// Tidy frees cycles, and gives back to the system what is not used, also of Go's heap. It takes some tens of milliseconds.
func (e *Engine) Tidy() error {
	e.Collect()
	allocatorMu.Lock()
	defer allocatorMu.Unlock()
	err := allocator.Trim()
	debug.FreeOSMemory()
	return err
}
