// Command neurotriage is the front door: flags and signals become options and
// a context, errors become exit codes, and everything else is another room's.
//
// docs/COMMANDS.md describes every command; it is written from the commands
// themselves. Results go to standard output, everything else to standard error.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version is the program's; the Makefile sets it with -X main.version.
var version = "unknown"

//go:generate go test -run ^TestCommandsPage$ -update .

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the process in the system's own way
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}
