// Package config is the fuse box: one struct that holds every setting, its
// defaults, its checks, and the sample file that documents it. It imports no
// other room; the daemon translates it into the plain options of each.
//
// Strength: flags over environment (NEUROTRIAGE_*) over the YAML file over
// [Default]. A setting that is not understood is never passed over: [Load]
// reports every fault at once as a [FaultError], each with its key, its value
// and what is allowed, and the command line turns that into exit code 2.
//
// viper keeps the layers and fills the struct. Its own readers of file and
// environment stay unused, each for a reason: keys lose their case (a root
// named "MR1" would become "mr1"), a dot in a root's name would split it,
// AutomaticEnv does not see keys that no other layer has, weak typing turns the
// password 0123 into 83, and WatchConfig swaps a file in before anybody has
// checked it. So values reach viper parsed, and keys reach it known.
//
// The package exports more names than the house's limit of twenty because each
// section is a type of its own, which translators and tests can name.
package config

import (
	"net/netip"
	"time"
)

// Config is every setting of the daemon. The json tag is the key's name in
// file, flag and schema; the config tag holds what a single value must satisfy
// (see key.go). Sentences about each key stand in neurotriage.yaml.
type Config struct {
	StateDir    string            `json:"state_dir" config:"path"`
	Log         Log               `json:"log"`
	NATS        NATS              `json:"nats"`
	HTTP        HTTP              `json:"http"`
	Roots       map[string]string `json:"roots" config:"path"` // root name -> folder
	DICOMweb    DICOMweb          `json:"dicomweb"`
	Limits      Limits            `json:"limits"`
	Model       Model             `json:"model"`
	ONNXRuntime ONNXRuntime       `json:"onnxruntime"`
	Work        Work              `json:"work"`
	PACS        PACS              `json:"pacs"`
	Alert       Alert             `json:"alert"`
	Audit       Audit             `json:"audit"`
	Privacy     Privacy           `json:"privacy"`
	Insecure    Insecure          `json:"insecure"`

	origins map[string]string // key -> where its value comes from; absent: default
}

// Log says what is written to standard error.
type Log struct {
	Level  string `json:"level" config:"live,enum=debug|info|warn|error"`
	Format string `json:"format" config:"enum=text|json"`
}

// NATS says which server is used, as whom, and how long things are kept.
type NATS struct {
	URL          string        `json:"url" config:"userinfo"` // empty: the embedded server
	Prefix       string        `json:"prefix"`
	Creds        string        `json:"creds" config:"path,file"`
	NKey         string        `json:"nkey" config:"path,file"` // file with the seed
	User         string        `json:"user"`
	Password     string        `json:"password" config:"secret"`
	PasswordFile string        `json:"password_file" config:"path,file"`
	Token        string        `json:"token" config:"secret"`
	TokenFile    string        `json:"token_file" config:"path,file"`
	TLS          ClientTLS     `json:"tls"`
	Embedded     Embedded      `json:"embedded"`
	Retention    Retention     `json:"retention"`
	Heartbeat    time.Duration `json:"heartbeat" config:"min=1s,max=10m"`
}

// ClientTLS is how the daemon proves itself to a server, and whom it trusts.
type ClientTLS struct {
	CA   string `json:"ca" config:"path,file"` // PEM; empty: the system's
	Cert string `json:"cert" config:"path,file"`
	Key  string `json:"key" config:"path,file"`
}

// ServerTLS is how a listener of the daemon's proves itself. ClientCA demands
// certificates of clients, which counts as authentication.
type ServerTLS struct {
	Cert     string `json:"cert" config:"path,file"`
	Key      string `json:"key" config:"path,file"`
	ClientCA string `json:"client_ca" config:"path,file"`
}

// Embedded is the NATS server inside the daemon, used when NATS.URL is empty.
// Clients log in with NATS.User and password, or NATS.Token, where those are set.
type Embedded struct {
	Listen string    `json:"listen"` // host:port; port 0 lets the system choose
	TLS    ServerTLS `json:"tls"`
}

