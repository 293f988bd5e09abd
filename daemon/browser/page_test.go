package browser_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"neurotriage"
	"neurotriage/config"
	"neurotriage/internal/kit"
)

// fill announces one study of each kind.
func fill(h *house) {
	broken := study("broken", "GADOLINIUM", 3, false, false)
	jobs := []neurotriage.Job{
		h.send(study("lump", "GADOLINIUM", 24, true, false), neurotriage.Urgent),
		h.send(study("other", "GADOLINIUM", 20, true, true), neurotriage.Routine),
		h.send(study("calm", "GADOLINIUM", 22, false, false), neurotriage.Routine),
		h.send(study("plain", "", 18, false, false), neurotriage.Stat),
		h.announce(kit.UID("lost"), "lost", "A-lost", neurotriage.Routine),
	}
	if err := broken.WriteDir(filepath.Join(h.root, "broken")); err != nil {
		h.t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(h.root, "broken", "*", "*.dcm"))
	for _, name := range files {
		if err := os.Truncate(name, 700); err != nil {
			h.t.Fatal(err)
		}
	}
	jobs = append(jobs, h.announce(kit.UID("broken"), "broken", "A-broken", neurotriage.Routine))
	h.settle(jobs...)
}

func TestPages(t *testing.T) {
	ctx := chrome(t, 1920, 1080)
	h := open(t)
	fill(h)
	uid := kit.UID("lump")

	t.Run("the list stands in its order", func(t *testing.T) {
		do(t, ctx, "open the list", chromedp.Navigate(h.url+"/"), chromedp.WaitVisible(".studies"))
		got := ask[string](t, ctx, `[...document.querySelectorAll("a.verdict")].map(a => a.textContent.slice(1)).join("|")`)
		if want := "Glioma review|Tumour suspected|NOT READ|NOT READ|NOT READ|Not flagged"; got != want {
			t.Errorf("order %q, want %q", got, want)
		}
		if tags := ask[string](t, ctx, `document.querySelector("tr.review td:nth-child(3)").textContent.trim()`); tags != "MR BRAIN T1C" {
			t.Errorf("images %q", tags)
		}
		if dark := ask[string](t, ctx, `getComputedStyle(document.documentElement).colorScheme`); dark != "dark" {
			t.Errorf("the page is %q at first, want dark", dark)
		}
		until(t, ctx, "live", `document.getElementById("live").textContent.startsWith("Live")`)
		look(t, ctx, "list-dark")
	})
	t.Run("nothing serious for accessibility", func(t *testing.T) { axe(t, ctx) })
	t.Run("a finding comes by itself", func(t *testing.T) {
		h.settle(h.send(study("late", "GADOLINIUM", 12, true, false), neurotriage.Stat))
		until(t, ctx, "the late study", `[...document.querySelectorAll("a.verdict")][0]?.href.endsWith("`+kit.UID("late")+`")`)
	})
	t.Run("filter", func(t *testing.T) {
		do(t, ctx, "search", run(`document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "/", bubbles: true}))`), chromedp.KeyEvent("a-broken"+kb.Enter))
		until(t, ctx, "one row", `document.querySelectorAll("a.verdict").length === 1 && location.search.includes("a-broken")`)
	})
	t.Run("light, and it stays", func(t *testing.T) {
		do(t, ctx, "choose light", chromedp.Navigate(h.url+"/?sort=newest"), chromedp.Click("button[name=theme]"))
		until(t, ctx, "light", `document.documentElement.className === "light" && location.search === "?sort=newest"`)
		do(t, ctx, "another page", chromedp.Navigate(h.url+"/"), chromedp.WaitVisible(".studies"))
		if got := ask[string](t, ctx, `getComputedStyle(document.documentElement).colorScheme`); got != "light" {
			t.Errorf("the next page is %q", got)
		}
		axe(t, ctx)
		look(t, ctx, "list-light")
		do(t, ctx, "dark again", chromedp.Click("button[name=theme]"), chromedp.WaitReady("html.dark"))
	})
	t.Run("keys of the list", func(t *testing.T) {
		until(t, ctx, "live", `document.getElementById("live").textContent === "Live"`)
		do(t, ctx, "j j k", chromedp.KeyEvent("j"), chromedp.KeyEvent("j"), chromedp.KeyEvent("k"))
		if got := ask[int](t, ctx, `[...document.querySelectorAll("a.verdict")].indexOf(document.activeElement)`); got != 0 {
			t.Errorf("the focus is on row %d, want 0", got)
		}
		do(t, ctx, "help", chromedp.KeyEvent("?"), chromedp.WaitVisible("#keys kbd"), chromedp.KeyEvent("?"))
		do(t, ctx, "open", chromedp.Focus("a.verdict"), chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible("h1"))
	})
	t.Run("study view", func(t *testing.T) { viewer(t, h, ctx, uid) })
	t.Run("assessment", func(t *testing.T) { assessment(t, h, ctx, uid) })
	t.Run("operations", func(t *testing.T) {
		do(t, ctx, "open operations", chromedp.Navigate(h.url+"/operations"), chromedp.WaitVisible(".letters"))
		axe(t, ctx)
		look(t, ctx, "operations")
		before := ask[int](t, ctx, `document.querySelectorAll(".letters tbody tr").length`)
		do(t, ctx, "replay", chromedp.Click(".letters button"), chromedp.WaitVisible(".letters"))
		until(t, ctx, "the replayed study is refused once more", `fetch("/operations").then(a => a.text()).then(x => x.split("/operations/replay").length - 1 === `+itoa(before+1)+`)`)
	})
}

