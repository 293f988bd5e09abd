package dimse

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// PDU types (PS3.8 9.3).
const (
	pduAssociateRQ = 0x01
	pduAssociateAC = 0x02
	pduAssociateRJ = 0x03
	pduData        = 0x04
	pduReleaseRQ   = 0x05
	pduReleaseRP   = 0x06
	pduAbort       = 0x07

	pduHeader = 6 // type, reserved, length
	pdvHeader = 6 // length, presentation context, message control header
)

// Items of A-ASSOCIATE-RQ and -AC (PS3.8 9.3.2, PS3.7 D.3.3).
const (
	itemApplicationContext = 0x10
	itemContextRQ          = 0x20
	itemContextAC          = 0x21
	itemAbstractSyntax     = 0x30
	itemTransferSyntax     = 0x40
	itemUser               = 0x50
	itemMaxLength          = 0x51
	itemClassUID           = 0x52
	itemAsyncWindow        = 0x53
	itemRole               = 0x54
	itemVersionName        = 0x55
	itemIdentityRQ         = 0x58
	itemIdentityAC         = 0x59
)

const (
	// maxAssociate bounds an A-ASSOCIATE PDU: 128 contexts with sixty transfer
	// syntaxes each are less.
	maxAssociate = 256 << 10
	maxContexts  = 128
)

// violation is a breach of the protocol by the peer, with the reason that our
// A-ABORT gives (PS3.8 table 9-26).
type violation struct {
	reason byte
	text   string
}

func (v *violation) Error() string { return "peer breaks the protocol: " + v.text }

func violated(reason byte, format string, args ...any) error {
	return &violation{reason, fmt.Sprintf(format, args...)}
}

// associate is an A-ASSOCIATE-RQ or -AC.
type associate struct {
	version  uint16
	titles   [32]byte // called and calling, as sent: an AC repeats them
	context  string   // application context name
	contexts []contextItem
	user     userItem
}

func (a *associate) called() string  { return trimTitle(a.titles[:16]) }
func (a *associate) calling() string { return trimTitle(a.titles[16:]) }

func (a *associate) setTitles(called, calling string) {
	copy(a.titles[:], strings.Repeat(" ", 32))
	copy(a.titles[:16], called)
	copy(a.titles[16:], calling)
}

// contextItem is a presentation context, proposed or answered.
type contextItem struct {
	id       byte
	result   byte     // of an AC, PS3.8 table 9-18
	abstract string   // of an RQ
	syntaxes []string // RQ: the proposed; AC: one, without meaning unless accepted
}

// Results of a presentation context (PS3.8 table 9-18).
const (
	contextAccepted     = 0
	contextNoAbstract   = 3
	contextNoneTransfer = 4
)

// userItem is the user information (PS3.7 D.3.3).
type userItem struct {
	maxPDU   uint32 // 0: no limit
	classUID string
	version  string
	async    bool // an asynchronous operations window was asked for
	roles    []roleItem
	identity *identityItem
	answered bool // AC: the identity is answered
}

// roleItem is a role selection (PS3.7 D.3.3.4), seen from the requestor.
type roleItem struct {
	class    string
	scu, scp bool
}

// identityItem is a user identity (PS3.7 D.3.3.7).
type identityItem struct {
	kind               byte
	respond            bool
	primary, secondary string
}

// Kinds of user identity that carry a name.
const (
	identityName     = 1
	identityPasscode = 2
)

// parseAssociate reads the body of an A-ASSOCIATE-RQ or -AC. The strings of the
// result share one copy of the body.
func parseAssociate(body []byte) (*associate, error) {
	if len(body) < 68 {
		return nil, violated(abortInvalidValue, "an association PDU of %d bytes, less than its fixed part", len(body))
	}
	a := &associate{version: binary.BigEndian.Uint16(body)}
	copy(a.titles[:], body[4:36])
	rest := string(body[68:])
	for rest != "" {
		kind, item, after, err := nextItem(rest)
		if err != nil {
			return nil, err
		}
		rest = after
		switch kind {
		case itemApplicationContext:
			a.context = trimUID(item)
		case itemContextRQ, itemContextAC:
			c, err := parseContext(item)
			if err != nil {
				return nil, err
			}
			if len(a.contexts) == maxContexts {
				return nil, violated(abortInvalidValue, "more than %d presentation contexts", maxContexts)
			}
			a.contexts = append(a.contexts, c)
		case itemUser:
			if a.user, err = parseUser(item); err != nil {
				return nil, err
			}
		} // other items are passed over (PS3.8 9.3.1)
	}
	return a, nil
}

