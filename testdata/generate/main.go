// Command generate writes the DICOM fixtures of this folder. Run it from the
// repository's root: go run ./testdata/generate. The same source writes the same
// bytes on every machine.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"neurotriage/internal/kit"
)

func main() {
	if err := Write("testdata"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Write writes every fixture below dir.
func Write(dir string) error {
	for _, fixture := range kit.Fixtures() {
		path := filepath.Join(dir, fixture.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("write fixture: %w", err)
		}
		if err := os.WriteFile(path, fixture.Data, 0o644); err != nil {
			return fmt.Errorf("write fixture: %w", err)
		}
	}
	return nil
}
