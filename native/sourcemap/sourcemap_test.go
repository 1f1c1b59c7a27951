package sourcemap

import "testing"

func TestPlaces(t *testing.T) {
	// Line 1: columns 0 and 4 of the bundle are lines 1 and 2 of a.ts; line 3: column 2 is line 1, column 3 of b.ts.
	m, err := Parse([]byte(`{"version":3,"sources":["../src/a.ts","src/b.ts"],"mappings":"AAAA,IACA;;ECDE"}`))
	if err != nil {
		t.Fatal(err)
	}
	for asked, want := range map[[2]int]string{{1, 1}: "src/a.ts:1:1", {1, 4}: "src/a.ts:1:1", {1, 5}: "src/a.ts:2:1", {1, 99}: "src/a.ts:2:1", {3, 3}: "src/b.ts:1:3", {3, 1}: "", {2, 1}: "", {9, 1}: "", {0, 0}: ""} {
		if got, _ := m.Place(asked[0], asked[1]); got != want {
			t.Error(asked, got, want)
		}
	}
	if got := m.Stack("    at f (program.js:1:5)\n    at other (x.js:1:5)"); got != "    at f (src/a.ts:2:1)\n    at other (x.js:1:5)" {
		t.Error(got)
	}
	for _, bad := range []string{"", "{", `{"mappings":"!!!!,,,;;A"}`, `{"mappings":"gggggggggggggggg"}`, `{"sources":[],"mappings":"AAAA"}`} {
		if m, err := Parse([]byte(bad)); err == nil {
			m.Stack("program.js:1:1")
		}
	}
}
