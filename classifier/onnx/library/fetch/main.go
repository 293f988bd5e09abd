// Command fetch brings the ONNX Runtime library into the project's cache and
// prints its path. ORT=cpu refuses what is made for a graphics device.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"neurotriage/classifier/onnx/library"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	path, err := fetch(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "fetch:", err)
		os.Exit(1)
	}
	fmt.Println(path)
}

func fetch(ctx context.Context) (string, error) {
	machine := library.ThisMachine()
	switch kind := os.Getenv("ORT"); kind {
	case "":
	case "cpu":
		machine.CPUOnly = true
	default:
		return "", fmt.Errorf("ORT: %q is not known, only %q or nothing is", kind, "cpu")
	}
	cache, err := library.CacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache folder: %w; set NEUROTRIAGE_CACHE", err)
	}
	return library.Fetcher{Machine: machine, Cache: cache, Log: os.Stderr}.Fetch(ctx)
}
