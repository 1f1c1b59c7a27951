package surface

import (
	"bufio"
	"context"
	"encoding/binary"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"nodekiln.dev/native/engine"
	"nodekiln.dev/native/loop"
)

// otherSide greets as systemd's private socket does, and answers each call by its member.
func otherSide(t *testing.T, listener net.Listener) {
	conn, err := listener.Accept()
	if err != nil {
		return
	}
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		if strings.Contains(line, "AUTH EXTERNAL ") {
			_, _ = conn.Write([]byte("OK 0123456789abcdef0123456789abcdef\r\n"))
		}
		if strings.HasPrefix(line, "BEGIN") {
			break
		}
	}
	for serial := uint32(1); ; serial++ {
		call, err := dbus.DecodeMessage(in)
		if err != nil {
			return
		}
		if _, has := call.Headers[dbus.FieldDestination]; has {
			t.Error("a destination where there is no bus")
		}
		reply := &dbus.Message{Type: dbus.TypeMethodReply, Headers: map[dbus.HeaderField]dbus.Variant{dbus.FieldReplySerial: dbus.MakeVariant(call.Serial())}}
		switch call.Headers[dbus.FieldMember].Value() {
		case "Echo":
			reply.Body = call.Body
		case "Values":
			reply.Body = []any{map[string]dbus.Variant{"u": dbus.MakeVariant(uint64(1) << 63), "y": dbus.MakeVariant([]byte{1, 2}), "s": dbus.MakeVariant([]string{"a"})}}
		case "Fails":
			reply.Type = dbus.TypeError
			reply.Headers[dbus.FieldErrorName] = dbus.MakeVariant("org.example.No")
			reply.Body = []any{"it is not to be"}
		case "Silent":
			continue
		case "Ends":
			_ = conn.Close()
			return
		}
		if len(reply.Body) > 0 {
			reply.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(reply.Body...))
		}
		signal := &dbus.Message{Type: dbus.TypeSignal, Body: []any{uint32(7)}, Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldPath: dbus.MakeVariant(dbus.ObjectPath("/x")), dbus.FieldInterface: dbus.MakeVariant("org.example"), dbus.FieldMember: dbus.MakeVariant("Told"),
			dbus.FieldSignature: dbus.MakeVariant(dbus.SignatureOf(uint32(7))),
		}}
		for _, message := range []*dbus.Message{signal, reply} {
			if err := message.EncodeTo(conn, binary.LittleEndian); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestBus(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bus")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go otherSide(t, listener)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	told := make(chan []engine.Value, 100)
	ended := make(chan error, 1)
	go func() {
		_, err := Waits()["bus"](ctx, loop.Values{path}, func(values ...engine.Value) bool { told <- values; return true })
		ended <- err
	}()
	open := <-told
	call := func(member, signature, body string, ms float64) (string, string) {
		asked := `{"path":"/x","interface":"org.example","member":"` + member + `","signature":"` + signature + `","body":` + body + `}`
		text, err := Waits()["busCall"](ctx, loop.Values{open[1], asked, ms}, nil)
		if err != nil {
			described, isOne := err.(engine.Described)
			if !isOne {
				t.Fatal(member, err)
			}
			code, _ := described.Describe()
			return "", code
		}
		return text.(string), ""
	}
	for _, one := range [][5]string{
		{"Echo", "sasbiu", `["a",["b","c"],true,-1,4294967295]`, `["a",["b","c"],true,-1,4294967295]`, ""},
		{"Echo", "asas", `[[],["x"]]`, `[[],["x"]]`, ""},
		{"Values", "", `[]`, `[{"d":{"s":["a"],"u":{"i":"9223372036854775808"},"y":{"b":"AQI="}}}]`, ""},
		{"Fails", "s", `["x"]`, "", "org.example.No"},
		{"Echo", "s", `[]`, "", "ERR_INVALID_ARG_VALUE"},
		{"Echo", "(s)", `["x"]`, "", "ERR_INVALID_ARG_VALUE"},
	} {
		if text, code := call(one[0], one[1], one[2], 5000); text != one[3] || code != one[4] {
			t.Error(one, text, code)
		}
	}
	if _, code := call("Silent", "", "[]", 50); code != "ETIMEDOUT" {
		t.Error("silent:", code)
	}
	if signal := <-told; signal[0] != "signal" || signal[1] != `{"body":[7],"member":"Told","path":"/x"}` {
		t.Error(signal)
	}
	if _, code := call("Ends", "", "[]", 5000); code != "ECONNCLOSED" {
		t.Error("ends:", code)
	}
	if err := <-ended; err != nil {
		t.Error("the end of a connection is no error:", err)
	}
}
