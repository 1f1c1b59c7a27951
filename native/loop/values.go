package loop

import (
	"context"
	"fmt"
	"math"

	"nodekiln.dev/native/engine"
)

// wrong is a value of another type than an operation takes: a defect of TypeScript, thrown there.
type wrong struct {
	index int
	is    engine.Value
	wants string
}

func (w wrong) Error() string { return fmt.Sprintf("value %d is %T, not %s", w.index+1, w.is, w.wants) }

// Describe gives Node's code for it.
func (w wrong) Describe() (code, path string) { return "ERR_INVALID_ARG_TYPE", "" }

func (v Values) at(index int) engine.Value {
	if index < len(v) {
		return v[index]
	}
	return nil
}

func get[T any](v Values, index int, wants string) T {
	value, isOne := v.at(index).(T)
	if !isOne {
		panic(wrong{index, v.at(index), wants})
	}
	return value
}

// Text is a string.
func (v Values) Text(index int) string { return get[string](v, index, "text") }

// Number is any number.
func (v Values) Number(index int) float64 { return get[float64](v, index, "a number") }

// Bool is true or false.
func (v Values) Bool(index int) bool { return get[bool](v, index, "true or false") }

// Int is a whole number that Go's int holds exactly.
func (v Values) Int(index int) int {
	number := v.Number(index)
	if number != math.Trunc(number) || math.Abs(number) > 1<<53 {
		panic(wrong{index, number, "a whole number"})
	}
	return int(number)
}

// Bytes are those of a typed array, copied.
func (v Values) Bytes(index int) []byte { return get[[]byte](v, index, "bytes") }

// Content is bytes, or text as UTF-8.
func (v Values) Content(index int) []byte {
	if text, isText := v.at(index).(string); isText {
		return []byte(text)
	}
	return v.Bytes(index)
}

// Has is whether there is a value.
func (v Values) Has(index int) bool { return v.at(index) != nil }

func guarded(call func(Values) (engine.Value, error)) engine.Function {
	return func(values []engine.Value) (value engine.Value, err error) {
		defer func() { err = caught(recover(), err) }()
		return call(values)
	}
}

func guardedWait(call Wait, ctx context.Context, values Values, tell Tell) (value engine.Value, err error) {
	defer func() { err = caught(recover(), err) }()
	return call(ctx, values, tell)
}

func caught(panicked any, err error) error {
	if panicked == nil {
		return err
	}
	if mistake, isWrong := panicked.(wrong); isWrong {
		return mistake
	}
	panic(panicked)
}