// Retention bounds what NATS keeps: whichever of age and size is reached first.
type Retention struct {
	Findings   time.Duration `json:"findings" config:"min=1h"` // alerts, dead letters and the worklist too
	Media      time.Duration `json:"media" config:"min=1h"`    // pictures, reports, uploads
	MediaBytes Size          `json:"media_bytes" config:"min=1MB"`
	WorkBytes  Size          `json:"work_bytes" config:"min=1MB"` // full: new announcements are turned away
}

// HTTP is the listener of the worklist page, health, metrics and /v1/studies.
type HTTP struct {
	Listen string         `json:"listen"` // host:port; port 0 lets the system choose
	TLS    ServerTLS      `json:"tls"`
	Auth   HTTPAuth       `json:"auth"`
	Allow  []netip.Prefix `json:"allow"` // networks that may connect; empty: any
	Access HTTPAccess     `json:"access"`
	Viewer string         `json:"viewer"` // address of a PACS viewer; {study} stands for the study UID
}

// HTTPAccess tells who the visitors of the page are, as a reverse proxy or a
// login provider knows them. Without either everybody is anonymous and may do all.
type HTTPAccess struct {
	UserHeader  string         `json:"user_header"`
	GroupHeader string         `json:"group_header"` // groups, separated by commas
	Proxies     []netip.Prefix `json:"proxies"`      // networks whose headers are believed
	Viewers     []string       `json:"viewers"`      // users, @groups or *
	Readers     []string       `json:"readers"`
	Admins      []string       `json:"admins"`
	Identity    []string       `json:"identity" config:"enum=anonymous|viewer|reader|admin"` // roles that see who the patient is
	OIDC        OIDC           `json:"oidc"`
}

// HTTPAuth is what a client of the HTTP listener shows: a bearer token, or user
// and password.
type HTTPAuth struct {
	TokenFile    string `json:"token_file" config:"path,file"`
	User         string `json:"user"`
	PasswordFile string `json:"password_file" config:"path,file"`
}

// DICOMweb names the archives an event may point to.
type DICOMweb struct {
	Allow    []string           `json:"allow"`    // URL prefixes, each ending with a slash
	Networks []netip.Prefix     `json:"networks"` // private ones that names in URLs may lead to
	Archives map[string]Archive `json:"archives"`
}

// Limits bound what one study may cost before it is refused as too_large.
type Limits struct {
	FileBytes   Size `json:"file_bytes" config:"min=1kB"`
	HeaderBytes Size `json:"header_bytes" config:"min=1kB"` // of one file, pixels left out
	StudyBytes  Size `json:"study_bytes" config:"min=1kB"`
	Files       int  `json:"files" config:"min=1"`                // beside and of a study
	Frames      int  `json:"frames" config:"min=1"`               // of one file
	StudyFrames int  `json:"study_frames" config:"min=1"`         // of all multi-frame files of a study
	FramePixels int  `json:"frame_pixels" config:"min=1"`         // rows times columns
	ZipRatio    int  `json:"zip_ratio" config:"min=1,max=100000"` // inflated over packed
}

// Model says which model reads, and at which operating point.
type Model struct {
	File              string     `json:"file" config:"path,file"` // empty: the embedded model
	Thresholds        Thresholds `json:"thresholds"`
	AcceptLowerRecall bool       `json:"accept_lower_recall" config:"live"`
}

// Thresholds override the model card's operating points.
type Thresholds struct {
	GliomaReview *float64 `json:"glioma_review" config:"live,min=0,max=1"` // nil: the card's
}

// ONNXRuntime says what runs the model.
type ONNXRuntime struct {
	Library   string   `json:"library" config:"path,file"` // empty: found in the usual places
	Providers []string `json:"providers" config:"enum=cuda|webgpu|cpu"`
	Threads   int      `json:"threads" config:"min=0,max=1024"` // 0: one a core
}