func viewer(t *testing.T, h *house, ctx ctxType, uid string) {
	do(t, ctx, "open the study", chromedp.Navigate(h.url+"/study/"+uid))
	until(t, ctx, "the viewer", `document.getElementById("viewer")?.dataset.slice > 0`)
	// The key slice comes first, and its map is on.
	first := ask[int](t, ctx, `Number(document.getElementById("viewer").dataset.slice)`)
	if state := ask[string](t, ctx, `document.getElementById("viewer").dataset.map`); state != "on" || first < 10 || first > 17 {
		t.Errorf("slice %d with map %q at first; the lump is in the middle", first, state)
	}
	const ink = `(() => { const c = document.getElementById("screen"), d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
		let grey = 0, warm = 0; for (let i = 0; i < d.length; i += 4) { grey += d[i + 2]; warm += d[i] - d[i + 2]; } return [grey, warm]; })()`
	with := ask[[]float64](t, ctx, ink)
	look(t, ctx, "study")
	do(t, ctx, "map off", chromedp.KeyEvent("o"))
	without := ask[[]float64](t, ctx, ink)
	if with[1] < 1e5 || without[1] != 0 || without[0] < 1e6 {
		t.Errorf("grey and warm are %v with the map, %v without", with, without)
	}
	do(t, ctx, "map on, weaker", chromedp.KeyEvent("o"), chromedp.KeyEvent("["), chromedp.KeyEvent("["))
	if weak := ask[[]float64](t, ctx, ink); weak[1] <= 0 || weak[1] >= with[1] {
		t.Errorf("the weaker map has warmth %v, the stronger one %v", weak[1], with[1])
	}
	do(t, ctx, "the slider", run(`(() => { const s = document.getElementById("strength"); s.value = 100; s.dispatchEvent(new Event("input")); })()`))
	if strong := ask[[]float64](t, ctx, ink); strong[1] <= with[1] {
		t.Errorf("the slider's map has warmth %v, want more than %v", strong[1], with[1])
	}
	at := func(want int, what string) {
		t.Helper()
		until(t, ctx, what, `document.getElementById("viewer").dataset.slice === "`+itoa(want)+`"`)
	}
	do(t, ctx, "down", chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowUp))
	at(first+1, "one slice on")
	do(t, ctx, "the wheel", run(`document.getElementById("screen").dispatchEvent(new WheelEvent("wheel", {deltaY: 120, cancelable: true}))`))
	at(first+2, "the wheel turns one slice")
	do(t, ctx, "home", chromedp.KeyEvent(kb.Home))
	at(1, "the first slice")
	before := ask[string](t, ctx, `document.getElementById("readout").textContent`)
	do(t, ctx, "drag", run(`(() => { const s = document.getElementById("screen"), go = (k, x, y) => s.dispatchEvent(new PointerEvent(k, {clientX: x, clientY: y, pointerId: 1, pointerType: "mouse"}));
		s.setPointerCapture = () => {}; go("pointerdown", 300, 300); go("pointermove", 360, 330); go("pointerup", 360, 330); })()`))
	if after := ask[string](t, ctx, `document.getElementById("readout").textContent`); after == before {
		t.Errorf("window and level stay %q", after)
	}
	do(t, ctx, "reset", chromedp.KeyEvent("r"))
	if after := ask[string](t, ctx, `document.getElementById("readout").textContent`); after != before {
		t.Errorf("after a reset %q, want %q", after, before)
	}
	do(t, ctx, "the strip", run(`(() => { const s = document.querySelector(".strip svg"), b = s.getBoundingClientRect(); s.dispatchEvent(new MouseEvent("click", {clientX: b.left + b.width * 0.999, clientY: b.top + 5})); })()`))
	at(24, "the strip leads to the last slice")
	if err := os.RemoveAll(filepath.Join(h.root, "other")); err != nil {
		t.Fatal(err)
	}
	do(t, ctx, "a study that left", chromedp.Navigate(h.url+"/study/"+kit.UID("other")))
	until(t, ctx, "key slices are still there", `document.getElementById("viewer")?.dataset.map === "on"`)
	do(t, ctx, "scroll", chromedp.KeyEvent(kb.Home))
	until(t, ctx, "it says so", `document.getElementById("note").textContent.includes("left the place")`)
	do(t, ctx, "back to the study", chromedp.Navigate(h.url+"/study/"+uid))
	until(t, ctx, "the viewer again", `document.getElementById("viewer")?.dataset.slice > 0`)
	axe(t, ctx)
}

