package surface

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
	"nodekiln.dev/native/engine"
	"nodekiln.dev/native/loop"
)

var buses table[*dbus.Conn]

var busNows = map[string]loop.Now{
	"busClose": func(v loop.Values) (engine.Value, error) {
		conn, err := buses.take(v.Number(0))
		if err != nil {
			return nil, err
		}
		return nil, conn.Close()
	},
}

var busWaits = map[string]loop.Wait{
	// bus(socket) greets, tells `open, id`, then `signal, JSON {path, member, body}` for each that comes, and is done when
	// the connection ends.
	"bus": func(ctx context.Context, v loop.Values, tell loop.Tell) (engine.Value, error) {
		conn, err := dialBus(ctx, v.Text(0))
		if err != nil {
			return nil, ofConnection(err)
		}
		defer conn.Close()
		signals := make(chan *dbus.Signal, 256)
		conn.Signal(signals)
		id := buses.add(conn)
		defer func() { _, _ = buses.take(id) }()
		tell("open", id)
		for {
			select {
			case signal, more := <-signals:
				if !more {
					return nil, nil
				}
				text, err := json.Marshal(map[string]any{
					"path": signal.Path, "member": signal.Name[strings.LastIndexByte(signal.Name, '.')+1:], "body": plain(signal.Body),
				})
				if err != nil || !tell("signal", string(text)) {
					return nil, errors.Join(err, ctx.Err())
				}
			case <-conn.Context().Done():
				return nil, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	},
	// busCall(bus, JSON {destination, path, interface, member, signature, body}, ms): JSON, the values of the reply. An error of the
	// other side has its D-Bus name as the code; ECONNCLOSED, ETIMEDOUT.
	"busCall": func(ctx context.Context, v loop.Values, _ loop.Tell) (engine.Value, error) {
		conn, err := buses.get(v.Number(0))
		if err != nil {
			return nil, named{"ECONNCLOSED", "the connection is closed"}
		}
		var asked struct {
			Destination, Path, Interface, Member, Signature string
			Body                                            []json.RawMessage
		}
		if err := json.Unmarshal([]byte(v.Text(1)), &asked); err != nil {
			return nil, err
		}
		body, err := bodyOf(asked.Signature, asked.Body)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, time.Duration(v.Int(2))*time.Millisecond)
		defer cancel()
		message := &dbus.Message{Type: dbus.TypeMethodCall, Body: body, Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldPath:      dbus.MakeVariant(dbus.ObjectPath(asked.Path)),
			dbus.FieldInterface: dbus.MakeVariant(asked.Interface),
			dbus.FieldMember:    dbus.MakeVariant(asked.Member),
		}}
		if asked.Destination != "" {
			message.Headers[dbus.FieldDestination] = dbus.MakeVariant(asked.Destination)
		}
		if len(body) > 0 {
			message.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(body...))
		}
		call := <-conn.SendWithContext(ctx, message, make(chan *dbus.Call, 1)).Done
		if call.Err != nil {
			return nil, ofBus(ctx, conn, call.Err)
		}
		text, err := json.Marshal(plain(call.Body))
		return string(text), err
	},
}

func ofBus(ctx context.Context, conn *dbus.Conn, err error) error {
	var reply dbus.Error
	switch {
	case errors.As(err, &reply):
		return named{reply.Name, reply.Error()}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return named{"ETIMEDOUT", "no reply in time"}
	case ctx.Err() != nil:
		return ctx.Err()
	case !conn.Connected(), errors.Is(err, dbus.ErrClosed):
		return named{"ECONNCLOSED", err.Error()}
	}
	return err
}

