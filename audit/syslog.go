package audit

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// SyslogOptions name an audit repository.
type SyslogOptions struct {
	Address string      // host:port; 6514 is the usual port
	TLS     *tls.Config // nil: plain TCP, for a forwarder on this machine
	Host    string      // HOSTNAME of the messages
}

// Bounds of the sending.
const (
	dialTime  = 10 * time.Second
	writeTime = 10 * time.Second
	firstWait = time.Second // after a fault; doubles
	lastWait  = time.Minute
	farewell  = 2 * time.Second // for what is left at the end
)

// cursor is how far the repository has got: a file and a place in it.
type cursor struct {
	File   string `json:"file"` // currentFile, or a former one
	Offset int64  `json:"offset"`
	Before int64  `json:"before"`          // where the last message sent begins
	Inode  uint64 `json:"inode,omitempty"` // of the current file, which changes its name
}

const cursorFile = "sent.json"

func readCursor(folder string) (cursor, error) {
	var at cursor
	text, err := os.ReadFile(filepath.Join(folder, cursorFile))
	if err != nil {
		return at, err
	}
	return at, json.Unmarshal(text, &at)
}

func writeCursor(folder string, at cursor) error {
	text, err := json.Marshal(at)
	if err != nil {
		return err
	}
	temporary := filepath.Join(folder, cursorFile+".new")
	if err := os.WriteFile(temporary, text, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, filepath.Join(folder, cursorFile))
}

// segments lists the former files, oldest first.
func segments(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if name := entry.Name(); strings.HasPrefix(name, "audit-") && strings.HasSuffix(name, ".log") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// sender brings the file's messages to the repository.
type sender struct {
	options Options
	grown   <-chan struct{}
	conn    net.Conn
	down    bool // said so already
}

func newSender(options Options, grown <-chan struct{}) *sender {
	return &sender{options: options, grown: grown}
}

func (s *sender) run(ctx context.Context) {
	defer s.hangUp()
	wait := firstWait
	for {
		err := s.catchUp(ctx)
		if ctx.Err() != nil {
			s.lastWords()
			return
		}
		var timer <-chan time.Time
		if err != nil {
			s.hangUp()
			if errors.Is(err, errGone) {
				continue // a repository that restarted takes messages at once
			}
			if !s.down {
				s.down = true
				s.options.Logger.Warn("the audit repository does not take messages; they wait in the file", "address", s.options.Syslog.Address, "error", err)
			}
			timer, wait = time.After(wait), min(2*wait, lastWait)
		} else {
			if s.down {
				s.down = false
				s.options.Logger.Info("the audit repository takes messages again", "address", s.options.Syslog.Address)
			}
			wait = firstWait
		}
		grown := s.grown
		if timer != nil {
			grown = nil
		}
		select {
		case <-ctx.Done():
			s.lastWords()
			return
		case <-timer:
		case <-grown:
		}
	}
}

// lastWords sends what was written until the end, such as the stop itself.
func (s *sender) lastWords() {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	if err := s.catchUp(ctx); err != nil {
		s.options.Logger.Warn("audit messages wait for the next start", "error", err)
	}
}

// catchUp sends all that the repository has not got.
func (s *sender) catchUp(ctx context.Context) error {
	at, err := readCursor(s.options.Folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.options.Logger.Warn("how far the audit repository got is not known; it gets everything again", "error", err)
		at = cursor{}
	}
	for {
		path, next, err := s.place(&at)
		if err != nil {
			return err
		}
		if path == "" {
			return nil
		}
		if err := s.sendFile(ctx, path, &at); err != nil {
			return err
		}
		if next == "" {
			return nil
		}
		at = cursor{File: next}
	}
}

// place finds the file that the cursor means, which may have been put aside
// meanwhile, and the one after it.
func (s *sender) place(at *cursor) (path, next string, err error) {
	former, err := segments(s.options.Folder)
	if err != nil {
		return "", "", fmt.Errorf("listing the audit logs: %w", err)
	}
	order := append(former, currentFile)
	i := slices.Index(order, at.File)
	if at.File == currentFile && at.Inode != 0 {
		i = slices.IndexFunc(order, func(name string) bool { return inode(filepath.Join(s.options.Folder, name)) == at.Inode })
	}
	if i < 0 { // a first start, or the file is gone
		i, *at = 0, cursor{}
	}
	at.File = order[i]
	path = filepath.Join(s.options.Folder, order[i])
	at.Inode = inode(path)
	if i+1 < len(order) {
		next = order[i+1]
	}
	if at.Inode == 0 {
		path = ""
	}
	return path, next, nil
}

// sendFile sends the whole lines from the cursor on and moves it behind each.
func (s *sender) sendFile(ctx context.Context, path string, at *cursor) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading the audit log: %w", err)
	}
	defer file.Close()
	if _, err := file.Seek(at.Offset, io.SeekStart); err != nil {
		return fmt.Errorf("reading the audit log: %w", err)
	}
	lines := bufio.NewReader(file)
	sent := false
	defer func() {
		if sent {
			if err := writeCursor(s.options.Folder, *at); err != nil {
				s.options.Logger.Warn("audit messages may be sent twice", "error", err)
			}
		}
	}()
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil // the rest of a line is still being written
		}
		if err != nil {
			return fmt.Errorf("reading the audit log: %w", err)
		}
		if text := bytes.TrimSpace(line); bytes.HasPrefix(text, []byte("<AuditMessage")) && bytes.HasSuffix(text, []byte("</AuditMessage>")) {
			if err := s.send(ctx, text); err != nil {
				if errors.Is(err, errBroken) { // the one before may have been under way
					at.Offset, sent = at.Before, true
				}
				return err
			}
			at.Before = at.Offset
		}
		at.Offset += int64(len(line))
		sent = true
	}
}