func assessment(t *testing.T, h *house, ctx ctxType, uid string) {
	do(t, ctx, "correct it", chromedp.Navigate(h.url+"/study/"+uid), chromedp.SetValue("select[name=label]", "meningioma"),
		chromedp.SetValue("input[name=note]", "=dural <tail>"), chromedp.Click("button[value=corrected]"))
	until(t, ctx, "the verdict", `document.querySelector("#assessment .said")?.textContent === "corrected to meningioma by anonymous"`)
	do(t, ctx, "acknowledge", chromedp.Click("button[value=acknowledged]"))
	until(t, ctx, "seen", `document.querySelector("#assessment .seen")?.textContent === "Alert seen by anonymous"`)
	do(t, ctx, "the list", chromedp.Navigate(h.url+"/"), chromedp.WaitVisible(".said"))
	shoot(t, ctx, "list-assessed")
	sheet := ask[string](t, ctx, `(() => { const x = new XMLHttpRequest(); x.open("GET", "/assessments.csv", false); x.send(); return x.responseText; })()`)
	if !strings.Contains(sheet, uid) || !strings.Contains(sheet, "corrected,meningioma,anonymous,'=dural <tail>,glioma_review,glioma,") {
		t.Errorf("the export is %q", sheet)
	}
}

// TestHostileNames puts markup into every text that a study can bring.
func TestHostileNames(t *testing.T) {
	ctx := chrome(t, 1280, 800)
	h := open(t, func(c *config.Config) { c.HTTP.Access.Identity = []string{"anonymous"} })
	const hostile = `<img src=x onerror="document.title='owned'">`
	s := study("hostile", "GADOLINIUM", 8, true, false)
	part := `"><script>document.title='owned'</script>`
	s.PatientName, s.PatientID, s.Accession, s.Description = hostile, hostile, `"><b id=owned>`, hostile
	s.Series[0].Description, s.Series[0].Protocol, s.Series[0].BodyPart = "T1 POST "+hostile, hostile, &part
	h.settle(h.send(s, neurotriage.Stat))
	for _, path := range []string{"/", "/study/" + kit.UID("hostile"), "/?q=" + `%3Cscript%3Edocument.title='owned'%3C/script%3E`, "/operations"} {
		do(t, ctx, path, chromedp.Navigate(h.url+path), chromedp.WaitVisible("main"))
		if strings.HasPrefix(path, "/study/") {
			until(t, ctx, "the patient is named", `document.querySelector(".patient strong")?.textContent.includes("<img src")`)
		}
		if got := ask[string](t, ctx, `document.title + (document.getElementById("owned") ? "owned" : "") + document.querySelectorAll("main script, img[src=x]").length`); strings.Contains(got, "owned") || !strings.HasSuffix(got, "0") {
			t.Errorf("%s: %s", path, got)
		}
	}
}

func TestWithoutScript(t *testing.T) {
	ctx := chrome(t, 1280, 900)
	h := open(t)
	h.settle(h.send(study("lump", "GADOLINIUM", 12, true, false), neurotriage.Urgent))
	do(t, ctx, "no script", noScript(), chromedp.Navigate(h.url+"/"), chromedp.WaitVisible("a.verdict"),
		chromedp.Click("a.verdict"), chromedp.WaitVisible("#pictures img"), chromedp.WaitNotVisible("#screen"))
	look(t, ctx, "study-without-script")
	do(t, ctx, "accept", chromedp.Click("button[value=accepted]"), chromedp.WaitVisible("#assessment .said"))
	do(t, ctx, "theme", chromedp.Click("button[name=theme]"), chromedp.WaitReady("html.light"))
}

func TestPhone(t *testing.T) {
	ctx := chrome(t, 390, 844)
	h := open(t)
	h.settle(h.send(study("lump", "GADOLINIUM", 16, true, false), neurotriage.Urgent), h.announce(kit.UID("lost"), "lost", "A-lost", neurotriage.Routine))
	do(t, ctx, "phone", chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile), chromedp.Navigate(h.url+"/"), chromedp.WaitVisible("a.verdict"))
	wide := `document.documentElement.scrollWidth - document.documentElement.clientWidth`
	if got := ask[int](t, ctx, wide); got > 0 {
		t.Errorf("the list is %d pixels too wide", got)
	}
	look(t, ctx, "phone-list")
	do(t, ctx, "study", chromedp.Navigate(h.url+"/study/"+kit.UID("lump")))
	until(t, ctx, "the viewer", `document.getElementById("viewer")?.dataset.slice > 0`)
	if got := ask[int](t, ctx, wide); got > 0 {
		t.Errorf("the study is %d pixels too wide: %s", got, ask[string](t, ctx, `[...document.querySelectorAll("main *")].filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth).map(e => e.tagName + "." + e.className).slice(0, 8).join(" ")`))
	}
	look(t, ctx, "phone-study")
}