// nextItem takes an item off: type, reserved byte, 16-bit length, content.
func nextItem(b string) (kind byte, item, rest string, err error) {
	if len(b) < 4 {
		return 0, "", "", violated(abortInvalidValue, "%d bytes are left where an item should be", len(b))
	}
	n := int(b[2])<<8 | int(b[3])
	if n > len(b)-4 {
		return 0, "", "", violated(abortInvalidValue, "item %02XH is %d bytes long and %d are left", b[0], n, len(b)-4)
	}
	return b[0], b[4 : 4+n], b[4+n:], nil
}

func parseContext(item string) (contextItem, error) {
	if len(item) < 4 {
		return contextItem{}, violated(abortInvalidValue, "a presentation context of %d bytes", len(item))
	}
	c := contextItem{id: item[0], result: item[2]}
	if c.id%2 == 0 {
		return c, violated(abortInvalidValue, "presentation context %d, which is even", c.id)
	}
	for rest := item[4:]; rest != ""; {
		kind, sub, after, err := nextItem(rest)
		if err != nil {
			return c, err
		}
		rest = after
		switch kind {
		case itemAbstractSyntax:
			c.abstract = trimUID(sub)
		case itemTransferSyntax:
			c.syntaxes = append(c.syntaxes, trimUID(sub))
		}
	}
	return c, nil
}

func parseUser(item string) (userItem, error) {
	var u userItem
	for item != "" {
		kind, sub, rest, err := nextItem(item)
		if err != nil {
			return u, err
		}
		item = rest
		switch kind {
		case itemMaxLength:
			if len(sub) != 4 {
				return u, violated(abortInvalidValue, "a maximum length of %d bytes", len(sub))
			}
			u.maxPDU = uint32(sub[0])<<24 | uint32(sub[1])<<16 | uint32(sub[2])<<8 | uint32(sub[3])
		case itemClassUID:
			u.classUID = trimUID(sub)
		case itemVersionName:
			u.version = strings.TrimSpace(sub)
		case itemAsyncWindow:
			u.async = true
		case itemRole:
			r, err := parseRole(sub)
			if err != nil {
				return u, err
			}
			u.roles = append(u.roles, r)
		case itemIdentityRQ:
			if u.identity, err = parseIdentity(sub); err != nil {
				return u, err
			}
		case itemIdentityAC:
			u.answered = true
		}
	}
	return u, nil
}

func parseRole(sub string) (roleItem, error) {
	uid, rest, err := counted(sub)
	if err != nil || len(rest) != 2 {
		return roleItem{}, violated(abortInvalidValue, "a role selection that does not add up")
	}
	return roleItem{class: trimUID(uid), scu: rest[0] == 1, scp: rest[1] == 1}, nil
}

func parseIdentity(sub string) (*identityItem, error) {
	wrong := violated(abortInvalidValue, "a user identity that does not add up")
	if len(sub) < 2 {
		return nil, wrong
	}
	id := &identityItem{kind: sub[0], respond: sub[1] == 1}
	var err error
	rest := sub[2:]
	if id.primary, rest, err = counted(rest); err != nil {
		return nil, wrong
	}
	if id.kind == identityPasscode {
		if id.secondary, _, err = counted(rest); err != nil {
			return nil, wrong
		}
	}
	return id, nil
}

// counted takes a string off that stands behind its 16-bit length.
func counted(b string) (text, rest string, err error) {
	if len(b) < 2 {
		return "", "", violated(abortInvalidValue, "a length is missing")
	}
	n := int(b[0])<<8 | int(b[1])
	if n > len(b)-2 {
		return "", "", violated(abortInvalidValue, "a text of %d bytes where %d are left", n, len(b)-2)
	}
	return b[2 : 2+n], b[2+n:], nil
}

