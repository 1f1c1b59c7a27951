// Package engine runs JavaScript: one QuickJS runtime with one context, without cgo. It is a binding of our own over
// modernc.org/libquickjs, as the one beside it (modernc.org/quickjs) knows no bytes, no rejected promises, no names of
// files, no stripping of bytecode and no use of memory.
//
// An Engine belongs to one goroutine at a time; only Interrupt may be called from any. What JavaScript does is bounded:
// by Limits.Memory, by Limits.Stack and, each time Go calls into it, by Limits.Turn. What goes beyond is an *Error, and
// the engine lives on. The engine looks whether a turn is over in bytecode, patterns and sorting, not inside of its own
// long calls (String.split, BigInt arithmetic, the freeing of many small objects): those end late.
package engine

import (
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/libquickjs"
)

// Limits bound what JavaScript may take. Zero values leave the engine's own.
type Limits struct {
	Memory uintptr       // bytes of JavaScript's heap
	Stack  uintptr       // frames of the engine, about one per JavaScript call
	Turn   time.Duration // one call from Go into JavaScript
	GC     uintptr       // bytes between collections of cycles
}

// Function is Go that JavaScript calls. It runs on the engine's goroutine and must not wait; its error is thrown, with
// `code` and `path` where it is Described. ErrStop cannot be caught.
type Function func(arguments []Value) (Value, error)

// Described is an error that says more than its message.
type Described interface {
	error
	Describe() (code, path string)
}

// ErrStop ends all of JavaScript that is under way.
var ErrStop = errors.New("stopped")

// Value crosses the border: nil (undefined), bool, float64, string or []byte (a Uint8Array; always copied).
type Value any

// Error is what JavaScript threw, or that it was stopped.
type Error struct {
	Name, Message string
	// Stack has one line for each frame, in the bytecode's own lines.
	Stack string
}

func (e *Error) Error() string {
	if e.Name == "" {
		return e.Message
	}
	return e.Name + ": " + e.Message
}

// interruption is what the engine itself calls it.
const interruption = "interrupted"

// Interrupted is whether it was stopped because its turn was over.
func (e *Error) Interrupted() bool { return e.Name == "InternalError" && e.Message == interruption }

// Engine is one JavaScript.
type Engine struct {
	tls       *libc.TLS
	runtime   uintptr
	context   uintptr
	turn      time.Duration
	functions []Function
	names     []string
	// until is the end of the turn on the monotonic clock, 0 outside of one; stop is set by Interrupt.
	until    atomic.Int64
	stop     atomic.Bool
	depth    int
	rejected []rejection
	// held keeps what the engine reads on Go's heap.
	held Value
}

type rejection struct {
	promise uintptr
	err     *Error
}

// engines finds the Engine of a runtime: the engine's callbacks carry no Go pointers.
var engines sync.Map

func engineOf(rt uintptr) *Engine {
	found, _ := engines.Load(rt)
	e, _ := found.(*Engine)
	return e
}

var started = time.Now()

// New makes an engine. Close it.
func New(limits Limits) (*Engine, error) {
	tls := libc.NewTLS()
	rt := lib.XJS_NewRuntime(tls)
	if rt == 0 {
		return nil, errors.New("no memory for a runtime")
	}
	if limits.Memory > 0 {
		lib.XJS_SetMemoryLimit(tls, rt, lib.Tsize_t(limits.Memory))
	}
	if limits.Stack > 0 {
		lib.XJS_SetMaxStackSize(tls, rt, lib.Tsize_t(limits.Stack))
	}
	if limits.GC > 0 {
		lib.XJS_SetGCThreshold(tls, rt, lib.Tsize_t(limits.GC))
	}
	ctx := lib.XJS_NewContext(tls, rt)
	if ctx == 0 {
		return nil, errors.New("no memory for a context")
	}
	e := &Engine{tls: tls, runtime: rt, context: ctx, turn: limits.Turn}
	engines.Store(rt, e)
	lib.XJS_SetInterruptHandler(tls, rt, interruptedPointer, rt)
	lib.XJS_SetHostPromiseRejectionTracker(tls, rt, trackedPointer, rt)
	return e, nil
}

// Close frees what the engine holds.
func (e *Engine) Close() {
	engines.Delete(e.runtime)
	lib.XJS_FreeContext(e.tls, e.context)
	lib.XJS_FreeRuntime(e.tls, e.runtime)
	e.tls.Close()
}

