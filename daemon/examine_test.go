package daemon_test

import (
	"strings"
	"testing"

	"neurotriage/config"
	"neurotriage/daemon"
	"neurotriage/internal/kit"
)

// TestCheckDestination asks a real archive by three ways.
func TestCheckDestination(t *testing.T) {
	orthanc := kit.StartOrthanc(t, nil)
	cfg := config.Default()
	cfg.StateDir = t.TempDir()
	cfg.PACS.Destinations = map[string]config.Destination{
		"dimse": {Kind: "cstore", Address: orthanc.DICOM, AETitle: "ORTHANC"},
		"web":   {Kind: "stow", URL: orthanc.URL + "/dicom-web"},
		"own":   {Kind: "orthanc", URL: orthanc.URL},
		"dead":  {Kind: "cstore", Address: deadAddress(t), AETitle: "ORTHANC"},
		"fax":   {Kind: "fax"},
		"lost":  {Kind: "fhir", URL: orthanc.URL, TokenFile: "/does/not/exist"},
	}
	for name, want := range map[string]string{
		"dimse": "", "web": "", "own": "", "dead": "connecting to ORTHANC", "fax": "unknown", "lost": "pacs.destinations.lost.token_file",
	} {
		err := daemon.CheckDestination(t.Context(), cfg, name)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
