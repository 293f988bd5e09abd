package config

import (
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Destination is a place that findings go to. Which fields count depends on the
// kind.
type Destination struct {
	Kind string `json:"kind" config:"enum=cstore|stow|hl7|fhir|ups|orthanc,default=cstore"`
	// Of kinds that speak TCP.
	Address string `json:"address"`  // host:port
	AETitle string `json:"ae_title"` // theirs
	Calling string `json:"calling"`  // ours; empty: that of the receiver
	Commit  bool   `json:"commit"`   // wait for storage commitment
	// Of kinds that send DICOM objects.
	Objects []string `json:"objects" config:"enum=sr|key_image|key_object"` // empty: all
	// Of kinds that speak HTTP.
	URL          string `json:"url"`
	TokenFile    string `json:"token_file" config:"path,file"`
	User         string `json:"user"`
	PasswordFile string `json:"password_file" config:"path,file"`
	// Of one kind each.
	HL7     DestinationHL7     `json:"hl7"`
	FHIR    DestinationFHIR    `json:"fhir"`
	UPS     DestinationUPS     `json:"ups"`
	Orthanc DestinationOrthanc `json:"orthanc"`
	// Of all.
	TLS      DestinationTLS  `json:"tls"`
	When     DestinationWhen `json:"when"`
	Attempts int             `json:"attempts" config:"min=1,max=1000,default=20"`
	Timeout  time.Duration   `json:"timeout" config:"min=1s,max=1h,default=5m"`
}

// DestinationTLS is how the daemon proves itself to a destination, and whom it
// trusts. On is for kinds whose address does not say it.
type DestinationTLS struct {
	On   bool   `json:"on"`
	CA   string `json:"ca" config:"path,file"` // PEM; empty: the system's
	Cert string `json:"cert" config:"path,file"`
	Key  string `json:"key" config:"path,file"`
}

// DestinationHL7 says who speaks to whom in messages of HL7.
type DestinationHL7 struct {
	SendingApplication   string        `json:"sending_application" config:"default=NEUROTRIAGE"`
	SendingFacility      string        `json:"sending_facility"`
	ReceivingApplication string        `json:"receiving_application"`
	ReceivingFacility    string        `json:"receiving_facility"`
	Authority            string        `json:"authority"` // who assigned patient identifiers
	Processing           string        `json:"processing" config:"enum=P|T|D,default=P"`
	AckTimeout           time.Duration `json:"ack_timeout" config:"min=1s,max=10m,default=30s"`
}

// DestinationFHIR says how a FHIR server knows things.
type DestinationFHIR struct {
	PatientSystem   string `json:"patient_system"` // URI of patient identifiers
	FindPatient     bool   `json:"find_patient"`
	AccessionSystem string `json:"accession_system"` // URI of accession numbers
}

// DestinationUPS says what work items are like.
type DestinationUPS struct {
	WorklistLabel string `json:"worklist_label" config:"default=NEUROTRIAGE"`
	RetrieveURL   string `json:"retrieve_url"` // of DICOMweb; empty: that of the destination
}

// DestinationOrthanc says what Orthanc shows.
type DestinationOrthanc struct {
	Metadata    string `json:"metadata" config:"default=7700"` // number or name of UserMetadata
	LabelPrefix string `json:"label_prefix" config:"default=triage-"`
}

// DestinationWhen says which findings go to a destination; empty: all.
type DestinationWhen struct {
	Dispositions []string `json:"dispositions" config:"enum=glioma_review|tumour_suspected|not_assessable|refused|not_flagged"`
	Sources      []string `json:"sources"`
	Modalities   []string `json:"modalities"`
}

// Archive is a DICOMweb archive of the house: its name may lead to a private
// network, and it may want a login.
type Archive struct {
	URL          string    `json:"url"` // of the service; what lies below it may be read
	TokenFile    string    `json:"token_file" config:"path,file"`
	User         string    `json:"user"`
	PasswordFile string    `json:"password_file" config:"path,file"`
	TLS          ClientTLS `json:"tls"`
}

// Login gives user and password, or the bearer token, of the archive by the
// name of its entry; empty: none.
func (a Archive) Login(name string) (user, password, token string, err error) {
	return login("dicomweb.archives."+name, a.User, a.PasswordFile, a.TokenFile)
}

// Login gives user and password, or the bearer token, of the destination by the
// name of its entry; empty: none.
func (d Destination) Login(name string) (user, password, token string, err error) {
	return login("pacs.destinations."+name, d.User, d.PasswordFile, d.TokenFile)
}

func login(section, name, passwordFile, tokenFile string) (user, password, token string, err error) {
	switch {
	case tokenFile != "":
		token, err = secretFile(section+".token_file", tokenFile)
	case passwordFile != "":
		password, err = secretFile(section+".password_file", passwordFile)
		user = name
	}
	return user, password, token, err
}

// destinations checks pacs.destinations.
func (c *checker) destinations() {
	for _, name := range slices.Sorted(maps.Keys(c.config.PACS.Destinations)) {
		c.destination("pacs.destinations."+name, c.config.PACS.Destinations[name])
	}
}

func (c *checker) destination(section string, d Destination) {
	switch d.Kind {
	case "cstore":
		c.needed(section, d.Kind, map[string]string{"address": d.Address, "ae_title": d.AETitle})
	case "hl7":
		c.needed(section, d.Kind, map[string]string{"address": d.Address})
	case "stow", "fhir", "ups", "orthanc":
		c.needed(section, d.Kind, map[string]string{"url": d.URL})
	}
	c.annotation(section, d)
	if d.Address != "" && !hostPort(d.Address) {
		c.complain(section+".address", `allowed is host:port such as "pacs.example.org:104"`)
	}
	for key, title := range map[string]string{"ae_title": d.AETitle, "calling": d.Calling} {
		if title != "" && !aeTitle(title) {
			c.complain(section+"."+key, aeTitleAllowed)
		}
	}
	if d.URL != "" && !webURL(d.URL) {
		c.complain(section+".url", webURLAllowed)
	}
	c.webLogin(section, d.User, d.PasswordFile, d.TokenFile)
	c.both(section+".tls.cert", section+".tls.key", d.TLS.Cert, d.TLS.Key)
}

var orthancMetadata = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9_-]*|[0-9]{4,5})$`)

// annotation checks the fields of the kinds that annotate worklists.
func (c *checker) annotation(section string, d Destination) {
	if number, err := strconv.Atoi(d.Orthanc.Metadata); !orthancMetadata.MatchString(d.Orthanc.Metadata) || err == nil && (number < 1024 || number > 65535) {
		c.complain(section+".orthanc.metadata", "allowed is a number from 1024 to 65535, or a name of Orthanc's UserMetadata")
	}
	if !labelPrefix.MatchString(d.Orthanc.LabelPrefix) {
		c.complain(section+".orthanc.label_prefix", "allowed are letters, digits, dashes and underscores, at most 32")
	}
	if n := len(d.UPS.WorklistLabel); n == 0 || n > 64 || strings.Contains(d.UPS.WorklistLabel, "\\") {
		c.complain(section+".ups.worklist_label", "allowed are 1 to 64 characters without backslash")
	}
	if d.UPS.RetrieveURL != "" && !webURL(d.UPS.RetrieveURL) {
		c.complain(section+".ups.retrieve_url", webURLAllowed)
	}
	for key, system := range map[string]string{"patient_system": d.FHIR.PatientSystem, "accession_system": d.FHIR.AccessionSystem} {
		if address, err := url.Parse(system); system != "" && (err != nil || !address.IsAbs()) {
			c.complain(section+".fhir."+key, `allowed is a URI such as "urn:oid:1.2.276.0.1" or "https://hospital.example.org/mrn"`)
		}
	}
	if d.FHIR.FindPatient && d.FHIR.PatientSystem == "" {
		c.complain(section+".fhir.find_patient", "needs %s.fhir.patient_system", section)
	}
}

var labelPrefix = regexp.MustCompile(`^[A-Za-z0-9_-]{0,32}$`)

// needed complains about keys that the kind cannot do without.
func (c *checker) needed(section, kind string, values map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if values[key] == "" {
			c.complain(section+"."+key, "needed by kind %s", kind)
		}
	}
}

func (c *checker) webLogin(section, user, passwordFile, tokenFile string) {
	c.both(section+".user", section+".password_file", user, passwordFile)
	if tokenFile != "" && user != "" {
		c.complain(section+".token_file", "allowed is one of token_file and user, not both")
	}
}

const webURLAllowed = `allowed is an http or https address such as "https://pacs.example.org/dicom-web", without user, query and fragment`

func webURL(text string) bool {
	address, err := url.Parse(text)
	return err == nil && address.Hostname() != "" && (address.Scheme == "http" || address.Scheme == "https") &&
		address.User == nil && address.RawQuery == "" && address.Fragment == "" && !strings.HasSuffix(text, "?")
}

// archives checks dicomweb.archives.
func (c *checker) archives() {
	for _, name := range slices.Sorted(maps.Keys(c.config.DICOMweb.Archives)) {
		section, a := "dicomweb.archives."+name, c.config.DICOMweb.Archives[name]
		if !webURL(a.URL) {
			c.complain(section+".url", webURLAllowed)
		}
		c.webLogin(section, a.User, a.PasswordFile, a.TokenFile)
		c.both(section+".tls.cert", section+".tls.key", a.TLS.Cert, a.TLS.Key)
	}
}

func hostPort(text string) bool {
	host, port, err := net.SplitHostPort(text)
	number, portErr := strconv.ParseUint(port, 10, 16)
	return err == nil && portErr == nil && host != "" && number > 0
}
