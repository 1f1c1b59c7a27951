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
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
	"nodekiln.dev/native/engine"
	"nodekiln.dev/native/loop"
)

type running struct {
	process        *os.Process
	stdin          *os.File
	stdout, stderr *os.File
}

var children table[*running]

var childNows = map[string]loop.Now{
	// spawn(JSON {argv, env, folder}, input) starts a program in a session of its own: `id pid`. Its standard input is
	// "null", "pipe" or a descriptor.
	"spawn": spawn,
}

var childWaits = map[string]loop.Wait{
	// childInput(id, content) writes all of it and closes; EPIPE when the program has ended or closed it before.
	"childInput": func(_ context.Context, v loop.Values, _ loop.Tell) (engine.Value, error) {
		one, err := childOf(v)
		if err != nil {
			return nil, err
		}
		defer one.stdin.Close()
		_, err = one.stdin.Write(v.Content(1))
		return nil, refused(err, "write")
	},
	// childWait(id) tells pieces `stdout|stderr, bytes` and `exit, status, signal`; it is done when the outputs are closed,
	// too. Cancelled, it reads nothing any more; the program is the caller's to end.
	"childWait": childWait,
}

func childOf(v loop.Values) (*running, error) {
	return children.get(v.Number(0))
}

func spawn(v loop.Values) (engine.Value, error) {
	var asked struct {
		Argv, Env []string
		Folder    string
	}
	if err := json.Unmarshal([]byte(v.Text(0)), &asked); err != nil {
		return nil, err
	}
	if len(asked.Argv) == 0 {
		return nil, refused(unix.EINVAL, "spawn")
	}
	program := asked.Argv[0]
	path, err := programPath(program, asked.Env)
	if err != nil {
		return nil, refused(err, "spawn", program)
	}
	one, theirs, err := pipes(v.Text(1))
	defer closeAll(theirs...)
	if err == nil {
		one.process, err = os.StartProcess(path, asked.Argv, &os.ProcAttr{
			Dir: asked.Folder, Env: asked.Env, Files: theirs, Sys: &syscall.SysProcAttr{Setsid: true},
		})
	}
	if err != nil {
		closeAll(one.stdin, one.stdout, one.stderr)
		return nil, refused(err, "spawn", program)
	}
	return fmt.Sprint(children.add(one), " ", one.process.Pid), nil
}

// pipes are our ends, and the program's: standard input, output, error.
func pipes(input string) (one *running, theirs []*os.File, err error) {
	one, theirs = &running{}, make([]*os.File, 3)
	switch input {
	case "null":
		theirs[0], err = os.Open(os.DevNull)
	case "pipe":
		theirs[0], one.stdin, err = os.Pipe()
	default:
		var fd int
		if fd, err = strconv.Atoi(input); err == nil {
			fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		}
		if err == nil {
			theirs[0] = os.NewFile(uintptr(fd), "input")
		}
	}
	if err == nil {
		one.stdout, theirs[1], err = os.Pipe()
	}
	if err == nil {
		one.stderr, theirs[2], err = os.Pipe()
	}
	return one, theirs, err
}

func closeAll(files ...*os.File) {
	for _, file := range files {
		if file != nil {
			_ = file.Close()
		}
	}
}

func childWait(ctx context.Context, v loop.Values, tell loop.Tell) (engine.Value, error) {
	one, err := childOf(v)
	if err != nil {
		return nil, err
	}
	defer func() { _, _ = children.take(v.Number(0)) }()
	close := func() { closeAll(one.stdin, one.stdout, one.stderr) }
	defer close()
	defer context.AfterFunc(ctx, close)()
	var reading sync.WaitGroup
	for name, pipe := range map[string]*os.File{"stdout": one.stdout, "stderr": one.stderr} {
		reading.Go(func() { relay(name, pipe, tell) })
	}
	state, err := one.process.Wait()
	if err != nil {
		return nil, refused(err, "wait")
	}
	status, _ := state.Sys().(syscall.WaitStatus)
	tell("exit", float64(status.ExitStatus()), signalName(status))
	reading.Wait()
	return nil, ctx.Err()
}

func relay(name string, from io.Reader, tell loop.Tell) {
	buffer := make([]byte, 64*1024)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !tell(name, append([]byte(nil), buffer[:n]...)) || err != nil {
			return
		}
	}
}

func signalName(status syscall.WaitStatus) string {
	if !status.Signaled() {
		return ""
	}
	return unix.SignalName(status.Signal())
}

// programPath looks along the PATH that the program is given, as execvp(3) does.
func programPath(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	failure := error(unix.ENOENT)
	for _, folder := range pathIn(env) {
		path := folder + "/" + name
		switch err := unix.Access(path, unix.X_OK); {
		case err == nil && isFile(path):
			return path, nil
		case errors.Is(err, unix.EACCES):
			failure = unix.EACCES
		}
	}
	return "", failure
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func pathIn(env []string) []string {
	for _, one := range env {
		if value, isPath := strings.CutPrefix(one, "PATH="); isPath {
			return filepath.SplitList(value)
		}
	}
	return nil
}
