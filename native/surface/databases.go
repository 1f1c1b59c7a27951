package surface

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"nodekiln.dev/native/engine"
	"nodekiln.dev/native/loop"
	"zombiezen.com/go/sqlite"
)

var databases table[*sqlite.Conn]

// Calls return when SQLite has done them. What it refuses has its result code in decimal as the code.
var databaseNows = map[string]loop.Now{
	// sqlOpen(path or URI, readOnly, busyMs)
	"sqlOpen": func(v loop.Values) (engine.Value, error) {
		flags := sqlite.OpenReadWrite | sqlite.OpenCreate
		if v.Bool(1) {
			flags = sqlite.OpenReadOnly
		}
		conn, err := sqlite.OpenConn(v.Text(0), flags|sqlite.OpenURI|sqlite.OpenNoMutex)
		if err != nil {
			return nil, bySQLite(err)
		}
		conn.SetBusyTimeout(time.Duration(v.Int(2)) * time.Millisecond)
		return databases.add(conn), nil
	},
	"sqlClose": func(v loop.Values) (engine.Value, error) {
		conn, err := databases.take(v.Number(0))
		if err != nil {
			return nil, err
		}
		return nil, bySQLite(conn.Close())
	},
	"sqlInTransaction": func(v loop.Values) (engine.Value, error) {
		conn, err := databases.get(v.Number(0))
		return err == nil && !conn.AutocommitEnabled(), err
	},
	// sqlExec(database, statements) has no values and no results.
	"sqlExec": func(v loop.Values) (engine.Value, error) {
		conn, err := databases.get(v.Number(0))
		if err != nil {
			return nil, err
		}
		for rest := strings.TrimSpace(v.Text(1)); rest != ""; {
			statement, trailing, err := conn.PrepareTransient(rest)
			if err != nil {
				return nil, bySQLite(err)
			}
			if statement != nil {
				err = run(statement, func() error { return nil })
				// It says again what a step has said.
				_ = statement.Finalize()
				if err != nil {
					return nil, bySQLite(err)
				}
			}
			rest = strings.TrimSpace(rest[len(rest)-trailing:])
		}
		return nil, nil
	},
	"sqlPrepare": func(v loop.Values) (engine.Value, error) {
		conn, err := databases.get(v.Number(0))
		if err == nil {
			_, err = conn.Prepare(v.Text(1))
		}
		return nil, bySQLite(err)
	},
	// sqlRows(database, statement, JSON of values, most): JSON, `[names, row, …]`. Values with a tag: whole numbers
	// `{"i": "1"}`, bytes `{"b": base64}`.
	"sqlRows": func(v loop.Values) (engine.Value, error) { return rows(v) },
}

func rows(v loop.Values) (engine.Value, error) {
	conn, err := databases.get(v.Number(0))
	if err != nil {
		return nil, err
	}
	statement, err := conn.Prepare(v.Text(1))
	if err != nil {
		return nil, bySQLite(err)
	}
	var values []any
	if err := json.Unmarshal([]byte(v.Text(2)), &values); err != nil {
		return nil, err
	}
	if err := bind(statement, values); err != nil {
		return nil, err
	}
	names := make([]string, statement.ColumnCount())
	for column := range names {
		names[column] = statement.ColumnName(column)
	}
	found, most := []any{names}, v.Int(3)
	err = run(statement, func() error {
		row := make([]any, len(names))
		for column := range row {
			row[column] = valueOf(statement, column)
		}
		found = append(found, row)
		if len(found) > most {
			return errEnough
		}
		return nil
	})
	if err != nil && err != errEnough {
		return nil, bySQLite(err)
	}
	text, err := json.Marshal(found)
	return string(text), err
}

var errEnough = errors.New("enough")

// run steps through all of a statement and leaves it ready for the next time.
func run(statement *sqlite.Stmt, row func() error) error {
	// A reset says again what a step has said.
	defer func() { _, _ = statement.Reset(), statement.ClearBindings() }()
	for {
		more, err := statement.Step()
		if err != nil || !more {
			return err
		}
		if err := row(); err != nil {
			return err
		}
	}
}

type tagged struct {
	I *string `json:"i,omitempty"`
	B []byte  `json:"b,omitempty"`
	Z bool    `json:"z,omitempty"`
}

func bind(statement *sqlite.Stmt, values []any) error {
	if count := statement.BindParamCount(); len(values) > count {
		return named{"25", "column index out of range"}
	}
	for index, value := range values {
		switch value := value.(type) {
		case nil:
			statement.BindNull(index + 1)
		case string:
			statement.BindText(index+1, value)
		case float64:
			if value == math.Trunc(value) && math.Abs(value) <= 1<<53 {
				statement.BindInt64(index+1, int64(value))
			} else {
				statement.BindFloat(index+1, value)
			}
		case map[string]any:
			text, err := json.Marshal(value)
			var one tagged
			if err = errors.Join(err, json.Unmarshal(text, &one)); err != nil {
				return err
			}
			if one.I != nil {
				whole, err := strconv.ParseInt(*one.I, 10, 64)
				if err != nil {
					return err
				}
				statement.BindInt64(index+1, whole)
			} else {
				statement.BindBytes(index+1, one.B)
			}
		}
	}
	return nil
}

func valueOf(row *sqlite.Stmt, column int) any {
	switch row.ColumnType(column) {
	case sqlite.TypeInteger:
		text := row.ColumnText(column)
		return tagged{I: &text}
	case sqlite.TypeFloat:
		return row.ColumnFloat(column)
	case sqlite.TypeText:
		return row.ColumnText(column)
	case sqlite.TypeBlob:
		data := make([]byte, row.ColumnLen(column))
		row.ColumnBytes(column, data)
		return tagged{B: data, Z: true}
	}
	return nil
}

func bySQLite(err error) error {
	if err == nil {
		return nil
	}
	return named{strconv.Itoa(int(sqlite.ErrCode(err))), err.Error()}
}
