package config_test

import (
	"slices"
	"strings"
	"testing"

	"neurotriage/config"
)

// TestDestinations writes one section each; what is complained about is named.
func TestDestinations(t *testing.T) {
	cases := []struct {
		name, file string
		want       string // part of the only complaint; empty: right
	}{
		{"cstore", "pacs: {destinations: {pacs: {kind: cstore, address: 'pacs:104', ae_title: PACS, commit: true}}}", ""},
		{"cstore is the default", "pacs: {destinations: {pacs: {address: 'pacs:104', ae_title: PACS}}}", ""},
		{"stow", "pacs: {destinations: {pacs: {kind: stow, url: 'https://pacs/dicom-web', user: u, password_file: /p}}}", ""},
		{"unknown kind", "pacs: {destinations: {pacs: {kind: fax, address: 'pacs:104', ae_title: P}}}", "pacs.destinations.pacs.kind"},
		{"cstore without title", "pacs: {destinations: {pacs: {address: 'pacs:104'}}}", "pacs.destinations.pacs.ae_title: needed by kind cstore"},
		{"cstore without address", "pacs: {destinations: {pacs: {ae_title: P}}}", "pacs.destinations.pacs.address: needed by kind cstore"},
		{"stow without url", "pacs: {destinations: {pacs: {kind: stow}}}", "pacs.destinations.pacs.url: needed by kind stow"},
		{"a port that is none", "pacs: {destinations: {pacs: {address: 'pacs:dicom', ae_title: P}}}", "host:port"},
		{"a title that is none", "pacs: {destinations: {pacs: {address: 'pacs:104', ae_title: PACSPACSPACSPACSPACS}}}", "AE titles"},
		{"a url that is none", "pacs: {destinations: {pacs: {kind: stow, url: 'pacs/dicom-web'}}}", "pacs.destinations.pacs.url"},
		{"a login in the url", "pacs: {destinations: {pacs: {kind: stow, url: 'https://u:p@pacs/'}}}", "pacs.destinations.pacs.url"},
		{"user without password", "pacs: {destinations: {pacs: {kind: stow, url: 'https://pacs/', user: u}}}", "needs pacs.destinations.pacs.password_file"},
		{"two logins", "pacs: {destinations: {pacs: {kind: stow, url: 'https://pacs/', user: u, password_file: /p, token_file: /t}}}", "not both"},
		{"certificate without key", "pacs: {destinations: {pacs: {kind: stow, url: 'https://pacs/', tls: {cert: /c}}}}", "needs pacs.destinations.pacs.tls.key"},
		{"unknown disposition", "pacs: {destinations: {pacs: {kind: stow, url: 'https://pacs/', when: {dispositions: [tumor]}}}}", "when.dispositions"},
		{"hl7", "pacs: {destinations: {ris: {kind: hl7, address: 'ris:2575', hl7: {authority: HOSP, processing: T}, tls: {on: true}}}}", ""},
		{"hl7 without address", "pacs: {destinations: {ris: {kind: hl7}}}", "pacs.destinations.ris.address: needed by kind hl7"},
		{"fhir", "pacs: {destinations: {ehr: {kind: fhir, url: 'https://ehr/r4', fhir: {patient_system: 'urn:oid:1.2', find_patient: true}}}}", ""},
		{"fhir without url", "pacs: {destinations: {ehr: {kind: fhir}}}", "pacs.destinations.ehr.url: needed by kind fhir"},
		{"fhir finds nobody", "pacs: {destinations: {ehr: {kind: fhir, url: 'https://ehr/r4', fhir: {find_patient: true}}}}", "needs pacs.destinations.ehr.fhir.patient_system"},
		{"a system that is none", "pacs: {destinations: {ehr: {kind: fhir, url: 'https://ehr/r4', fhir: {patient_system: MRN}}}}", "fhir.patient_system"},
		{"ups", "pacs: {destinations: {wl: {kind: ups, url: 'https://pacs/dicom-web', ups: {worklist_label: BRAIN}}}}", ""},
		{"ups without label", "pacs: {destinations: {wl: {kind: ups, url: 'https://pacs/dicom-web', ups: {worklist_label: ''}}}}", "ups.worklist_label"},
		{"ups with images nowhere", "pacs: {destinations: {wl: {kind: ups, url: 'https://pacs/dicom-web', ups: {retrieve_url: pacs}}}}", "ups.retrieve_url"},
		{"orthanc", "pacs: {destinations: {o: {kind: orthanc, url: 'http://orthanc:8042', orthanc: {metadata: triage, label_prefix: ''}}}}", ""},
		{"a number of Orthanc's own", "pacs: {destinations: {o: {kind: orthanc, url: 'http://orthanc:8042', orthanc: {metadata: '1023'}}}}", "orthanc.metadata"},
		{"metadata elsewhere", "pacs: {destinations: {o: {kind: orthanc, url: 'http://orthanc:8042', orthanc: {metadata: '../x'}}}}", "orthanc.metadata"},
		{"a label that is none", "pacs: {destinations: {o: {kind: orthanc, url: 'http://orthanc:8042', orthanc: {label_prefix: 'a b'}}}}", "orthanc.label_prefix"},
		{"archive", "dicomweb: {networks: [10.0.0.0/8], archives: {pacs: {url: 'https://pacs/dicom-web', token_file: /t}}}", ""},
		{"archive without url", "dicomweb: {archives: {pacs: {token_file: /t}}}", "dicomweb.archives.pacs.url"},
		{"archive with two logins", "dicomweb: {archives: {pacs: {url: 'https://pacs/', user: u, password_file: /p, token_file: /t}}}", "not both"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := config.Load(config.Options{File: write(t, c.file), Env: home})
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "configuration: 1 fault:") && strings.Count(err.Error(), "\n") > 1):
				t.Errorf("got %v\nwant one complaint with %q", err, c.want)
			}
		})
	}
}

func TestLogins(t *testing.T) {
	secret := write(t, "hush\n")
	for name, c := range map[string]struct {
		archive config.Archive
		want    []string
	}{
		"none":     {config.Archive{}, []string{"", "", ""}},
		"token":    {config.Archive{TokenFile: secret}, []string{"", "", "hush"}},
		"password": {config.Archive{User: "ana", PasswordFile: secret}, []string{"ana", "hush", ""}},
	} {
		user, password, token, err := c.archive.Login("pacs")
		if got := []string{user, password, token}; err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s of an archive: %q, %v", name, got, err)
		}
		d := config.Destination{User: c.archive.User, PasswordFile: c.archive.PasswordFile, TokenFile: c.archive.TokenFile}
		user, password, token, err = d.Login("pacs")
		if got := []string{user, password, token}; err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s of a destination: %q, %v", name, got, err)
		}
	}
	_, _, _, err := config.Archive{TokenFile: write(t, "\n")}.Login("pacs")
	if err == nil || !strings.Contains(err.Error(), "dicomweb.archives.pacs.token_file") {
		t.Errorf("an empty token: %v", err)
	}
}
