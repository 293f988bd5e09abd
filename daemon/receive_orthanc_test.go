package daemon_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/config"
	"neurotriage/daemon"
	"neurotriage/events"
	"neurotriage/internal/kit"
)

// orthancWith starts Orthanc with Lua scripts, and a daemon that brings its
// reports back to it by C-STORE; each knows the other.
func orthancWith(t *testing.T, scripts []string, change func(*house, *kit.Orthanc)) (*kit.Orthanc, *daemon.Daemon, *client) {
	t.Helper()
	orthanc := kit.StartOrthanc(t, func(settings map[string]any) {
		settings["LuaScripts"] = scripts
		settings["ExecuteLuaEnabled"] = true
		settings["DicomScuTimeout"] = 60
	})
	h := receiving(t)
	h.pictures = true
	h.cfg.PACS.Destinations = map[string]config.Destination{
		"back": {Kind: "cstore", Address: orthanc.DICOM, AETitle: "ORTHANC", Attempts: 20, Timeout: time.Minute},
	}
	if change != nil {
		change(h, orthanc)
	}
	d := h.start(&runner{})
	host, port, _ := strings.Cut(d.Addresses().DICOM, ":")
	orthanc.Ask(t, http.MethodPut, "/modalities/neurotriage", map[string]any{"AET": "NEUROTRIAGE", "Host": host, "Port": mustNumber(t, port)}, nil)
	return orthanc, d, connect(t, d.Addresses().NATS)
}

// stable waits until nothing has come to Orthanc for a second, and its scripts
// have been told.
func stable(t *testing.T, orthanc *kit.Orthanc) {
	t.Helper()
	var studies []string
	orthanc.Ask(t, http.MethodGet, "/studies", nil, &studies)
	kit.Until(t, "the study is stable", func() bool {
		var study struct{ IsStable bool }
		orthanc.Ask(t, http.MethodGet, "/studies/"+studies[0], nil, &study)
		return study.IsStable
	})
}

// reports counts those of all findings of the study.
func reports(c *client, f neurotriage.Finding) (n int) {
	for _, one := range c.findingsOf(f.StudyInstanceUID) {
		n += len(one.Reports)
	}
	return n
}

