// A LUN, made with what Go's generator made of the published descriptions.
//
// usage: bindings SOCKET SUBSYSTEM BYTES
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/varlink/go/varlink"

	async "vdsprov/async"
	lun "vdsprov/lun"
	subsystem "vdsprov/subsystem"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	ctx := context.Background()
	connection, err := varlink.NewConnection(ctx, "unix:"+os.Args[1])
	check(err)
	defer connection.Close()
	size, err := strconv.ParseInt(os.Args[3], 10, 64)
	check(err)

	mask := "*"
	started, err := subsystem.CreateLun().Call(ctx, connection, os.Args[2], "simple", size, nil, &mask, nil)
	check(err)
	_, hresult, kind, made, _, err := async.Wait().Call(ctx, connection, started)
	check(err)
	_, properties, err := lun.GetProperties().Call(ctx, connection, *made)
	check(err)
	fmt.Println(*hresult, *kind, properties.Size, properties.UnmaskingList, properties.Status)
}
