package engine_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"nodekiln.dev/native/engine"
)

func made(t testing.TB, limits engine.Limits) *engine.Engine {
	t.Helper()
	e, err := engine.New(limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	e.Function("same", func(values []engine.Value) (engine.Value, error) { return values[0], nil })
	if _, err := e.Eval("test.js", `globalThis.echo = (value) => same(value); 0`); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestValuesCross(t *testing.T) {
	e := made(t, engine.Limits{})
	for _, value := range []engine.Value{nil, true, false, 0.0, -1.5, math.MaxFloat64, math.Inf(-1), "", "a", "zwölf", "\x00", "\U0001F9F1", strings.Repeat("é", 100_000)} {
		got, err := e.Call("echo", value)
		if err != nil || got != value {
			t.Errorf("%v came back as %v (%v)", value, got, err)
		}
	}
	for _, data := range [][]byte{{}, {0}, {0xff, 0xfe}, bytes.Repeat([]byte{7}, 3_000_001)} {
		got, err := e.Call("echo", data)
		if back, isBytes := got.([]byte); err != nil || !isBytes || !bytes.Equal(back, data) {
			t.Errorf("%d bytes came back otherwise (%v)", len(data), err)
		}
	}
	if got, err := e.Call("echo", math.NaN()); err != nil || !math.IsNaN(got.(float64)) {
		t.Error("NaN", got, err)
	}
}

func TestAnyTextAndBytesCross(t *testing.T) {
	e := made(t, engine.Limits{})
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		letters := make([]rune, random.IntN(12))
		for index := range letters {
			letters[index] = rune(random.IntN(1 << []int{7, 8, 11, 16, 21}[random.IntN(5)]))
		}
		text := strings.ToValidUTF8(string(letters), "?")
		if got, err := e.Call("echo", text); err != nil || got != text {
			t.Fatalf("%q came back as %q (%v)", text, got, err)
		}
		data := []byte(text)
		random.Shuffle(len(data), func(i, j int) { data[i], data[j] = data[j], data[i] })
		if back, err := e.Call("echo", data); err != nil || !bytes.Equal(back.([]byte), data) {
			t.Fatalf("%v came back as %v (%v)", data, back, err)
		}
		// What is no UTF-8 comes out as something, and harms nothing.
		if _, err := e.Call("echo", string(data)); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
	}
}

func TestOfTypedArraysWhatTheyShow(t *testing.T) {
	e := made(t, engine.Limits{})
	got, err := e.Eval("test.js", `same(new Uint8Array([1, 2, 3, 4]).subarray(1, 3))`)
	if err != nil || !bytes.Equal(got.([]byte), []byte{2, 3}) {
		t.Error(got, err)
	}
}

func TestWhatCannotCrossIsThrown(t *testing.T) {
	e := made(t, engine.Limits{})
	for _, value := range []string{"1n", "{}", "[]", "() => 1", "Symbol('a')", "new Map()", "new ArrayBuffer(8)"} {
		got, err := e.Eval("test.js", `try { same(`+value+`); 'crossed' } catch (thrown) { thrown instanceof Error ? 'thrown' : 'other' }`)
		if got != "thrown" || err != nil {
			t.Error(value, got, err)
		}
	}
}

type described struct{}

func (described) Error() string                 { return "ENOENT: no such thing" }
func (described) Describe() (code, path string) { return "ENOENT", "/x" }

func TestErrorsOfGoAreErrorsOfJavaScript(t *testing.T) {
	e := made(t, engine.Limits{})
	e.Function("fails", func([]engine.Value) (engine.Value, error) { return nil, described{} })
	got, err := e.Eval("test.js", "try { fails() } catch (thrown) {\n`${thrown instanceof Error} ${thrown.code} ${thrown.path} ${thrown.message} ${thrown.stack.includes('test.js')}` }")
	if want := "true ENOENT /x ENOENT: no such thing true"; got != want || err != nil {
		t.Error(got, err)
	}
	if _, err := e.Eval("test.js", "\n\n  fails()"); !strings.Contains(err.(*engine.Error).Stack, "test.js:3:") {
		t.Error(err.(*engine.Error).Stack)
	}
}

func TestStopAndPanicCannotBeCaught(t *testing.T) {
	e := made(t, engine.Limits{})
	e.Function("stop", func([]engine.Value) (engine.Value, error) { return nil, engine.ErrStop })
	e.Function("panics", func([]engine.Value) (engine.Value, error) { panic("oh") })
	for _, name := range []string{"stop", "panics"} {
		if _, err := e.Eval("test.js", `try { `+name+`() } catch { 'caught' } finally { globalThis.after = 1 }`); err == nil {
			t.Error(name, "was caught")
		}
	}
	if got, err := e.Eval("test.js", "1 + 1"); got != 2.0 || err != nil {
		t.Error("the engine is not usable afterwards:", got, err)
	}
}

func TestLimits(t *testing.T) {
	e := made(t, engine.Limits{Memory: 32 << 20, Turn: 50 * time.Millisecond})
	for name, source := range map[string]string{
		"loop":       `for (;;);`,
		"pattern":    `/^(a+)+$/.test('a'.repeat(40) + 'b')`,
		"caught":     `for (;;) try { for (;;); } catch {}`,
		"recursion":  `const f = () => f() + 1; f()`,
		"memory":     `(() => { const all = []; for (;;) all.push('x'.repeat(1 << 20) + all.length) })()`,
		"levels":     `JSON.parse('['.repeat(100_000) + ']'.repeat(100_000))`,
		"rejections": `const again = () => Promise.reject().catch(again); again(); 0`,
	} {
		start := time.Now()
		_, err := e.Eval("test.js", source)
		if err == nil {
			err = e.Jobs()
		}
		if err == nil {
			t.Error(name, "ended")
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Error(name, "took", took)
		}
		if got, err := e.Eval("test.js", "1 + 1"); got != 2.0 || err != nil {
			t.Error("not usable after", name, got, err)
		}
	}
}

func TestUnhandledRejection(t *testing.T) {
	e := made(t, engine.Limits{})
	if _, err := e.Eval("test.js", `void (async () => { throw new TypeError('nobody') })(); 0`); err != nil {
		t.Fatal(err)
	}
	var thrown *engine.Error
	if err := e.Jobs(); !errors.As(err, &thrown) || thrown.Name != "TypeError" || thrown.Message != "nobody" || thrown.Stack == "" {
		t.Error(err)
	}
	if _, err := e.Eval("test.js", `const p = Promise.reject(1); Promise.resolve().then(() => p.catch(() => 0)); 0`); err != nil {
		t.Fatal(err)
	}
	if err := e.Jobs(); err != nil {
		t.Error("one that is handled later in the same turn:", err)
	}
}

func TestBytecode(t *testing.T) {
	e := made(t, engine.Limits{})
	bytecode, err := e.Compile("program.js", "globalThis.ran = 1;\n\nglobalThis.bad = () => { throw new Error('x') };", engine.KeepLines)
	if err != nil {
		t.Fatal(err)
	}
	other := made(t, engine.Limits{})
	if err := other.Load(bytecode); err != nil {
		t.Fatal(err)
	}
	_, err = other.Call("bad")
	if stack := err.(*engine.Error).Stack; !strings.Contains(stack, "program.js:3:") {
		t.Error(stack)
	}
	if _, err := e.Compile("program.js", "let let", engine.KeepLines); err == nil {
		t.Error("compiled")
	}
}
