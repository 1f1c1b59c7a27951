package surface

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"nodekiln.dev/native/engine"
	"nodekiln.dev/native/loop"
)

func value(t *testing.T, op string, values ...engine.Value) engine.Value {
	t.Helper()
	result, err := Nows()[op](values)
	if err != nil {
		t.Fatalf("%s: %v", op, err)
	}
	return result
}

func waited(t *testing.T, op string, values ...engine.Value) (engine.Value, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return Waits()[op](ctx, values, func(...engine.Value) bool { return true })
}

// What crosses in a wrong type never reaches the system: it is thrown, in every operation; nothing panics.
func TestWrongValues(t *testing.T) {
	t.Chdir(t.TempDir())
	// They do what they say, or wait for somebody.
	skipped := map[string]bool{"kill": true, "endBy": true, "close": true, "fchown": true, "fchmod": true, "fsync": true, "ftruncate": true, "write": true, "read": true, "hear": true, "events": true, "saveMemory": true, "unpackRead": true, "unpackWrite": true}
	kinds := []func(*rand.Rand) engine.Value{
		func(*rand.Rand) engine.Value { return nil },
		func(r *rand.Rand) engine.Value { return r.IntN(2) == 0 },
		func(r *rand.Rand) engine.Value { return float64(r.IntN(200) - 100) },
		func(r *rand.Rand) engine.Value { return math.Float64frombits(r.Uint64()) },
		func(r *rand.Rand) engine.Value {
			return []string{"", "x", "\x00", "{}", "[]", `["x"]`, `{"argv":[]}`, "\xff", "sha256"}[r.IntN(9)]
		},
		func(r *rand.Rand) engine.Value { return make([]byte, r.IntN(20)) },
	}
	e, err := engine.New(engine.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var current loop.Values
	var op loop.Now
	l := loop.New(e, map[string]loop.Now{"op": func(loop.Values) (engine.Value, error) { return op(current) }}, nil)
	random := rand.New(rand.NewPCG(1, 2))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ops := Nows()
	for name, wait := range Waits() {
		ops["later "+name] = func(v loop.Values) (engine.Value, error) {
			return wait(ctx, v, func(...engine.Value) bool { return false })
		}
	}
	count := 0
	for name, each := range ops {
		if skipped[strings.TrimPrefix(name, "later ")] {
			continue
		}
		op = each
		for range 300 {
			current = nil
			for range random.IntN(5) {
				current = append(current, kinds[random.IntN(len(kinds))](random))
			}
			count++
			status, err := l.Run(t.Context(), func() error {
				return e.Do("eval", `try { hostNow('op') } catch (thrown) { if (/^panic/.test(thrown.message)) throw thrown } hostExit(0)`)
			})
			if err != nil || status != 0 {
				t.Fatalf("%s(%v): %v", name, current, err)
			}
		}
	}
	t.Log(count, "calls of", len(ops), "operations")
}

func TestFiles(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "f")
	fd := value(t, "open", path, float64(os.O_RDWR|os.O_CREATE|os.O_EXCL), float64(0o600))
	if n := value(t, "write", fd, []byte("hello"), 0.0); n != 5.0 {
		t.Error(n)
	}
	if data := value(t, "read", fd, 10.0, 1.0); !bytes.Equal(data.([]byte), []byte("ello")) {
		t.Error(data)
	}
	fields := strings.Fields(value(t, "fstat", fd).(string))
	if len(fields) != 9 || fields[1] != "5" || fields[0] != "33152" {
		t.Error(fields)
	}
	value(t, "close", fd)
	if found := value(t, "look", filepath.Join(folder, "no")); found != nil {
		t.Error(found)
	}
	text, err := waited(t, "readdir", folder)
	var names []string
	if err != nil || json.Unmarshal([]byte(text.(string)), &names) != nil || len(names) != 2 || names[1] != "f" {
		t.Error(text, err)
	}
}

func TestRefusalsHaveNames(t *testing.T) {
	folder := t.TempDir()
	for op, values := range map[string]loop.Values{
		"open":     {folder + "/no", 0.0, 0.0},
		"lstat":    {folder + "/no"},
		"readlink": {folder + "/no"},
		"readdir":  {folder + "/no"},
		"unlink":   {folder + "/no"},
		"rmdir":    {folder + "/no"},
		"copy":     {folder + "/no", folder + "/x"},
		"link":     {folder + "/no", folder + "/x"},
		"statfs":   {folder + "/no"},
	} {
		_, err := waited(t, op, values...)
		described, isOne := err.(engine.Described)
		if !isOne {
			t.Error(op, err)
			continue
		}
		if code, path := described.Describe(); code != "ENOENT" || path != folder+"/no" {
			t.Error(op, code, path)
		}
	}
	if _, err := waited(t, "open", "a\x00b", 0.0, 0.0); err == nil {
		t.Error("a path with a NUL")
	}
}

func TestDigestsGoOn(t *testing.T) {
	for algorithm := range hashes {
		whole := value(t, "digest", algorithm, "hello world")
		state := value(t, "digestMore", algorithm, nil, "hello ")
		value(t, "digestMore", algorithm, state, "others")
		state = value(t, "digestMore", algorithm, state, []byte("world"))
		if got := value(t, "digestHex", algorithm, state); got != whole {
			t.Error(algorithm, got, whole)
		}
	}
	if _, err := Nows()["digestMore"](loop.Values{"sha256", []byte("no state"), "x"}); err == nil {
		t.Error("a state that is none")
	}
}

// The surface decides nothing: what belongs to documents, units and errors of nodekiln is TypeScript's.
func TestHoldsNoLogic(t *testing.T) {
	forbidden := regexp.MustCompile(`NK_[A-Z]|\.service|\.socket\b|kubelet|containerd|nodekiln\.dev/v1|apiVersion|retr(y|ies)|JobRemoved|org\.freedesktop\.systemd1|/etc/|/run/|/var/`)
	lines := 0
	err := filepath.WalkDir("..", func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil || strings.HasSuffix(path, "_test.go") {
			return err
		}
		lines += bytes.Count(text, []byte("\n"))
		for index, line := range strings.Split(string(text), "\n") {
			if forbidden.MatchString(line) {
				t.Errorf("%s:%d: %s", path, index+1, line)
			}
		}
		return nil
	})
	if err != nil || lines > 4000 {
		t.Error(lines, "lines of Go", err)
	}
	t.Log(lines, "lines of Go")
}
