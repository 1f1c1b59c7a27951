package surface

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
	"nodekiln.dev/native/engine"
	"nodekiln.dev/native/loop"
)

// Descriptors are the system's own numbers. A stat is `mode size uid gid mtimeNs inode device links blocks`.
var fileNows = map[string]loop.Now{
	"open":  func(v loop.Values) (engine.Value, error) { return open(v) },
	"close": func(v loop.Values) (engine.Value, error) { return nil, refused(unix.Close(v.Int(0)), "close") },
	"fstat": func(v loop.Values) (engine.Value, error) {
		var found unix.Stat_t
		err := again(func() error { return unix.Fstat(v.Int(0), &found) })
		return statText(&found), refused(err, "fstat")
	},
	// Undefined where there is nothing.
	"look": func(v loop.Values) (engine.Value, error) {
		text, err := lstat(v.Text(0))
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
			return nil, nil
		}
		return text, refused(err, "lstat", v.Text(0))
	},
	"read":  func(v loop.Values) (engine.Value, error) { return read(v) },
	"write": func(v loop.Values) (engine.Value, error) { return write(v) },
	"fchown": func(v loop.Values) (engine.Value, error) {
		return nil, refused(unix.Fchown(v.Int(0), v.Int(1), v.Int(2)), "fchown")
	},
	"fchmod": func(v loop.Values) (engine.Value, error) {
		return nil, refused(unix.Fchmod(v.Int(0), uint32(v.Int(1))), "fchmod")
	},
	"rename":   func(v loop.Values) (engine.Value, error) { return nil, rename(v) },
	"inotify":  func(v loop.Values) (engine.Value, error) { return inotify(v.Text(0), uint32(v.Int(1))) },
	"realpath": func(v loop.Values) (engine.Value, error) { return realpath(v) },
	"readdir":  func(v loop.Values) (engine.Value, error) { return readdir(v) },
	"terminal": func(v loop.Values) (engine.Value, error) { return terminal(v.Int(0)), nil },
	"chmod": func(v loop.Values) (engine.Value, error) {
		return nil, refused(unix.Chmod(v.Text(0), uint32(v.Int(1))), "chmod", v.Text(0))
	},
	"unlinkNow": func(v loop.Values) (engine.Value, error) {
		return nil, refused(unix.Unlink(v.Text(0)), "unlink", v.Text(0))
	},
	"rmdirNow": func(v loop.Values) (engine.Value, error) {
		return nil, refused(unix.Rmdir(v.Text(0)), "rmdir", v.Text(0))
	},
	"mkdirNow": func(v loop.Values) (engine.Value, error) {
		return nil, refused(unix.Mkdir(v.Text(0), uint32(v.Int(1))), "mkdir", v.Text(0))
	},
	"copyNow": func(v loop.Values) (engine.Value, error) {
		return nil, refused(copyFile(v.Text(0), v.Text(1)), "copyfile", v.Text(0), v.Text(1))
	},
}

// later makes an operation wait on a goroutine.
func later(call func(loop.Values) (engine.Value, error)) loop.Wait {
	return func(_ context.Context, v loop.Values, _ loop.Tell) (engine.Value, error) { return call(v) }
}

var fileWaits = map[string]loop.Wait{
	"open":  later(open),
	"close": later(func(v loop.Values) (engine.Value, error) { return nil, refused(unix.Close(v.Int(0)), "close") }),
	"lstat": later(func(v loop.Values) (engine.Value, error) {
		text, err := lstat(v.Text(0))
		return text, refused(err, "lstat", v.Text(0))
	}),
	"read":  later(read),
	"write": later(write),
	"fsync": later(func(v loop.Values) (engine.Value, error) {
		return nil, refused(again(func() error { return unix.Fsync(v.Int(0)) }), "fsync")
	}),
	"ftruncate": later(func(v loop.Values) (engine.Value, error) {
		return nil, refused(again(func() error { return unix.Ftruncate(v.Int(0), int64(v.Int(1))) }), "ftruncate")
	}),
	"readlink": later(func(v loop.Values) (engine.Value, error) {
		target, err := os.Readlink(v.Text(0))
		return target, refused(err, "readlink", v.Text(0))
	}),
	"readdir": later(readdir),
	"mkdir": later(func(v loop.Values) (engine.Value, error) {
		return nil, refused(unix.Mkdir(v.Text(0), uint32(v.Int(1))), "mkdir", v.Text(0))
	}),
	"symlink": later(func(v loop.Values) (engine.Value, error) {
		return nil, refused(unix.Symlink(v.Text(0), v.Text(1)), "symlink", v.Text(0), v.Text(1))
	}),
	"link": later(func(v loop.Values) (engine.Value, error) {
		return nil, refused(unix.Link(v.Text(0), v.Text(1)), "link", v.Text(0), v.Text(1))
	}),
	"reflink": later(func(v loop.Values) (engine.Value, error) {
		return nil, refused(reflink(v.Text(0), v.Text(1)), "copyfile", v.Text(0), v.Text(1))
	}),
	"copy": later(func(v loop.Values) (engine.Value, error) {
		return nil, refused(copyFile(v.Text(0), v.Text(1)), "copyfile", v.Text(0), v.Text(1))
	}),
	"unlink": later(func(v loop.Values) (engine.Value, error) {
		return nil, refused(unix.Unlink(v.Text(0)), "unlink", v.Text(0))
	}),
	"rmdir": later(func(v loop.Values) (engine.Value, error) {
		return nil, refused(unix.Rmdir(v.Text(0)), "rmdir", v.Text(0))
	}),
	// `totalBytes availableBytes`
	"statfs": later(func(v loop.Values) (engine.Value, error) {
		var found unix.Statfs_t
		err := again(func() error { return unix.Statfs(v.Text(0), &found) })
		size := uint64(found.Bsize)
		return strconv.FormatUint(size*found.Blocks, 10) + " " + strconv.FormatUint(size*found.Bavail, 10), refused(err, "statfs", v.Text(0))
	}),
	"events": events,
}

