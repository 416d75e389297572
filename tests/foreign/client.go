// A client in Go, on github.com/varlink/go: prints each reply as a line of JSON, and an error as
// {"error": ..., "parameters": ...}.
//
// usage: client SOCKET call|more METHOD JSON
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"

	"github.com/varlink/go/varlink"
)

func fail(err error) {
	fmt.Fprintln(os.Stderr, "client:", err)
	os.Exit(2)
}

func show(value interface{}) {
	text, err := json.Marshal(value)
	if err != nil {
		fail(err)
	}
	fmt.Println(string(text))
}

// refuse shows an error that the service answered, and ends.
func refuse(err error) {
	if refused, ok := err.(*varlink.Error); ok {
		show(map[string]interface{}{"error": refused.Name, "parameters": refused.Parameters})
		os.Exit(1)
	}
	// Errors of Varlink itself are types of their own, named like it.
	kind := reflect.TypeOf(err)
	if kind.Kind() == reflect.Ptr && kind.Elem().PkgPath() == "github.com/varlink/go/varlink" {
		show(map[string]interface{}{"error": "org.varlink.service." + kind.Elem().Name(), "parameters": err})
		os.Exit(1)
	}
	fail(err)
}

func main() {
	if len(os.Args) != 5 {
		fail(fmt.Errorf("usage: client SOCKET call|more METHOD JSON"))
	}
	ctx := context.Background()
	connection, err := varlink.NewConnection(ctx, "unix:"+os.Args[1])
	if err != nil {
		fail(err)
	}
	defer connection.Close()
	flags := uint64(0)
	if os.Args[2] == "more" {
		flags = varlink.More
	}
	receive, err := connection.Send(ctx, os.Args[3], json.RawMessage(os.Args[4]), flags)
	if err != nil {
		fail(err)
	}
	for more := true; more; {
		reply := json.RawMessage("{}")
		got, err := receive(ctx, &reply)
		if err != nil {
			refuse(err)
		}
		show(reply)
		more = got&varlink.Continues != 0
	}
}