// Work says how the daemon goes about its studies.
type Work struct {
	StudiesAtOnce   int           `json:"studies_at_once" config:"min=1,max=64"`
	MaxAttempts     int           `json:"max_attempts" config:"min=1,max=100"`
	OverdueAfter    time.Duration `json:"overdue_after" config:"min=1s"`
	NotFoundGrace   time.Duration `json:"not_found_grace" config:"min=0s"`
	ShutdownTimeout time.Duration `json:"shutdown_timeout" config:"min=1s,max=10m"`
}

// Audit says where the log book of DICOM audit messages goes (PS3.15 A.5).
type Audit struct {
	Folder string        `json:"folder" config:"path"` // empty: audit in state_dir
	Keep   time.Duration `json:"keep" config:"min=1h"` // of files that are full
	Source string        `json:"source"`               // AuditSourceID; empty: the host's name
	Syslog AuditSyslog   `json:"syslog"`
}

// AuditSyslog is an audit repository.
type AuditSyslog struct {
	Address string    `json:"address"` // host:port; empty: the file alone
	Plain   bool      `json:"plain"`   // without TLS, for a forwarder on this machine
	TLS     ClientTLS `json:"tls"`
}

// Privacy says what may leave the house.
type Privacy struct {
	PatientInEvents bool `json:"patient_in_events"`
}

// Insecure overrides safety rules, each by name, so that a search finds them.
type Insecure struct {
	ListenBeyondLoopback []string `json:"listen_beyond_loopback" config:"enum=http|nats.embedded|pacs.receive"`
}

// Default returns what holds when nothing is configured. StateDir is empty:
// Load chooses it from the environment.
func Default() Config {
	return Config{
		Log: Log{Level: "info", Format: "text"},
		NATS: NATS{
			Embedded:  Embedded{Listen: "127.0.0.1:4222"},
			Heartbeat: 10 * time.Second,
			Retention: Retention{
				Findings:   90 * day,
				Media:      14 * day,
				MediaBytes: 20 * gigabyte,
				WorkBytes:  256 * mebibyte,
			},
		},
		HTTP: HTTP{Listen: "127.0.0.1:8470", Allow: []netip.Prefix{}, Access: HTTPAccess{
			Proxies: []netip.Prefix{}, Viewers: []string{"*"}, Readers: []string{}, Admins: []string{}, Identity: []string{"reader", "admin"},
			OIDC: OIDC{Scopes: []string{"profile", "email"}, UserClaim: "preferred_username", RoleClaim: "groups", Session: 10 * time.Hour},
		}},
		Roots:    map[string]string{},
		DICOMweb: DICOMweb{Allow: []string{}, Networks: []netip.Prefix{}, Archives: map[string]Archive{}},
		Limits: Limits{
			FileBytes:   1 << 30,
			HeaderBytes: 16 * mebibyte,
			StudyBytes:  8 << 30,
			Files:       100_000,
			Frames:      20_000,
			StudyFrames: 100_000,
			FramePixels: 4096 * 4096,
			ZipRatio:    100,
		},
		ONNXRuntime: ONNXRuntime{Providers: []string{"cuda", "webgpu", "cpu"}},
		Work: Work{
			StudiesAtOnce:   2,
			MaxAttempts:     5,
			OverdueAfter:    15 * time.Minute,
			NotFoundGrace:   time.Minute,
			ShutdownTimeout: 20 * time.Second,
		},
		PACS:     defaultPACS(),
		Alert:    Alert{Destinations: map[string]AlertDestination{}},
		Audit:    Audit{Keep: 90 * day},
		Insecure: Insecure{ListenBeyondLoopback: []string{}},
	}
}

// Origin says where the value of a key comes from: "default", "flag",
// "environment NEUROTRIAGE_…" or "FILE:LINE".
func (c Config) Origin(key string) string {
	if origin, ok := c.origins[key]; ok {
		return origin
	}
	return "default"
}
