package browser_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

type ctxType = context.Context

func itoa(n int) string { return strconv.Itoa(n) }

func containsAny(text string, parts ...string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(text, part) })
}

// noScript switches script off for the page that comes next.
func noScript() chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	})
}

// run runs a script for what it does.
func run(script string) chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void](script)
}

// axe asks Deque's checker. It comes by `npm install --no-save axe-core@4.10.3`
// and stays away where that was not run.
func axe(t *testing.T, ctx context.Context) {
	t.Helper()
	source, err := os.ReadFile(filepath.Join("..", "..", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		if os.Getenv("NEUROTRIAGE_CI") != "" {
			t.Fatalf("axe is missing: %v", err)
		}
		t.Log("not checked by axe: npm install --no-save --no-package-lock axe-core@4.10.3")
		return
	}
	do(t, ctx, "axe", run(string(source)+";0"))
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	faults, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](
		`axe.run().then(r => r.violations.filter(v => ["serious", "critical", "moderate"].includes(v.impact)).map(v => v.id + ": " + v.nodes.slice(0, 3).map(n => n.html.slice(0, 160) + " " + n.failureSummary.slice(0, 260)).join(" ; ")))`,
		chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("axe: %v", err)
	}
	if len(faults) > 0 {
		t.Errorf("axe finds:\n%s", strings.Join(faults, "\n"))
	}
}
