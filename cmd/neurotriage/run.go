package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Exit codes, fixed by the contract with the outside.
const (
	exitDone    = 0
	exitFailed  = 1 // the work failed
	exitUsage   = 2 // usage or configuration
	exitNothing = 3 // nothing could be read
)

// exitError carries the exit code that an error asks for. A nil Err says that
// everything is told already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usage marks an error of the caller: a wrong flag, argument or setting.
func usage(err error) error { return &exitError{code: exitUsage, err: err} }

// quiet ends with a code after everything is told.
func quiet(code int) error { return &exitError{code: code} }

// run executes one command line and gives the exit code. It may be called
// several times in one process, also at once.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, environ []string) int {
	a := newApp(stdin, stdout, stderr, environ)
	return a.run(ctx, args)
}

func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	exit := &exitError{code: exitUsage, err: err} // what no command returned is cobra's: wrong usage
	errors.As(err, &exit)
	switch {
	case exit.err == nil:
		return exit.code
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		a.note("interrupted")
		return exitFailed
	}
	a.tell("error", a.errStyle.bad, exit.err.Error())
	var hinted *exitError
	if !errors.As(err, &hinted) {
		fmt.Fprintf(a.err, "See '%s --help'.\n", cmd.CommandPath())
	}
	return exit.code
}

// command gives a command's function to cobra: its errors fail the work unless
// they ask for another exit code.
func command(do func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := do(cmd.Context(), args)
		var exit *exitError
		if err == nil || errors.As(err, &exit) {
			return err
		}
		return &exitError{code: exitFailed, err: err}
	}
}

// root is the tree of commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "neurotriage",
		Short: "Sort MRI studies of the head by urgency",
		Long: `neurotriage listens on NATS for new MRI studies, reads their slices, classifies
them (glioma, meningioma, normal, pituitary) and publishes findings that order a
worklist. It is research software: a finding is not a diagnosis.`,
		Example: `  neurotriage serve                                # the daemon
  neurotriage submit study.zip --wait              # announce a study, wait for its finding
  neurotriage classify study/                      # read a study here, without NATS`,
		Args:              knownCommand,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{},
	}
	root.SetHelpCommand(&cobra.Command{Use: "no-help", Hidden: true}) // every command has --help
	a.configFlags(root)
	root.AddCommand(
		a.serveCommand(), a.classifyCommand(), a.submitCommand(), a.watchCommand(), a.evaluateCommand(),
		a.modelCommand(), a.deadletterCommand(), a.redeliverCommand(), a.alertCommand(), a.doctorCommand(), a.configCommand(), a.versionCommand(),
	)
	return root
}

// knownCommand refuses words that are no command, with those that may be meant.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	const slips = 2 // letters
	cmd.SuggestionsMinimumDistance = slips
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return fmt.Errorf("unknown command %q%s", args[0], hint)
}

// somePaths wants one path at least.
func somePaths(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("name at least one file, folder or zip archive")
	}
	return nil
}

// tell writes one line or more for a person to standard error; the lines after
// the first are indented.
func (a *app) tell(kind string, paint func(string) string, text string) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	fmt.Fprintf(a.err, "%s %s\n", paint(kind+":"), strings.Join(lines, "\n  "))
}

// warn tells what did not stop the work.
func (a *app) warn(format string, args ...any) {
	a.tell("warning", a.errStyle.warn, fmt.Sprintf(format, args...))
}

// note tells what is good to know.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.err, format+"\n", args...)
}