// open(path, flags, mode)
func open(v loop.Values) (engine.Value, error) {
	var fd int
	err := again(func() (err error) {
		fd, err = unix.Open(v.Text(0), v.Int(1)|unix.O_CLOEXEC, uint32(v.Int(2)))
		return err
	})
	return float64(fd), refused(err, "open", v.Text(0))
}

// read(fd, length, position); a position below 0 is where the descriptor stands.
func read(v loop.Values) (engine.Value, error) {
	fd, position := v.Int(0), int64(v.Int(2))
	data := make([]byte, v.Int(1))
	var n int
	err := again(func() (err error) {
		if position < 0 {
			n, err = unix.Read(fd, data)
		} else {
			n, err = unix.Pread(fd, data, position)
		}
		return err
	})
	return data[:max(n, 0)], refused(err, "read")
}

// write(fd, bytes, position)
func write(v loop.Values) (engine.Value, error) {
	fd, data, position := v.Int(0), v.Content(1), int64(v.Int(2))
	var n int
	err := again(func() (err error) {
		if position < 0 {
			n, err = unix.Write(fd, data)
		} else {
			n, err = unix.Pwrite(fd, data, position)
		}
		return err
	})
	return float64(n), refused(err, "write")
}

func rename(v loop.Values) error {
	return refused(again(func() error { return unix.Rename(v.Text(0), v.Text(1)) }), "rename", v.Text(0), v.Text(1))
}

func realpath(v loop.Values) (engine.Value, error) {
	real, err := filepath.EvalSymlinks(v.Text(0))
	if err == nil {
		real, err = filepath.Abs(real)
	}
	return real, refused(err, "realpath", v.Text(0))
}

func lstat(path string) (string, error) {
	var found unix.Stat_t
	err := again(func() error { return unix.Lstat(path, &found) })
	return statText(&found), err
}

func statText(s *unix.Stat_t) string {
	text := make([]byte, 0, 128)
	for _, number := range []uint64{uint64(s.Mode), uint64(s.Size), uint64(s.Uid), uint64(s.Gid)} {
		text = append(strconv.AppendUint(text, number, 10), ' ')
	}
	text = append(strconv.AppendInt(text, s.Mtim.Nano(), 10), ' ')
	for _, number := range []uint64{s.Ino, s.Dev, uint64(s.Nlink)} {
		text = append(strconv.AppendUint(text, number, 10), ' ')
	}
	return string(strconv.AppendInt(text, s.Blocks, 10))
}

// readdir is JSON: names and the letters of their types, one after the other.
func readdir(v loop.Values) (engine.Value, error) {
	folder, err := os.Open(v.Text(0))
	if err != nil {
		return nil, refused(err, "scandir", v.Text(0))
	}
	defer folder.Close()
	found, err := folder.ReadDir(-1)
	if err != nil {
		return nil, refused(err, "scandir", v.Text(0))
	}
	names := make([]string, 0, 2*len(found))
	for _, entry := range found {
		letter := "o"
		switch entry.Type() {
		case 0:
			letter = "f"
		case os.ModeDir:
			letter = "d"
		case os.ModeSymlink:
			letter = "l"
		}
		names = append(names, entry.Name(), letter)
	}
	text, err := json.Marshal(names)
	return string(text), err
}

// making opens one file to read and makes another; what it cannot fill does not stay.
func making(from, to string, fill func(from, to *os.File) error) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm())
	if err != nil {
		return err
	}
	if err := fill(source, target); err != nil {
		_ = target.Close()
		_ = os.Remove(to)
		return err
	}
	return target.Close()
}

func reflink(from, to string) error {
	return making(from, to, func(from, to *os.File) error {
		return unix.IoctlFileClone(int(to.Fd()), int(from.Fd()))
	})
}

func copyFile(from, to string) error {
	return making(from, to, func(from, to *os.File) error {
		_, err := io.Copy(to, from)
		return err
	})
}

// inotify(folder, mask) is a descriptor that tells of the folder from now on; `events` reads and closes it.
func inotify(folder string, mask uint32) (engine.Value, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, refused(err, "watch", folder)
	}
	if _, err := unix.InotifyAddWatch(fd, folder, mask|unix.IN_ONLYDIR); err != nil {
		_ = unix.Close(fd)
		return nil, refused(err, "watch", folder)
	}
	return float64(fd), nil
}

// events(fd) tells `mask, name` of each event until it is cancelled. A queue that overflowed has a mask, too.
func events(ctx context.Context, v loop.Values, tell loop.Tell) (engine.Value, error) {
	file := os.NewFile(uintptr(v.Int(0)), "inotify")
	defer context.AfterFunc(ctx, func() { _ = file.Close() })()
	defer file.Close()
	buffer := make([]byte, 64*1024)
	for {
		n, err := file.Read(buffer)
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, refused(err, "watch")
		}
		for at := 0; at+unix.SizeofInotifyEvent <= n; {
			event := (*unix.InotifyEvent)(unsafe.Pointer(&buffer[at]))
			at += unix.SizeofInotifyEvent
			name := strings.TrimRight(string(buffer[at:at+int(event.Len)]), "\x00")
			at += int(event.Len)
			if !tell(float64(event.Mask), name) {
				return nil, ctx.Err()
			}
		}
	}
}

// terminal is its `columns rows`; undefined where there is none.
func terminal(fd int) engine.Value {
	size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
	if err != nil {
		return nil
	}
	return fmt.Sprint(size.Col, size.Row)
}