// dialBus greets in one piece, as systemd's own client does it: systemd 257 may leave calls without an answer after a
// BEGIN that comes alone.
func dialBus(ctx context.Context, path string) (*dbus.Conn, error) {
	var dialer net.Dialer
	socket, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = socket.SetReadDeadline(time.Now()) })()
	in := bufio.NewReader(socket)
	who := fmt.Sprint(os.Geteuid())
	answer := ""
	if _, err = fmt.Fprintf(socket, "\x00AUTH EXTERNAL %x\r\nBEGIN\r\n", who); err == nil {
		answer, err = in.ReadString('\n')
	}
	if err == nil && !strings.HasPrefix(answer, "OK ") {
		err = unix.EACCES
	}
	var conn *dbus.Conn
	if err == nil {
		conn, err = dbus.NewConn(&greeted{Conn: socket, in: in, welcome: answer})
	}
	if err == nil {
		err = conn.Auth([]dbus.Auth{dbus.AuthExternal(who)})
	}
	if err != nil {
		_ = socket.Close()
		return nil, err
	}
	return conn, nil
}

// greeted is past its greeting, and plays the server's part of one to godbus, which insists on it.
type greeted struct {
	net.Conn
	in      *bufio.Reader
	welcome string
	answers bytes.Buffer
	begun   bool
}

func (g *greeted) Write(data []byte) (int, error) {
	if g.begun {
		return g.Conn.Write(data)
	}
	switch words := strings.Trim(string(data), "\x00\r\n"); words {
	case "":
	case "AUTH":
		g.answers.WriteString("REJECTED EXTERNAL\r\n")
	case "AUTH EXTERNAL":
		g.answers.WriteString(g.welcome)
	case "BEGIN":
		g.begun = true
	default:
		if !strings.HasPrefix(words, "AUTH EXTERNAL ") {
			return 0, fmt.Errorf("the library greets otherwise: %q", words)
		}
		g.answers.WriteString(g.welcome)
	}
	return len(data), nil
}

func (g *greeted) Read(data []byte) (int, error) {
	if g.answers.Len() > 0 {
		return g.answers.Read(data)
	}
	return g.in.Read(data)
}

// ── values ───────────────────────────────────────────────────────────────────────────────────────────────────────────

var signatureTypes = map[byte]reflect.Type{
	's': reflect.TypeFor[string](), 'o': reflect.TypeFor[dbus.ObjectPath](), 'b': reflect.TypeFor[bool](), 'y': reflect.TypeFor[byte](),
	'i': reflect.TypeFor[int32](), 'u': reflect.TypeFor[uint32](), 'x': reflect.TypeFor[int64](), 't': reflect.TypeFor[uint64](), 'd': reflect.TypeFor[float64](),
}

// bodyOf makes values of basic types and arrays of them.
func bodyOf(signature string, values []json.RawMessage) ([]any, error) {
	var body []any
	for ; signature != ""; signature = signature[1:] {
		depth := len(signature) - len(strings.TrimLeft(signature, "a"))
		signature = signature[depth:]
		if signature == "" || signatureTypes[signature[0]] == nil || len(body) == len(values) {
			return nil, named{"ERR_INVALID_ARG_VALUE", "the values do not fit their signature"}
		}
		kind := signatureTypes[signature[0]]
		for range depth {
			kind = reflect.SliceOf(kind)
		}
		value := reflect.New(kind)
		if err := json.Unmarshal(values[len(body)], value.Interface()); err != nil {
			return nil, err
		}
		body = append(body, value.Elem().Interface())
	}
	return body, nil
}

// plain is a value for JSON: `{"b": base64}` bytes, `{"i": "1"}` of 64 bits, `{"d": {…}}` a dictionary with names.
func plain(value any) any {
	switch value := value.(type) {
	case dbus.Variant:
		return plain(value.Value())
	case []byte:
		return map[string]string{"b": base64.StdEncoding.EncodeToString(value)}
	case uint64:
		return map[string]string{"i": strconv.FormatUint(value, 10)}
	case int64:
		return map[string]string{"i": strconv.FormatInt(value, 10)}
	case float64:
		return strconv.FormatFloat(value, 'g', -1, 64)
	}
	switch of := reflect.ValueOf(value); of.Kind() {
	case reflect.Slice:
		list := make([]any, of.Len())
		for index := range list {
			list[index] = plain(of.Index(index).Interface())
		}
		return list
	case reflect.Map:
		named := map[string]any{}
		for _, key := range of.MapKeys() {
			named[fmt.Sprint(key.Interface())] = plain(of.MapIndex(key).Interface())
		}
		return map[string]any{"d": named}
	}
	return value
}
