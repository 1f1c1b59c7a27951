package surface

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"unicode/utf8"

	"golang.org/x/sys/unix"
	"nodekiln.dev/native/engine"
	"nodekiln.dev/native/loop"
)

var process = map[string]loop.Now{
	// CLOCK_MONOTONIC in milliseconds with fractions.
	"monotonic": func(loop.Values) (engine.Value, error) {
		var now unix.Timespec
		err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
		return float64(now.Nano()/1000) / 1000, refused(err, "clock_gettime")
	},
	// JSON: what does not change while we run.
	"process": func(loop.Values) (engine.Value, error) {
		executable, _ := os.Executable()
		folder, _ := os.Getwd()
		text, err := json.Marshal(map[string]any{
			"pid": os.Getpid(), "uid": os.Geteuid(), "gid": os.Getegid(), "arguments": os.Args[1:], "environment": os.Environ(),
			"folder": folder, "executable": executable, "architecture": runtime.GOARCH, "processors": runtime.NumCPU(),
		})
		return string(text), err
	},
	"kill": func(v loop.Values) (engine.Value, error) {
		return nil, refused(unix.Kill(v.Int(0), unix.SignalNum(v.Text(1))), "kill")
	},
	"priority": func(loop.Values) (engine.Value, error) {
		// The system call answers 20 - nice.
		value, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
		return float64(20 - value), refused(err, "getpriority")
	},
	"signalNumber": func(v loop.Values) (engine.Value, error) { return float64(unix.SignalNum(v.Text(0))), nil },
	// `cpuMs peakKiB`, of ourselves.
	"usage": func(loop.Values) (engine.Value, error) {
		var use unix.Rusage
		err := unix.Getrusage(unix.RUSAGE_SELF, &use)
		text, _ := json.Marshal([]float64{float64(use.Utime.Nano()+use.Stime.Nano()) / 1e6, float64(use.Maxrss)})
		return string(text), err
	},
	"random": func(v loop.Values) (engine.Value, error) { return random(v.Int(0)) },
	"saveMemory": func(v loop.Values) (engine.Value, error) {
		if v.Bool(0) {
			debug.FreeOSMemory()
		}
		return nil, nil
	},
	// hear(JSON of names of signals) is an id for `signals`; none of them ends us from here on.
	"hear": func(v loop.Values) (engine.Value, error) {
		var names []string
		if err := json.Unmarshal(v.Content(0), &names); err != nil {
			return nil, err
		}
		came := make(chan os.Signal, 8)
		for _, name := range names {
			signal.Notify(came, unix.SignalNum(name))
		}
		return ears.add(came), nil
	},
	// Ends us by a signal that nobody listens to any more.
	"endBy": func(v loop.Values) (engine.Value, error) {
		number := unix.SignalNum(v.Text(0))
		signal.Reset(number)
		return nil, refused(unix.Kill(os.Getpid(), number), "kill")
	},
}

var ears table[chan os.Signal]

var signalWaits = map[string]loop.Wait{
	// signals(id) tells each that comes, until it is cancelled.
	"signals": func(ctx context.Context, v loop.Values, tell loop.Tell) (engine.Value, error) {
		came, err := ears.take(v.Number(0))
		if err != nil {
			return nil, err
		}
		defer signal.Stop(came)
		for {
			select {
			case one := <-came:
				tell(unix.SignalName(one.(syscall.Signal)))
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	},
}

// Text that is no UTF-8 is undefined: what becomes of it is TypeScript's to say.
var textNows = map[string]loop.Now{
	// compare(bytes, bytes) is below, at or above 0 as the first are smaller, the same or larger.
	"compare": func(v loop.Values) (engine.Value, error) {
		return float64(bytes.Compare(v.Bytes(0), v.Bytes(1))), nil
	},
	"utf8": func(v loop.Values) (engine.Value, error) { return []byte(v.Text(0)), nil },
	"text": func(v loop.Values) (engine.Value, error) {
		if data := v.Bytes(0); utf8.Valid(data) {
			return string(data), nil
		}
		return nil, nil
	},
}
