package loop_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"nodekiln.dev/native/engine"
	"nodekiln.dev/native/loop"
)

const prelude = `
const waiting = new Map(); let last = 0; globalThis.log = [];
globalThis.hostSettle = (id, what, ...values) => {
  const one = waiting.get(id); if (!one) return;
  if (what === 2) return one.piece?.(...values);
  waiting.delete(id);
  if (what === 0) one.resolve(values[0]); else one.reject(Object.assign(new Error(values[0]), { code: values[1] }));
};
globalThis.begin = (op, values = [], piece) => { const id = ++last;
  const done = new Promise((resolve, reject) => waiting.set(id, { resolve, reject, piece })); hostBegin(id, op, ...values); return { id, done }; };
globalThis.after = (ms, call) => { const id = ++last; waiting.set(id, { resolve: call }); hostTimer(id, ms); return id; };
globalThis.exitIf = (good, what) => hostExit(good ? 0 : 1);
globalThis.hostIdle = () => globalThis.idle?.();
`

func run(t *testing.T, source string) (int, error) {
	t.Helper()
	e, err := engine.New(engine.Limits{Turn: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	l := loop.New(e, map[string]loop.Now{
		"typed": func(v loop.Values) (engine.Value, error) {
			return float64(len(v.Text(0))) + v.Number(1) + float64(v.Int(2)) + float64(len(v.Bytes(3))), nil
		},
	}, map[string]loop.Wait{
		"never": func(ctx context.Context, _ loop.Values, _ loop.Tell) (engine.Value, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
		"pieces": func(_ context.Context, v loop.Values, tell loop.Tell) (engine.Value, error) {
			for n := range v.Int(0) {
				tell(float64(n), "piece")
			}
			return "end", nil
		},
		"typed": func(_ context.Context, v loop.Values, _ loop.Tell) (engine.Value, error) { return v.Text(0), nil },
	})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return l.Run(ctx, func() error { _, err := e.Eval("test.js", prelude+source+"\n;0"); return err })
}

func TestEnds(t *testing.T) {
	for name, source := range map[string]string{
		"at once":             `hostExit(7); log.push('not here')`,
		"out of a catch":      `try { hostExit(7) } catch { log.push(1) }`,
		"from a timer":        `after(5, () => hostExit(7))`,
		"from a promise":      `Promise.resolve().then(() => hostExit(7))`,
		"with work under way": `begin('never'); after(1, () => hostExit(7))`,
	} {
		if status, err := run(t, source); status != 7 || err != nil {
			t.Error(name, status, err)
		}
	}
}

func TestHolds(t *testing.T) {
	for name, source := range map[string]string{
		"pieces come in order, before the end": `const seen = []; begin('pieces', [1000], (n) => seen.push(n)).done.then((end) =>
			exitIf(end === 'end' && seen.length === 1000 && seen.every((n, index) => n === index)))`,
		"timers fire in order":                `const seen = []; after(20, () => seen.push(3)); after(10, () => seen.push(1)); after(10, () => seen.push(2)); after(40, () => exitIf(seen.join() === '1,2,3'))`,
		"a timer that is stopped does not":    `const id = after(5, () => hostExit(1)); hostCancel(id); after(20, () => hostExit(0))`,
		"what is cancelled says so":           `const one = begin('never'); one.done.catch((e) => exitIf(e.code === 'ABORT_ERR')); hostCancel(one.id)`,
		"another type is an error now":        `try { hostNow('typed', 1, 1, 1, new Uint8Array()) } catch (e) { exitIf(e.code === 'ERR_INVALID_ARG_TYPE') }`,
		"no whole number is an error":         `try { hostNow('typed', '', 1, 1.5, new Uint8Array()) } catch (e) { exitIf(e.code === 'ERR_INVALID_ARG_TYPE') }`,
		"too few values are an error":         `try { hostNow('typed', '') } catch (e) { exitIf(e.code === 'ERR_INVALID_ARG_TYPE') }`,
		"another type is an error later":      `begin('typed', [1]).done.catch((e) => exitIf(e.code === 'ERR_INVALID_ARG_TYPE'))`,
		"an operation that is not there":      `try { hostNow('no') } catch (e) { exitIf(/no operation/.test(e.message)) }`,
		"an id that is no number":             `try { hostBegin('x', 'never') } catch (e) { exitIf(e.code === 'ERR_INVALID_ARG_TYPE') }`,
		"what is cancelled is waited for":     `const one = begin('never'); hostRef(one.id, false); hostCancel(one.id); one.done.catch(() => hostExit(0))`,
		"a last word when nothing is left":    `globalThis.idle = () => after(1, () => hostExit(0))`,
		"nobody stays for what is not wanted": `const one = begin('never'); hostRef(one.id, false); after(5, () => hostExit(0))`,
	} {
		if status, err := run(t, source); status != 0 || err != nil {
			t.Error(name, status, err)
		}
	}
}

func TestDefects(t *testing.T) {
	for name, source := range map[string]string{
		"thrown":                `throw new TypeError('defect')`,
		"thrown by a timer":     `after(1, () => { throw new TypeError('defect') })`,
		"rejected":              `begin('pieces', [1]).done.then(() => { throw new TypeError('defect') })`,
		"thrown of a piece":     `begin('pieces', [1], () => { throw new TypeError('defect') })`,
		"a turn without an end": `after(1, function defect() { for (;;); })`,
	} {
		_, err := run(t, source)
		var thrown *engine.Error
		if !errors.As(err, &thrown) || !strings.Contains(thrown.Message+thrown.Stack, "defect") || !strings.Contains(thrown.Stack, "test.js:") {
			t.Errorf("%s: %v", name, err)
		}
		if thrown.Interrupted() != (name == "a turn without an end") {
			t.Errorf("%s: %v", name, thrown)
		}
	}
}

func TestIdle(t *testing.T) {
	for name, source := range map[string]string{
		"a promise that nothing settles":     `new Promise(() => 0)`,
		"nothing but what is not stayed for": `hostRef(begin('never').id, false)`,
		"one last word alone":                `globalThis.idle = () => after(1, () => 0)`,
	} {
		if _, err := run(t, source); !errors.Is(err, loop.ErrIdle) {
			t.Error(name, err)
		}
	}
}

func TestWhatManyTurnsTookIsGivenBackInQuiet(t *testing.T) {
	e, err := engine.New(engine.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	l := loop.New(e, nil, nil)
	_, err = l.Run(context.Background(), func() error {
		_, err := e.Eval("turns.js", `
			let turns = 0;
			globalThis.hostSettle = (id) => (turns += 1) === 150 ? hostTimer(1000, 1500) : turns > 150 ? hostExit(0) : hostTimer(turns, 0);
			hostTimer(500, 0);`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if l.Tidied < 150 || l.Tidied == l.Turns {
		t.Errorf("tidied after %d of %d turns", l.Tidied, l.Turns)
	}
}
