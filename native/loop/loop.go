// Package loop is the event loop of one JavaScript: work that waits is done by goroutines, and what comes of it is told to
// JavaScript on the loop's own goroutine, one turn for each piece, followed by the jobs of promises.
//
// JavaScript gets `hostNow(op, ...values)`, `hostBegin(id, op, ...values)`, `hostCancel(id)`, `hostTimer(id, ms)`,
// `hostRef(id, yes)` and `hostExit(status)`; it has `hostSettle(id, what, ...values)` and `hostIdle()`. Ids are JavaScript's
// own and are given once. What was begun, timers included, is settled once; cancelled timers are not.
package loop

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"time"

	"nodekiln.dev/native/engine"
)

// What JavaScript is told.
const (
	Fulfilled = 0.0
	Rejected  = 1.0
	Piece     = 2.0
)

// Values are what crosses with a call.
type Values []engine.Value

// Tell sends a piece before the end; it waits while JavaScript has much to do, and is false when nobody listens any more.
type Tell func(values ...engine.Value) bool

// Now is an operation that does not wait.
type Now func(Values) (engine.Value, error)

// Wait is an operation that waits: it runs on a goroutine of its own until it is done or its context ends.
type Wait func(context.Context, Values, Tell) (engine.Value, error)

type turn struct {
	id     float64
	what   float64
	values []engine.Value
}

type begun struct {
	cancel context.CancelFunc
	unref  bool
}

// Loop drives one engine. Everything of it belongs to the goroutine of Run.
type Loop struct {
	Engine *engine.Engine
	// Longest is the longest turn so far, of Turns.
	Longest time.Duration
	Turns   int
	// Tidied is the turn after which memory was last given back.
	Tidied int

	turns  chan turn
	waits  map[string]Wait
	nows   map[string]Now
	begun  map[float64]*begun
	timers timers
	exit   *int
}

// After so many turns what they took is given back as soon as nothing happens for a while: a process that waits for most
// of its life holds what it needs for that.
const (
	manyTurns = 100
	quiet     = time.Second
)

// New connects an engine.
func New(e *engine.Engine, nows map[string]Now, waits map[string]Wait) *Loop {
	l := &Loop{Engine: e, turns: make(chan turn, 64), waits: waits, nows: nows, begun: map[float64]*begun{}}
	e.Function("hostNow", guarded(l.now))
	e.Function("hostBegin", guarded(l.begin))
	e.Function("hostCancel", guarded(l.cancel))
	e.Function("hostTimer", guarded(l.timer))
	e.Function("hostRef", guarded(l.ref))
	e.Function("hostExit", guarded(func(values Values) (engine.Value, error) {
		status := values.Int(0)
		l.exit = &status
		return nil, engine.ErrStop
	}))
	return l
}

// ErrIdle says that JavaScript waits for something that nothing can bring any more.
var ErrIdle = errors.New("nothing is left to wait for")

// Run runs the program and takes turns until it exits: the status. When nothing is left to wait for, hostIdle is called, once:
// JavaScript may have a last word. Errors: ErrIdle, the context's, and *engine.Error for what
// is thrown and nobody handles.
func (l *Loop) Run(ctx context.Context, program func() error) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := l.take(program)
	for idle := false; err == nil && l.exit == nil; {
		if err = l.next(ctx); errors.Is(err, ErrIdle) && !idle {
			idle = true
			err = l.take(func() error { return l.Engine.Do("hostIdle") })
		}
	}
	for _, one := range l.begun {
		one.cancel()
	}
	if l.exit != nil {
		return *l.exit, nil
	}
	return 0, err
}

func (l *Loop) next(ctx context.Context) error {
	// What came meanwhile goes before timers that are due.
	select {
	case came := <-l.turns:
		return l.tell(came)
	default:
	}
	var due <-chan time.Time
	if len(l.timers) > 0 {
		left := time.Until(l.timers[0].at)
		if left <= 0 {
			next := heap.Pop(&l.timers).(timer)
			return l.tell(turn{id: next.id, what: Fulfilled})
		}
		clock := time.NewTimer(left)
		defer clock.Stop()
		due = clock.C
	}
	if !l.waiting() {
		return ErrIdle
	}
	var untidy <-chan time.Time
	if l.Turns-l.Tidied >= manyTurns {
		clock := time.NewTimer(quiet)
		defer clock.Stop()
		untidy = clock.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-untidy:
		l.Tidied = l.Turns
		return l.Engine.Tidy()
	case came := <-l.turns:
		return l.tell(came)
	case <-due:
		return nil
	}
}