// Interrupt stops the turn in progress, from any goroutine.
func (e *Engine) Interrupt() { e.stop.Store(true) }

// Function gives JavaScript a global function.
func (e *Engine) Function(name string, call Function) {
	text := e.cString(name)
	defer libc.Xfree(e.tls, text)
	made := lib.XJS_NewCFunction2(e.tls, e.context, calledPointer, text, 0, lib.EJS_CFUNC_generic_magic, int32(len(e.functions)))
	e.functions = append(e.functions, call)
	e.names = append(e.names, name)
	global := lib.XJS_GetGlobalObject(e.tls, e.context)
	defer e.free(global)
	lib.XJS_SetPropertyStr(e.tls, e.context, global, text, made)
}

// Debug is what bytecode keeps for stacks.
type Debug int32

// KeepLines has files, lines and columns; NoDebug has none, and Error.Stack only names of functions.
const (
	KeepLines Debug = lib.MJS_STRIP_SOURCE
	NoDebug   Debug = lib.MJS_STRIP_SOURCE | lib.MJS_STRIP_DEBUG
)

// Compile makes bytecode, which only the same version of the engine can load.
func (e *Engine) Compile(name, source string, keep Debug) ([]byte, error) {
	lib.XJS_SetStripInfo(e.tls, e.runtime, int32(keep))
	function, err := e.eval(name, source, lib.MJS_EVAL_FLAG_COMPILE_ONLY)
	if err != nil {
		return nil, err
	}
	defer e.free(function)
	size := e.tls.Alloc(8)
	defer e.tls.Free(8)
	written := lib.XJS_WriteObject(e.tls, e.context, size, function, lib.MJS_WRITE_OBJ_BYTECODE)
	if written == 0 {
		return nil, e.exception()
	}
	defer lib.Xjs_free(e.tls, e.context, written)
	return bytesAt(written, *memory[uint64](size)), nil
}

// Load runs bytecode that Compile made. Not for bytecode of others: the engine believes all of it.
func (e *Engine) Load(bytecode []byte) error {
	// The engine reads the bytes where they are and keeps nothing of them; Go does not move them.
	function := lib.XJS_ReadObject(e.tls, e.context, uintptr(unsafe.Pointer(unsafe.SliceData(bytecode))), lib.Tsize_t(len(bytecode)), lib.MJS_READ_OBJ_BYTECODE)
	if isException(function) {
		return e.exception()
	}
	return e.do(func() lib.TJSValue { return lib.XJS_EvalFunction(e.tls, e.context, function) })
}

// Eval runs a text.
func (e *Engine) Eval(name, source string) (Value, error) {
	return e.run(func() lib.TJSValue { return e.evaluated(name, source, 0) })
}

// Call calls a global function.
func (e *Engine) Call(function string, arguments ...Value) (Value, error) {
	return e.run(e.calling(function, arguments))
}

// Do calls a global function whose result is nobody's, as a promise.
func (e *Engine) Do(function string, arguments ...Value) error {
	return e.do(e.calling(function, arguments))
}

func (e *Engine) do(call func() lib.TJSValue) error {
	e.enter()
	defer e.leave()
	result := call()
	if isException(result) {
		return e.exception()
	}
	e.free(result)
	return nil
}

func (e *Engine) calling(function string, arguments []Value) func() lib.TJSValue {
	return func() lib.TJSValue {
		text := e.cString(function)
		defer libc.Xfree(e.tls, text)
		global := lib.XJS_GetGlobalObject(e.tls, e.context)
		defer e.free(global)
		called := lib.XJS_GetPropertyStr(e.tls, e.context, global, text)
		defer e.free(called)
		argv := libc.Xcalloc(e.tls, lib.Tsize_t(len(arguments)+1), lib.Tsize_t(valueSize))
		defer libc.Xfree(e.tls, argv)
		for index, argument := range arguments {
			*at(argv, index) = e.toJS(argument)
			if isException(*at(argv, index)) {
				return *at(argv, index)
			}
		}
		result := lib.XJS_Call(e.tls, e.context, called, undefined, int32(len(arguments)), argv)
		for index := range arguments {
			e.free(*at(argv, index))
		}
		return result
	}
}

