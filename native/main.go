// The host program: one static executable that carries the bytecode of nodekiln's TypeScript and what it calls.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"nodekiln.dev/native/engine"
	"nodekiln.dev/native/loop"
	"nodekiln.dev/native/sourcemap"
	"nodekiln.dev/native/surface"
)

//go:embed program/program.bin
var bytecode []byte

//go:embed program/program.map.gz
var packedMap []byte

var limits = engine.Limits{
	Memory: 512 << 20,
	// A plan of a large document is one turn.
	Turn: 60 * time.Second,
}

// defect is EX_SOFTWARE of sysexits(3).
const defect = 70

func main() {
	// The engine's own memory is not Go's; what is Go's is short-lived.
	debug.SetGCPercent(50)
	status, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, message(err))
		status = defect
	}
	os.Exit(status)
}

func run() (int, error) {
	e, err := engine.New(limits)
	if err != nil {
		return 0, err
	}
	return loop.New(e, surface.Nows(), surface.Waits()).Run(context.Background(), func() error {
		err := e.Load(bytecode)
		forget(bytecode)
		return err
	})
}

// forget lets go of the pages of what lies in the executable: they can be read again.
func forget(embedded []byte) {
	page := os.Getpagesize()
	start := -int(uintptr(unsafe.Pointer(unsafe.SliceData(embedded)))) & (page - 1)
	if whole := (len(embedded) - start) &^ (page - 1); whole > 0 {
		_ = unix.Madvise(embedded[start:start+whole], unix.MADV_DONTNEED)
	}
}

// message is what is known of an error, a stack of TypeScript in its own lines.
func message(err error) string {
	var thrown *engine.Error
	if !errors.As(err, &thrown) {
		return err.Error()
	}
	text := thrown.Error()
	if thrown.Interrupted() {
		text += fmt.Sprintf(": one turn lasted longer than %v; what it was given is too much for this host program", limits.Turn)
	}
	if m, err := sources(); err == nil {
		return strings.TrimSpace(text + "\n" + m.Stack(thrown.Stack))
	}
	return strings.TrimSpace(text + "\n" + thrown.Stack)
}

func sources() (*sourcemap.Map, error) {
	packed, err := gzip.NewReader(bytes.NewReader(packedMap))
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(packed)
	if err != nil {
		return nil, err
	}
	return sourcemap.Parse(data)
}