// trimUID removes what some systems pad UIDs with, here against the standard
// (PS3.8 annex F pads nothing).
func trimUID(s string) string { return strings.TrimRight(s, "\x00 ") }

// trimTitle reads an AE title (PS3.8 table 9-11: blanks around it have no
// meaning). Some systems fill it up with NUL.
func trimTitle(b []byte) string { return strings.Trim(string(b), " \x00") }

// validTitle keeps to the repertoire of AE (PS3.5 table 6.2-1).
func validTitle(title string) bool {
	if title == "" || len(title) > 16 {
		return false
	}
	for i := range len(title) {
		if title[i] < 0x20 || title[i] > 0x7E || title[i] == '\\' {
			return false
		}
	}
	return true
}

// append writes the whole PDU, as RQ or as AC.
func (a *associate) append(b []byte, kind byte) []byte {
	b, end := open32(append(b, kind, 0))
	b = append(b, 0, 1, 0, 0) // protocol version 1
	b = append(b, a.titles[:]...)
	b = append(b, make([]byte, 32)...)
	b = appendItem(b, itemApplicationContext, applicationContext)
	for _, c := range a.contexts {
		b = c.append(b, kind)
	}
	b = a.user.append(b)
	return end(b)
}

func (c contextItem) append(b []byte, kind byte) []byte {
	item := byte(itemContextRQ)
	if kind == pduAssociateAC {
		item = itemContextAC
	}
	b, end := open16(append(b, item, 0))
	b = append(b, c.id, 0, c.result, 0)
	if kind == pduAssociateRQ {
		b = appendItem(b, itemAbstractSyntax, c.abstract)
	}
	for _, syntax := range c.syntaxes {
		b = appendItem(b, itemTransferSyntax, syntax)
	}
	return end(b)
}

func (u userItem) append(b []byte) []byte {
	b, end := open16(append(b, itemUser, 0))
	b = append(b, itemMaxLength, 0, 0, 4)
	b = binary.BigEndian.AppendUint32(b, u.maxPDU)
	b = appendItem(b, itemClassUID, u.classUID)
	if u.async {
		b = append(b, itemAsyncWindow, 0, 0, 4, 0, 1, 0, 1) // one operation at a time, both ways
	}
	for _, r := range u.roles {
		b = append(b, itemRole, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(4+len(r.class)))
		b = appendCounted(b, r.class)
		b = append(b, flag(r.scu), flag(r.scp))
	}
	if u.version != "" {
		b = appendItem(b, itemVersionName, u.version)
	}
	if id := u.identity; id != nil {
		b = append(b, itemIdentityRQ, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(6+len(id.primary)+len(id.secondary)))
		b = append(b, id.kind, flag(id.respond))
		b = appendCounted(appendCounted(b, id.primary), id.secondary)
	}
	if u.answered {
		b = append(b, itemIdentityAC, 0, 0, 2, 0, 0) // no response value with names (PS3.7 D.3.3.7.2)
	}
	return end(b)
}

func flag(set bool) byte {
	if set {
		return 1
	}
	return 0
}

func appendItem(b []byte, kind byte, text string) []byte {
	return appendCounted(append(b, kind, 0), text)
}

func appendCounted(b []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(text))), text...)
}

// open32 and open16 leave room for a length that the returned function fills in.
func open32(b []byte) ([]byte, func([]byte) []byte) {
	at := len(b) + 4
	return append(b, 0, 0, 0, 0), func(b []byte) []byte {
		binary.BigEndian.PutUint32(b[at-4:], uint32(len(b)-at))
		return b
	}
}

func open16(b []byte) ([]byte, func([]byte) []byte) {
	at := len(b) + 2
	return append(b, 0, 0), func(b []byte) []byte {
		binary.BigEndian.PutUint16(b[at-2:], uint16(len(b)-at))
		return b
	}
}

// appendShort writes one of the PDUs whose content is four bytes: RJ, RELEASE-RQ,
// RELEASE-RP, ABORT (PS3.8 9.3.4, 9.3.6 to 9.3.8).
func appendShort(b []byte, kind, second, third, fourth byte) []byte {
	return append(b, kind, 0, 0, 0, 0, 4, 0, second, third, fourth)
}