// Jobs runs what promises have queued, until nothing is left: one turn. A promise that was rejected and that nobody
// handles by then is an error.
func (e *Engine) Jobs() error {
	e.enter()
	defer e.leave()
	context := e.tls.Alloc(8)
	defer e.tls.Free(8)
	for {
		switch result := lib.XJS_ExecutePendingJob(e.tls, e.runtime, context); {
		case result < 0:
			return e.exception()
		case result == 0:
			if len(e.rejected) > 0 {
				err := e.rejected[0].err
				e.rejected = nil
				return err
			}
			return nil
		}
		if e.over() {
			return &Error{Name: "InternalError", Message: interruption}
		}
	}
}

// Memory is what JavaScript's heap holds, in bytes.
func (e *Engine) Memory() int64 {
	use := libc.Xcalloc(e.tls, 1, lib.Tsize_t(unsafe.Sizeof(lib.TJSMemoryUsage{})))
	defer libc.Xfree(e.tls, use)
	lib.XJS_ComputeMemoryUsage(e.tls, e.runtime, use)
	return memory[lib.TJSMemoryUsage](use).Fmalloc_size
}

// Collect frees cycles.
func (e *Engine) Collect() { lib.XJS_RunGC(e.tls, e.runtime) }

// ── calls from Go ────────────────────────────────────────────────────────────────────────────────────────────────

func (e *Engine) run(call func() lib.TJSValue) (Value, error) {
	e.enter()
	defer e.leave()
	result := call()
	if isException(result) {
		return nil, e.exception()
	}
	defer e.free(result)
	return e.toGo(result)
}

func (e *Engine) enter() {
	if e.depth == 0 && e.turn > 0 {
		e.until.Store(int64(time.Since(started) + e.turn))
	}
	e.depth++
}

func (e *Engine) leave() {
	e.depth--
	if e.depth == 0 {
		e.until.Store(0)
		e.stop.Store(false)
	}
}

func (e *Engine) over() bool {
	if e.stop.Load() {
		return true
	}
	until := e.until.Load()
	return until != 0 && int64(time.Since(started)) > until
}

func (e *Engine) eval(name, source string, flags int32) (lib.TJSValue, error) {
	e.enter()
	defer e.leave()
	result := e.evaluated(name, source, flags)
	if isException(result) {
		return result, e.exception()
	}
	return result, nil
}

func (e *Engine) evaluated(name, source string, flags int32) lib.TJSValue {
	text, file := e.cString(source), e.cString(name)
	defer libc.Xfree(e.tls, text)
	defer libc.Xfree(e.tls, file)
	return lib.XJS_Eval(e.tls, e.context, text, lib.Tsize_t(len(source)), file, flags|lib.MJS_EVAL_TYPE_GLOBAL)
}

func (e *Engine) exception() error {
	thrown := lib.XJS_GetException(e.tls, e.context)
	defer e.free(thrown)
	if tag(thrown) == lib.EJS_TAG_NULL {
		// What the engine throws when it has no memory for the error itself.
		return &Error{Name: "InternalError", Message: "out of memory"}
	}
	return e.errorOf(thrown)
}

func (e *Engine) errorOf(thrown lib.TJSValue) *Error {
	err := &Error{Name: e.property(thrown, "name"), Message: e.property(thrown, "message"), Stack: e.property(thrown, "stack")}
	if err.Name == "" && err.Message == "" {
		err.Message = e.text(thrown)
	}
	return err
}

// property is ” where there is no text: reading may throw again, which says nothing new.
func (e *Engine) property(of lib.TJSValue, name string) string {
	if tag(of) != lib.EJS_TAG_OBJECT {
		return ""
	}
	text := e.cString(name)
	defer libc.Xfree(e.tls, text)
	value := lib.XJS_GetPropertyStr(e.tls, e.context, of, text)
	if isException(value) {
		e.free(lib.XJS_GetException(e.tls, e.context))
		return ""
	}
	defer e.free(value)
	if !isString(value) {
		return ""
	}
	return e.text(value)
}

// ── calls from the engine ────────────────────────────────────────────────────────────────────────────────────────

func interrupted(_ *libc.TLS, _, opaque uintptr) int32 {
	if e := engineOf(opaque); e != nil && e.over() {
		return 1
	}
	return 0
}

func tracked(_ *libc.TLS, _ uintptr, promise, reason lib.TJSValue, isHandled int32, opaque uintptr) {
	e := engineOf(opaque)
	if e == nil {
		return
	}
	if isHandled == 0 {
		e.rejected = append(e.rejected, rejection{promise: pointerIn(promise), err: e.errorOf(reason)})
		return
	}
	for index, one := range e.rejected {
		if one.promise == pointerIn(promise) {
			e.rejected = append(e.rejected[:index], e.rejected[index+1:]...)
			return
		}
	}
}

