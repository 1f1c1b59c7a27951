package engine

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// resident is our anonymous memory in bytes.
func resident(t *testing.T) int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, isIt := strings.CutPrefix(line, "RssAnon:"); isIt {
			kib, _ := strconv.Atoi(strings.Fields(rest)[0])
			return kib * 1024
		}
	}
	t.Fatal("no RssAnon")
	return 0
}

func TestWhatIsNotUsedGoesBackToTheSystem(t *testing.T) {
	e, err := New(Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Eval("fill.js", "var held = []; for (let n = 0; n < 2e5; n++) { const a = { n: 'x' + n }; a.a = a; held.push(a) }; for (let n = 10; n < 22; n++) held.push(new Uint8Array(1 << n)); held = undefined"); err != nil {
		t.Fatal(err)
	}
	before := resident(t)
	if err := e.Tidy(); err != nil {
		t.Fatal(err)
	}
	after := resident(t)
	t.Logf("%d MB before, %d after", before>>20, after>>20)
	if before-after < 8<<20 {
		t.Errorf("%d MB before, %d after", before>>20, after>>20)
	}
	if value, err := e.Eval("on.js", "Array.from({ length: 1e4 }, (_, n) => 'y' + n).length"); err != nil || value != 1e4 {
		t.Errorf("%v %v", value, err)
	}
}
