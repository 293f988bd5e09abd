package daemon_test

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"neurotriage"
	"neurotriage/config"
	"neurotriage/daemon"
	"neurotriage/internal/kit"
	"neurotriage/pacs/dimse"
)

func TestReceivePortTaken(t *testing.T) {
	first := newHouse(t).start(&runner{})
	h := newHouse(t)
	h.cfg.PACS.Receive.Listen = first.Addresses().DICOM
	d, err := daemon.New(h.cfg, daemon.Deps{OpenRunner: opener(&runner{})})
	if err != nil {
		t.Fatal(err)
	}
	err = d.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "pacs.receive.listen") || !strings.Contains(err.Error(), "choose another port") {
		t.Errorf("start on a taken port: %v", err)
	}
}

// dcmtk is the yardstick of senders.
func TestReceiveFromStorescu(t *testing.T) {
	storescu, echoscu := peer(t, "storescu"), peer(t, "echoscu")
	h := receiving(t)
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	host, port, _ := strings.Cut(d.Addresses().DICOM, ":")
	folder := t.TempDir()
	if err := headStudy("dcmtk", 6, true).WriteDir(folder); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{echoscu, "-aec", "NEUROTRIAGE", host, port},
		{storescu, "-aec", "NEUROTRIAGE", "-aet", "MRI1", "+sd", "+r", host, port, folder},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
		cancel()
		if err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
	if out, err := exec.CommandContext(t.Context(), echoscu, "-aec", "SOMEBODY", host, port).CombinedOutput(); err == nil {
		t.Errorf("another title was answered: %s", out)
	}
	if f := c.finding(kit.UID("dcmtk"), ""); f.Disposition != neurotriage.GliomaReview {
		t.Errorf("finding %+v", f)
	}
}

// peer finds a program of another house.
func peer(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("NEUROTRIAGE_CI") != "" {
		t.Fatalf("%s is missing", name)
	}
	if err != nil {
		t.Skipf("%s is missing (apt-get install dcmtk orthanc)", name)
	}
	return path
}

// With a client authority only certificates of its are let in, whatever title
// they claim.
func TestReceiveByTLS(t *testing.T) {
	h := receiving(t)
	cert, key, pool := certificate(t)
	h.cfg.PACS.Receive.TLS = config.ServerTLS{Cert: cert, Key: key, ClientCA: cert}
	d := h.start(&runner{})
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	strangerCert, strangerKey, _ := certificate(t)
	stranger, err := tls.LoadX509KeyPair(strangerCert, strangerKey)
	if err != nil {
		t.Fatal(err)
	}
	dial := func(secure *tls.Config) (*dimse.Conn, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		return dimse.Dial(ctx, dimse.ClientOptions{
			Address: d.Addresses().DICOM, Calling: "MRI1", Called: "NEUROTRIAGE", TLS: secure, Propose: []dimse.Proposal{{SOPClass: dimse.Verification}},
		})
	}
	for name, secure := range map[string]*tls.Config{
		"no TLS": nil, "no certificate": {RootCAs: pool}, "another's certificate": {RootCAs: pool, Certificates: []tls.Certificate{stranger}},
		"old TLS": {RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
	} {
		if conn, err := dial(secure); err == nil {
			t.Errorf("%s: let in", name)
			conn.Abort()
		}
	}
	conn, err := dial(&tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Abort()
	if err := conn.Echo(t.Context()); err != nil {
		t.Error(err)
	}
	if banner := d.Banner(); !strings.Contains(banner, "(TLS)") {
		t.Errorf("banner %s", banner)
	}
}

// When there is no more room, what is read goes, and senders that were turned
// away meanwhile get through.
func TestReceiveMakesRoom(t *testing.T) {
	h := waiting(t, quickQuiet)
	first, second := headStudy("room-1", 6, true).Files(), headStudy("room-2", 6, true).Files()
	whole := int64(0)
	for _, file := range first {
		whole += int64(len(file.Data))
	}
	h.cfg.PACS.Receive.KeepBytes = config.Size(whole * 5 / 4)
	d := h.start(&runner{})
	c := connect(t, d.Addresses().NATS)
	send(t, d, "MRI1", first...)
	c.finding(kit.UID("room-1"), "")
	refused := 0
	for _, file := range second {
		kit.Until(t, "there is room again", func() bool {
			conn, err := associate(t, d, "MRI1")
			if err != nil {
				refused++
				return false
			}
			defer conn.Abort()
			if err := conn.Store(t.Context(), object(file)); err != nil {
				refused++
				return false
			}
			return conn.Release(t.Context()) == nil
		})
	}
	if f := c.finding(kit.UID("room-2"), ""); f.Disposition != neurotriage.GliomaReview {
		t.Errorf("finding %+v", f)
	}
	if refused == 0 {
		t.Error("nobody was turned away: the limit was not met")
	}
	if _, err := os.Stat(filepath.Join(h.cfg.ReceivedDir(), "others", kit.UID("room-1"))); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the study that was read: %v", err)
	}
	if _, text := get(t, d, "/metrics"); !strings.Contains(text, `neurotriage_pacs_removed_studies_total{why="bytes"} 1`) {
		t.Error("the removal was not counted")
	}
}