// called must not let a panic pass: it would leave the engine's frames behind. It becomes an exception that JavaScript
// cannot catch.
func called(tls *libc.TLS, context uintptr, _ lib.TJSValue, argc int32, argv uintptr, magic int32) (result lib.TJSValue) {
	e := engineOf(lib.XJS_GetRuntime(tls, context))
	defer func() {
		if panicked := recover(); panicked != nil {
			result = e.throw(fmt.Sprintf("panic in %s: %v\n%s", e.names[magic], panicked, debug.Stack()))
			lib.XJS_SetUncatchableException(tls, context, 1)
		}
	}()
	arguments := make([]Value, argc)
	for index := range arguments {
		argument, err := e.toGo(*at(argv, index))
		if err != nil {
			return e.throw(fmt.Sprintf("%s: argument %d: %v", e.names[magic], index+1, err))
		}
		arguments[index] = argument
	}
	value, err := e.functions[magic](arguments)
	if err == ErrStop {
		result = e.throw(err.Error())
		lib.XJS_SetUncatchableException(tls, context, 1)
		return result
	}
	if err != nil {
		return e.throwError(err)
	}
	return e.toJS(value)
}

// throwError throws an Error of JavaScript's; the engine adds the stack.
func (e *Engine) throwError(err error) lib.TJSValue {
	object := lib.XJS_NewError(e.tls, e.context)
	if isException(object) {
		return object
	}
	e.define(object, "message", err.Error())
	var described Described
	if errors.As(err, &described) {
		code, path := described.Describe()
		e.define(object, "code", code)
		e.define(object, "path", path)
	}
	return lib.XJS_Throw(e.tls, e.context, object)
}

// define sets a property that has a text.
func (e *Engine) define(object lib.TJSValue, name, value string) {
	if value == "" {
		return
	}
	text := e.cString(name)
	defer libc.Xfree(e.tls, text)
	lib.XJS_DefinePropertyValueStr(e.tls, e.context, object, text, e.toJS(value), lib.MJS_PROP_WRITABLE|lib.MJS_PROP_CONFIGURABLE)
}

var percentS = [...]byte{'%', 's', 0}

func (e *Engine) throw(message string) lib.TJSValue {
	text := e.cString(message)
	defer libc.Xfree(e.tls, text)
	list := libc.NewVaList(text)
	defer libc.Xfree(e.tls, list)
	return lib.XJS_ThrowInternalError(e.tls, e.context, uintptr(unsafe.Pointer(&percentS)), list)
}

// ── values ───────────────────────────────────────────────────────────────────────────────────────────────────────

const valueSize = unsafe.Sizeof(lib.TJSValue{})

var undefined = lib.TJSValue{Ftag: lib.EJS_TAG_UNDEFINED}

func at(argv uintptr, index int) *lib.TJSValue {
	return memory[lib.TJSValue](argv + uintptr(index)*valueSize)
}

func tag(v lib.TJSValue) int32         { return int32(v.Ftag) }
func isException(v lib.TJSValue) bool  { return tag(v) == lib.EJS_TAG_EXCEPTION }
func pointerIn(v lib.TJSValue) uintptr { return *(*uintptr)(unsafe.Pointer(&v)) }
func (e *Engine) free(v lib.TJSValue)  { lib.XFreeValue(e.tls, e.context, v) }
func isString(v lib.TJSValue) bool {
	return tag(v) == lib.EJS_TAG_STRING || tag(v) == lib.EJS_TAG_STRING_ROPE
}

// bits is a value without an object: 64-bit platforms only.
func bits(tag int64, value uint64) (v lib.TJSValue) {
	*(*uint64)(unsafe.Pointer(&v)) = value
	v.Ftag = tag
	return v
}

func (e *Engine) toGo(v lib.TJSValue) (Value, error) {
	switch tag(v) {
	case lib.EJS_TAG_UNDEFINED, lib.EJS_TAG_NULL:
		return nil, nil
	case lib.EJS_TAG_BOOL:
		return *(*int32)(unsafe.Pointer(&v)) != 0, nil
	case lib.EJS_TAG_INT:
		return float64(*(*int32)(unsafe.Pointer(&v))), nil
	case lib.EJS_TAG_FLOAT64:
		return *(*float64)(unsafe.Pointer(&v)), nil
	case lib.EJS_TAG_STRING, lib.EJS_TAG_STRING_ROPE:
		return e.text(v), nil
	case lib.EJS_TAG_OBJECT:
		if data, ok := e.bytes(v); ok {
			return data, nil
		}
	}
	return nil, fmt.Errorf("a %s cannot cross", map[bool]string{true: "bigint, symbol", false: "object"}[tag(v) != lib.EJS_TAG_OBJECT])
}

