package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"neurotriage/internal/kit"
)

// TestCommandsPage holds docs/COMMANDS.md against the commands themselves. The
// page depends on no machine and no configuration.
func TestCommandsPage(t *testing.T) {
	kit.Golden(t, "../../docs/COMMANDS.md", string(writeCommandsPage(newBench(t).app().root())))
}

// writeCommandsPage is the reference of every command in Markdown.
func writeCommandsPage(root *cobra.Command) []byte {
	var page bytes.Buffer
	root.InitDefaultCompletionCmd()
	fmt.Fprintf(&page, "# Commands\n\n<!-- Written by 'go generate ./cmd/neurotriage' from the commands themselves. -->\n\n")
	fmt.Fprintf(&page, "%s\n\n", root.Long)
	page.WriteString(`Results go to standard output, everything else to standard error. Long work shows its progress on a
terminal and is silent in a pipe; colours follow [NO_COLOR](https://no-color.org). Ctrl-C ends a command
cleanly, a second one at once.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | the work failed |
| 2 | usage or configuration |
| 3 | nothing could be read |

Flags are stronger than the environment (` + "`NEUROTRIAGE_*`" + `), which is stronger than the file, which is stronger than
the defaults. Every command takes these:

`)
	writeBlock(&page, root.PersistentFlags().FlagUsagesWrapped(100))
	page.WriteString("| command | what it does |\n|---|---|\n")
	walk(root, func(cmd *cobra.Command) {
		if cmd.Runnable() && !cmd.HasSubCommands() {
			path := strings.TrimPrefix(cmd.CommandPath(), "neurotriage ")
			fmt.Fprintf(&page, "| [%s](#neurotriage-%s) | %s |\n", path, strings.ReplaceAll(path, " ", "-"), cmd.Short)
		}
	})
	page.WriteString(jsonSection)
	walk(root, func(cmd *cobra.Command) {
		if cmd != root {
			writeCommand(&page, cmd)
		}
	})
	return append(bytes.TrimRight(page.Bytes(), "\n"), '\n')
}

// jsonSection says what programs may rely on; TestJSONKeys holds the commands to
// it where no schema does.
const jsonSection = `
## JSON for programs

Keys are added and never renamed within a version of a schema.

| command | what it prints |
|---|---|
| classify --json | one array of findings, ` + "`docs/schemas/finding.v1.json`" + ` |
| submit --wait, watch --json | one finding a line, the same schema |
| submit, deadletter replay | one announced job a line: ` + "`event_id` `study_instance_uid` `location` `priority` `accession_number` `asked` `replay_of`" + ` |
| evaluate --json | one object: a key per class and ` + "`macro avg` `weighted avg`" + `, each with ` + "`precision` `recall` `f1-score` `support`" + `; ` + "`accuracy` `labels` `confusion_matrix`" + ` (rows: folder, columns: answer); ` + "`review`" + ` (` + "`threshold` `recall` `flagged_share` `flagged`" + `); ` + "`ece` `reliability` `abstentions`" + ` (` + "`unscored` `out_of_domain`" + `); ` + "`unreadable` `skipped` `model`" + ` |
| model info --json | the card, ` + "`model.v1`" + `, with the file's ` + "`digest`" + ` |
| deadletter list --json, show | an array of dead letters, one dead letter, ` + "`deadletter.v1`" + ` |
| doctor --json | ` + "`ok`" + ` and ` + "`checks`" + `, each with ` + "`name` `level`" + ` (OK, WARN, FAIL) ` + "`detail` `cure`" + ` |
| version --json | ` + "`version` `revision` `go` `platform`" + ` |

`

func writeCommand(page *bytes.Buffer, cmd *cobra.Command) {
	fmt.Fprintf(page, "## %s\n\n", cmd.CommandPath())
	about := cmd.Long
	if about == "" {
		about = cmd.Short + "."
	}
	if cmd.Parent().Name() == "completion" { // cobra's own words, with code indented by tabs
		about = cmd.Short + "; `" + cmd.CommandPath() + " --help` says how to load it."
	}
	fmt.Fprintf(page, "%s\n\n", strings.TrimSpace(about))
	if !cmd.HasSubCommands() {
		writeBlock(page, cmd.UseLine())
	}
	if cmd.Example != "" {
		writeBlock(page, cmd.Example)
	}
	if cmd.HasAvailableLocalFlags() && !cmd.HasSubCommands() {
		writeBlock(page, cmd.LocalFlags().FlagUsagesWrapped(100))
	}
}

func writeBlock(page *bytes.Buffer, text string) {
	lines := strings.Split(strings.Trim(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(strings.TrimPrefix(line, "  "), " ")
	}
	fmt.Fprintf(page, "```text\n%s\n```\n\n", strings.Join(lines, "\n"))
}