// send writes one message in octet-counted framing (RFC 5425 4.3).
func (s *sender) send(ctx context.Context, text []byte) error {
	if err := s.dial(ctx); err != nil {
		return err
	}
	frame := s.frame(text)
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(s.conn, "%d %s", len(frame), frame); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	return nil
}

// frame puts the header of RFC 5424 before a message: facility 10 (security),
// severity 5 (notice), MSGID and UTF-8 mark as PS3.15 A.6 wants them.
func (s *sender) frame(text []byte) []byte {
	var written struct {
		Event struct {
			Time string `xml:"EventDateTime,attr"`
		} `xml:"EventIdentification"`
	}
	stamp := "-"
	if xml.Unmarshal(text, &written) == nil && written.Event.Time != "" {
		stamp = written.Event.Time
		if at, err := time.Parse(time.RFC3339Nano, stamp); err == nil {
			stamp = at.Format("2006-01-02T15:04:05.000000Z07:00") // RFC 5424 6.2.3: six digits at most
		}
	}
	host := cmp.Or(word(s.options.Syslog.Host), "-")
	return fmt.Appendf(nil, "<85>1 %s %s neurotriage %d DICOM+RFC3881 - \xef\xbb\xbf%s", stamp, host, os.Getpid(), text)
}

// word leaves what may stand in a header field.
func word(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
}

// dial connects, or finds out that the other side hung up meanwhile.
func (s *sender) dial(ctx context.Context) error {
	if s.conn != nil {
		if !s.gone() {
			return nil
		}
		s.hangUp()
		return fmt.Errorf("%w: %w", errBroken, errGone)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	var err error
	if s.options.Syslog.TLS != nil {
		s.conn, err = (&tls.Dialer{Config: s.options.Syslog.TLS}).DialContext(ctx, "tcp", s.options.Syslog.Address)
	} else {
		s.conn, err = new(net.Dialer).DialContext(ctx, "tcp", s.options.Syslog.Address)
	}
	if err != nil {
		s.conn = nil
		return fmt.Errorf("reaching the audit repository: %w", err)
	}
	return nil
}

// gone tells whether the other side closed: a repository says nothing, so
// whatever can be read is the end.
func (s *sender) gone() bool {
	if err := s.conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return true
	}
	var timeout net.Error
	_, err := s.conn.Read(make([]byte, 1))
	return err != nil && (!errors.As(err, &timeout) || !timeout.Timeout())
}

var (
	errBroken = errors.New("the connection to the audit repository broke")
	errGone   = errors.New("it was closed there")
)

func (s *sender) hangUp() {
	if s.conn != nil {
		_ = s.conn.Close() // nothing is lost: the cursor says what was sent
		s.conn = nil
	}
}
