// Package sourcemap says where a place in a bundle comes from (ECMA-426, version 3): for stacks of defects, in the lines of
// the sources.
package sourcemap

import (
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
)

type mapping struct{ column, source, line, sourceColumn int }

// Map is read once.
type Map struct {
	sources []string
	lines   [][]mapping
}

// Parse reads a source map.
func Parse(data []byte) (*Map, error) {
	var file struct {
		Sources  []string
		Mappings string
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	m := &Map{sources: file.Sources}
	var source, line, column int
	for _, text := range strings.Split(file.Mappings, ";") {
		var found []mapping
		at := 0
		for _, segment := range strings.Split(text, ",") {
			fields := decode(segment)
			if len(fields) > 0 {
				at += fields[0]
			}
			if len(fields) < 4 {
				continue
			}
			source, line, column = source+fields[1], line+fields[2], column+fields[3]
			found = append(found, mapping{at, source, line, column})
		}
		m.lines = append(m.lines, found)
	}
	return m, nil
}

const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// decode reads numbers in base 64, five bits at a time, the lowest bit of a number its sign.
func decode(segment string) (fields []int) {
	value, shift := 0, 0
	for _, letter := range segment {
		digit := strings.IndexRune(digits, letter)
		if digit < 0 || shift > 30 {
			return nil
		}
		value |= digit & 31 << shift
		shift += 5
		if digit&32 != 0 {
			continue
		}
		number := value >> 1
		if value&1 != 0 {
			number = -number
		}
		fields = append(fields, number)
		value, shift = 0, 0
	}
	return fields
}

// Place is `file:line:column`, all counted from 1, or nothing where it is not known.
func (m *Map) Place(line, column int) (string, bool) {
	if line < 1 || line > len(m.lines) {
		return "", false
	}
	var best *mapping
	for index := range m.lines[line-1] {
		if one := &m.lines[line-1][index]; one.column <= column-1 {
			best = one
		}
	}
	if best == nil || best.source >= len(m.sources) {
		return "", false
	}
	return fmt.Sprintf("%s:%d:%d", path.Clean(strings.TrimLeft(m.sources[best.source], "./")), best.line+1, best.sourceColumn+1), true
}

var place = regexp.MustCompile(`program\.js:(\d+):(\d+)`)

// Stack is a stack of the bundle in places of the sources.
func (m *Map) Stack(stack string) string {
	return place.ReplaceAllStringFunc(stack, func(text string) string {
		parts := place.FindStringSubmatch(text)
		line, _ := strconv.Atoi(parts[1])
		column, _ := strconv.Atoi(parts[2])
		if found, isKnown := m.Place(line, column); isKnown {
			return found
		}
		return text
	})
}
