package strict

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"time"
)

// SetDefaults gives each field of the struct that into points to, and of the structs in
// it, the value of its default tag, written without quotes: `default:"5m"`. A list or a
// table has nothing in it at first, whatever its tag says.
func SetDefaults(into any) { setDefaults(reflect.ValueOf(into).Elem()) }

func setDefaults(to reflect.Value) {
	if to.Kind() != reflect.Struct {
		return
	}
	for field, value := range to.Fields() {
		text, given := field.Tag.Lookup("default")
		if !given {
			setDefaults(value)
		} else if err := setText(value, text); err != nil {
			panic(fmt.Sprintf("strict: the default of %s.%s: %v", to.Type(), field.Name, err))
		}
	}
}

// setText is the only place where a text of the program becomes a value: the texts of
// files have the types of their format.
func setText(to reflect.Value, text string) (err error) {
	switch to := to.Addr().Interface().(type) {
	case *time.Duration:
		*to, err = time.ParseDuration(text)
		return err
	case encoding.TextUnmarshaler:
		return to.UnmarshalText([]byte(text))
	}
	switch to.Kind() {
	case reflect.String:
		to.SetString(text)
	case reflect.Bool:
		yes, err := strconv.ParseBool(text)
		to.SetBool(yes)
		return err
	case reflect.Int:
		n, err := strconv.Atoi(text)
		to.SetInt(int64(n))
		return err
	}
	return nil
}