func (e *Engine) text(v lib.TJSValue) string {
	size := e.tls.Alloc(8)
	defer e.tls.Free(8)
	text := lib.XJS_ToCStringLen2(e.tls, e.context, size, v, 0)
	if text == 0 {
		e.free(lib.XJS_GetException(e.tls, e.context))
		return ""
	}
	defer lib.XJS_FreeCString(e.tls, e.context, text)
	return strings.Clone(unsafe.String(memory[byte](text), *memory[uint64](size)))
}

// bytes of a typed array.
func (e *Engine) bytes(v lib.TJSValue) ([]byte, bool) {
	about := e.tls.Alloc(32)
	defer e.tls.Free(32)
	buffer := lib.XJS_GetTypedArrayBuffer(e.tls, e.context, v, about, about+8, about+16)
	if isException(buffer) {
		e.free(lib.XJS_GetException(e.tls, e.context))
		return nil, false
	}
	defer e.free(buffer)
	start := lib.XJS_GetArrayBuffer(e.tls, e.context, about+24, buffer)
	offset, length := *memory[uint64](about), *memory[uint64](about + 8)
	return bytesAt(start+uintptr(offset), length), true
}

func (e *Engine) toJS(v Value) lib.TJSValue {
	switch v := v.(type) {
	case nil:
		return undefined
	case bool:
		if v {
			return bits(lib.EJS_TAG_BOOL, 1)
		}
		return bits(lib.EJS_TAG_BOOL, 0)
	case float64:
		return bits(lib.EJS_TAG_FLOAT64, math.Float64bits(v))
	case string:
		// Read where it is: the engine keeps nothing of it, and what is held lies on Go's heap, where nothing moves.
		e.held = v
		start := unsafe.StringData(v)
		if start == nil {
			start = &percentS[0]
		}
		return lib.XJS_NewStringLen(e.tls, e.context, uintptr(unsafe.Pointer(start)), lib.Tsize_t(len(v)))
	case []byte:
		e.held = v
		start := unsafe.SliceData(v)
		if start == nil {
			start = &percentS[0]
		}
		arguments := e.tls.Alloc(3 * int(valueSize))
		defer e.tls.Free(3 * int(valueSize))
		*at(arguments, 0) = lib.XJS_NewArrayBufferCopy(e.tls, e.context, uintptr(unsafe.Pointer(start)), lib.Tsize_t(len(v)))
		if isException(*at(arguments, 0)) {
			return *at(arguments, 0)
		}
		defer e.free(*at(arguments, 0))
		*at(arguments, 1), *at(arguments, 2) = undefined, undefined
		return lib.XJS_NewTypedArray(e.tls, e.context, 3, arguments, lib.EJS_TYPED_ARRAY_UINT8)
	}
	panic(fmt.Sprintf("a %T cannot cross", v))
}

func (e *Engine) cString(text string) uintptr {
	c := libc.Xmalloc(e.tls, lib.Tsize_t(len(text)+1))
	if c == 0 {
		panic("out of memory")
	}
	copy(unsafe.Slice(memory[byte](c), len(text)), text)
	*memory[byte](c + uintptr(len(text))) = 0
	return c
}

func bytesAt(start uintptr, length uint64) []byte {
	copied := make([]byte, length)
	if length > 0 {
		copy(copied, unsafe.Slice(memory[byte](start), length))
	}
	return copied
}

// memory is what lies at an address of the engine's own memory, which Go neither moves nor frees.
func memory[T any](address uintptr) *T {
	return *(**T)(unsafe.Pointer(&address))
}

// pointerTo is how transpiled C calls a Go function: by the address of its closure, as ccgo's own __ccgo_fp does.
func pointerTo[F any](function F) uintptr {
	kept := &struct{ f F }{function}
	pinned = append(pinned, kept)
	return *(*uintptr)(unsafe.Pointer(kept))
}

var pinned []any

var interruptedPointer, trackedPointer, calledPointer = pointerTo(interrupted), pointerTo(tracked), pointerTo(called)