func mustNumber(t *testing.T, text string) (n int) {
	t.Helper()
	if _, err := fmt.Sscan(text, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// settled waits until all of the finding's reports are back in Orthanc and were
// looked at there, and the daemon has nothing left to wait for.
func settled(t *testing.T, orthanc *kit.Orthanc, d *daemon.Daemon, c *client, f neurotriage.Finding, images int) {
	t.Helper()
	c.deliveries(f, map[string]events.DeliveryState{"back": events.Delivered})
	var instances []string
	orthanc.Ask(t, http.MethodGet, "/instances", nil, &instances)
	if want := images + reports(c, f); len(f.Reports) < 3 || len(instances) != want {
		t.Errorf("Orthanc has %d instances, want %d", len(instances), want)
	}
	stable(t, orthanc)
	kit.Until(t, "the receiver waits for nothing", func() bool {
		_, text := get(t, d, "/readyz")
		return strings.Contains(text, " 0 still coming in")
	})
}

// TestArchiveForwardsEverything: an archive that sends on each instance that it
// gets, our reports too, settles at one finding.
func TestArchiveForwardsEverything(t *testing.T) {
	script := filepath.Join(t.TempDir(), "forward.lua")
	if err := os.WriteFile(script, []byte("function OnStoredInstance(id) SendToModality(id, 'neurotriage') end\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	orthanc, d, c := orthancWith(t, []string{script}, func(h *house, _ *kit.Orthanc) {
		h.cfg.PACS.Receive.Sources, h.cfg.PACS.Receive.Quiet = nil, 5*time.Second // each instance has a line of its own
	})
	orthanc.Upload(t, headStudy("forward", 6, true).Files())
	f := c.finding(kit.UID("forward"), "")
	for f.Series[0].Slices < 6 { // the machine stalled while Orthanc forwarded
		f = c.finding(kit.UID("forward"), f.ID)
	}
	before := len(c.findingsOf(f.StudyInstanceUID))
	settled(t, orthanc, d, c, f, 6)
	kit.Until(t, "the reports came back and were dropped", func() bool {
		_, text := get(t, d, "/metrics")
		return strings.Contains(text, fmt.Sprintf(`neurotriage_pacs_objects_total{outcome="own",source="others"} %d`, reports(c, f)))
	})
	if after := len(c.findingsOf(f.StudyInstanceUID)); after != before || f.Disposition != neurotriage.GliomaReview {
		t.Errorf("%d findings before the reports went round, %d afterwards, %s", before, after, f.Disposition)
	}
}

// TestOrthancJob: Orthanc's own job sends a study, by hand as its page does.
func TestOrthancJob(t *testing.T) {
	orthanc, d, c := orthancWith(t, []string{}, nil)
	orthanc.Upload(t, headStudy("job", 6, true).Files())
	var studies []string
	orthanc.Ask(t, http.MethodGet, "/studies", nil, &studies)
	send := func() { orthanc.Ask(t, http.MethodPost, "/modalities/neurotriage/store", []byte(studies[0]), nil) }
	orthanc.Ask(t, http.MethodPost, "/modalities/neurotriage/echo", map[string]any{}, nil)
	send()
	f := c.finding(kit.UID("job"), "")
	settled(t, orthanc, d, c, f, 6)
	send() // now with our reports among it
	settled(t, orthanc, d, c, f, 6)
	if all := c.findingsOf(f.StudyInstanceUID); len(all) != 1 || f.Disposition != neurotriage.GliomaReview {
		t.Errorf("%d findings, the first %+v", len(all), f)
	}
}

// TestOrthancScript: the script that we ship announces a stable study, both ways.
func TestOrthancScript(t *testing.T) {
	script, err := filepath.Abs(filepath.Join("..", "deploy", "orthanc", "neurotriage.lua"))
	if err != nil {
		t.Fatal(err)
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, lua := range map[string]string{
		"by C-STORE":  ``,
		"by DICOMweb": `neurotriage.modality = ''; neurotriage.dicomweb = '%s/dicom-web';`,
	} {
		t.Run(name, func(t *testing.T) {
			orthanc, d, c := orthancWith(t, []string{script}, func(h *house, o *kit.Orthanc) {
				h.cfg.HTTP.Auth.TokenFile = token
				h.cfg.PACS.Receive.Sources = nil // only the script says when it is complete
				h.cfg.DICOMweb.Archives = map[string]config.Archive{"orthanc": {URL: o.URL + "/dicom-web"}}
			})
			if strings.Contains(lua, "%s") {
				lua = fmt.Sprintf(lua, orthanc.URL)
			}
			lua += fmt.Sprintf("neurotriage.url = '%s'; neurotriage.token = 'sesame'; neurotriage.priority = 'urgent'", d.Addresses().HTTP)
			orthanc.Ask(t, http.MethodPost, "/tools/execute-script", []byte(lua), nil)
			orthanc.Upload(t, headStudy("script", 6, true).Files())
			uid := kit.UID("script")
			f := c.finding(uid, "")
			if f.Disposition != neurotriage.GliomaReview || f.Series[0].Slices != 6 {
				t.Errorf("finding %+v", f)
			}
			c.deliveries(f, map[string]events.DeliveryState{"back": events.Delivered})
			entry, _, err := c.bus.Entry(t.Context(), uid)
			if err != nil || entry.Priority != neurotriage.Urgent {
				t.Errorf("entry %+v, %v", entry, err)
			}
			// Our reports made the study unstable and stable again: no news for the script.
			stable(t, orthanc)
			if all := c.findingsOf(uid); len(all) != 1 {
				t.Errorf("%d findings", len(all))
			}
			if again, _, err := c.bus.Entry(t.Context(), uid); err != nil || again.Announcement.EventID != entry.Announcement.EventID {
				t.Errorf("announced again as %+v, %v", again.Announcement, err)
			}
		})
	}
}