// waiting is whether anything is under way that the program stays for.
func (l *Loop) waiting() bool {
	for _, one := range l.begun {
		if !one.unref {
			return true
		}
	}
	return false
}

func (l *Loop) tell(came turn) error {
	one := l.begun[came.id]
	if one == nil {
		// A timer that was stopped.
		return nil
	}
	if came.what != Piece {
		one.cancel()
		delete(l.begun, came.id)
	}
	return l.take(func() error {
		return l.Engine.Do("hostSettle", append([]engine.Value{came.id, came.what}, came.values...)...)
	})
}

func (l *Loop) take(call func() error) error {
	start := time.Now()
	err := call()
	if err == nil {
		err = l.Engine.Jobs()
	}
	l.Turns++
	l.Longest = max(l.Longest, time.Since(start))
	return err
}

func (l *Loop) now(values Values) (engine.Value, error) {
	operation := l.nows[values.Text(0)]
	if operation == nil {
		return nil, fmt.Errorf("no operation %s", values.Text(0))
	}
	return operation(values[1:])
}

func (l *Loop) begin(values Values) (engine.Value, error) {
	id, operation := values.Number(0), l.waits[values.Text(1)]
	if operation == nil {
		return nil, fmt.Errorf("no operation %s", values.Text(1))
	}
	if l.begun[id] != nil {
		return nil, fmt.Errorf("%v was begun before", id)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.begun[id] = &begun{cancel: cancel}
	go func() {
		value, err := guardedWait(operation, ctx, values[2:], func(values ...engine.Value) bool {
			select {
			case l.turns <- turn{id, Piece, values}:
				return true
			case <-ctx.Done():
				return false
			}
		})
		if err != nil {
			l.turns <- turn{id, Rejected, described(err)}
			return
		}
		l.turns <- turn{id, Fulfilled, []engine.Value{value}}
	}()
	return nil, nil
}

// described is an error as hostSettle gets it: message, code, path.
func described(err error) []engine.Value {
	var code, path string
	var more engine.Described
	switch {
	case errors.Is(err, context.Canceled):
		code = "ABORT_ERR"
	case errors.As(err, &more):
		code, path = more.Describe()
	}
	return []engine.Value{err.Error(), code, path}
}

func (l *Loop) cancel(values Values) (engine.Value, error) {
	id := values.Number(0)
	if one := l.begun[id]; one != nil {
		// Its end is near, and somebody may wait for it.
		one.unref = false
		one.cancel()
	}
	for index, one := range l.timers {
		if one.id == id {
			heap.Remove(&l.timers, index)
			delete(l.begun, id)
			break
		}
	}
	return nil, nil
}

func (l *Loop) ref(values Values) (engine.Value, error) {
	if one := l.begun[values.Number(0)]; one != nil {
		one.unref = !values.Bool(1)
	}
	return nil, nil
}

// ── timers ───────────────────────────────────────────────────────────────────────────────────────────────────────────

type timer struct {
	at time.Time
	id float64
}

// timers are a heap: what is due first, then what was asked for first.
type timers []timer

func (t timers) Len() int { return len(t) }
func (t timers) Less(i, j int) bool {
	if t[i].at.Equal(t[j].at) {
		return t[i].id < t[j].id
	}
	return t[i].at.Before(t[j].at)
}
func (t timers) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *timers) Push(one any) { *t = append(*t, one.(timer)) }
func (t *timers) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}

func (l *Loop) timer(values Values) (engine.Value, error) {
	id := values.Number(0)
	if l.begun[id] != nil {
		return nil, fmt.Errorf("%v was begun before", id)
	}
	l.begun[id] = &begun{cancel: func() {}}
	heap.Push(&l.timers, timer{time.Now().Add(time.Duration(values.Number(1) * float64(time.Millisecond))), id})
	return nil, nil
}
