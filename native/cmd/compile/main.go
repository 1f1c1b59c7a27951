// Compile makes the bytecode of a bundle: compile program.js program.bin
package main

import (
	"fmt"
	"os"

	"nodekiln.dev/native/engine"
)

func main() {
	if err := compile(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func compile(from, to string) error {
	source, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	e, err := engine.New(engine.Limits{})
	if err != nil {
		return err
	}
	defer e.Close()
	bytecode, err := e.Compile("program.js", string(source), engine.KeepLines)
	if err != nil {
		return err
	}
	return os.WriteFile(to, bytecode, 0o644)
}
