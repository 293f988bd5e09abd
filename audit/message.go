package audit

import (
	"cmp"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// The elements of the audit message schema of PS3.15 A.5.1.
type (
	message struct {
		XMLName      xml.Name      `xml:"AuditMessage"`
		Event        identified    `xml:"EventIdentification"`
		Participants []participant `xml:"ActiveParticipant"`
		Source       source        `xml:"AuditSourceIdentification"`
		Objects      []object      `xml:"ParticipantObjectIdentification"`
	}
	identified struct {
		Action  string  `xml:"EventActionCode,attr"`
		Time    string  `xml:"EventDateTime,attr"`
		Outcome int     `xml:"EventOutcomeIndicator,attr"`
		ID      coded   `xml:"EventID"`
		Types   []coded `xml:"EventTypeCode"`
		Detail  string  `xml:"EventOutcomeDescription,omitempty"`
	}
	coded struct {
		Code    string `xml:"csd-code,attr"`
		System  string `xml:"codeSystemName,attr"`
		Meaning string `xml:"originalText,attr"`
	}
	participant struct {
		UserID      string  `xml:"UserID,attr"`
		Alternative string  `xml:"AlternativeUserID,attr,omitempty"`
		Requestor   bool    `xml:"UserIsRequestor,attr"`
		Address     string  `xml:"NetworkAccessPointID,attr,omitempty"`
		AddressType string  `xml:"NetworkAccessPointTypeCode,attr,omitempty"`
		Roles       []coded `xml:"RoleIDCode"`
	}
	source struct {
		ID   string     `xml:"AuditSourceID,attr"`
		Type sourceType `xml:"AuditSourceTypeCode"`
	}
	sourceType struct {
		Code string `xml:"csd-code,attr"`
	}
	object struct {
		ID       string       `xml:"ParticipantObjectID,attr"`
		Type     int          `xml:"ParticipantObjectTypeCode,attr"`
		Role     int          `xml:"ParticipantObjectTypeCodeRole,attr"`
		IDType   coded        `xml:"ParticipantObjectIDTypeCode"`
		Name     *string      `xml:"ParticipantObjectName"`
		Query    *string      `xml:"ParticipantObjectQuery"`
		Details  []valuePair  `xml:"ParticipantObjectDetail"`
		Describe *description `xml:"ParticipantObjectDescription"`
	}
	valuePair struct {
		Type  string `xml:"type,attr"`
		Value string `xml:"value,attr"` // base64
	}
	description struct {
		Accessions []accession `xml:"Accession"`
		Classes    []sopClass  `xml:"SOPClass"`
	}
	accession struct {
		Number string `xml:"Number,attr"`
	}
	sopClass struct {
		UID   string `xml:"UID,attr"`
		Count int    `xml:"NumberOfInstances,attr"`
	}
)

func dcm(code, meaning string) coded { return coded{code, "DCM", meaning} }

// Codes of PS3.16 CID 400 to 405 and PS3.15 A.5.1.2.4.
var (
	application = dcm("110150", "Application")
	launcher    = dcm("110151", "Application Launcher")
	destination = dcm("110152", "Destination Role ID")
	origin      = dcm("110153", "Source Role ID")
	studyUID    = dcm("110180", "Study Instance UID")
	nodeID      = dcm("110182", "Node ID")
	patientID   = coded{"2", "RFC-3881", "Patient Number"}
	security    = dcm("110127", "Security Configuration")
)

// shape is what the standard fixes for a kind of event.
type shape struct {
	id        coded
	types     []coded
	action    string // C R U D E
	user      coded  // role of who asked
	peer      coded  // role of the other side
	process   coded  // role of this process
	requestor bool   // whether this process asked when no user is named
}

var shapes = map[Kind]shape{
	Start:    {id: dcm("110100", "Application Activity"), types: []coded{dcm("110120", "Application Start")}, action: "E", user: launcher, process: application},
	Stop:     {id: dcm("110100", "Application Activity"), types: []coded{dcm("110121", "Application Stop")}, action: "E", user: launcher, process: application},
	Received: {id: dcm("110104", "DICOM Instances Transferred"), action: "C", user: origin, peer: origin, process: destination},
	Sent:     {id: dcm("110104", "DICOM Instances Transferred"), action: "R", peer: destination, process: origin, requestor: true},
	Read:     {id: dcm("110103", "DICOM Instances Accessed"), action: "R", process: application, requestor: true},
	Changed:  {id: dcm("110103", "DICOM Instances Accessed"), action: "U", process: application, requestor: true},
	Export:   {id: dcm("110106", "Export"), action: "R", peer: destination, process: origin, requestor: true},
	Query:    {id: dcm("110112", "Query"), action: "E", peer: origin, process: destination},
	Refused:  {id: dcm("110113", "Security Alert"), types: []coded{dcm("110126", "Node Authentication")}, action: "E", process: application},
	Login:    {id: dcm("110114", "User Authentication"), types: []coded{dcm("110122", "Login")}, action: "E", process: application},
	Logout:   {id: dcm("110114", "User Authentication"), types: []coded{dcm("110123", "Logout")}, action: "E", process: application},
	Configured: {
		id: dcm("110113", "Security Alert"), types: []coded{security}, action: "E", process: application,
	},
}

// Outcomes of PS3.15 A.5.1.
const (
	success = 0
	minor   = 4
)

// encode makes the XML of an event, on one line.
func encode(e Event, sourceID, process string) ([]byte, error) {
	shape, known := shapes[e.Kind]
	if !known {
		return nil, fmt.Errorf("writing an audit message: kind %q is none", e.Kind)
	}
	m := message{
		Event: identified{
			Action: shape.action, Time: e.Time.UTC().Format(time.RFC3339Nano), Outcome: success,
			ID: shape.id, Types: shape.types, Detail: clean(e.Detail),
		},
		Source: source{ID: sourceID, Type: sourceType{"4"}}, // an application server
	}
	if e.Failed || e.Kind == Refused {
		m.Event.Outcome = minor
	}
	m.Participants = participants(e, shape, process)
	for _, one := range e.Studies {
		m.Objects = append(m.Objects, objects(one)...)
	}
	if e.Kind == Query && len(m.Objects) == 0 {
		query := base64.StdEncoding.EncodeToString([]byte(e.Detail))
		m.Objects = append(m.Objects, object{ID: sourceID, Type: 2, Role: 3, IDType: studyUID, Query: &query})
	}
	if (e.Kind == Refused || e.Kind == Configured) && len(m.Objects) == 0 {
		m.Objects = append(m.Objects, concerned(e, sourceID))
	}
	text, err := xml.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("writing an audit message: %w", err)
	}
	return text, nil
}

// participants names who asked, the other side and this process.
func participants(e Event, shape shape, process string) []participant {
	var list []participant
	roles := func(role coded) []coded {
		if role.Code == "" {
			return nil
		}
		return []coded{role}
	}
	add := func(id string, requestor bool, role coded, address string) {
		address, kind := accessPoint(address)
		list = append(list, participant{UserID: id, Requestor: requestor, Address: address, AddressType: kind, Roles: roles(role)})
	}
	user, peer := clean(e.User), clean(e.Peer)
	userAddress := ""
	if peer == "" {
		userAddress = e.Address
	}
	if user == "" && userAddress != "" {
		user = userAddress // nobody was logged in: the address is all that is known
	}
	if user != "" {
		add(user, true, shape.user, userAddress)
	}
	if peer != "" {
		add(peer, user == "" && !shape.requestor, shape.peer, e.Address)
	}
	add(process, user == "" && (shape.requestor || peer == ""), shape.process, "")
	return list
}

// objects are a study and its patient.
func objects(s Study) []object {
	study := object{ID: s.UID, Type: 2, Role: 3, IDType: studyUID, Name: new(string), Describe: &description{}}
	if s.AccessionNumber != "" {
		study.Describe.Accessions = []accession{{clean(s.AccessionNumber)}}
	}
	for _, uid := range slices.Sorted(maps.Keys(s.SOPClasses)) {
		study.Describe.Classes = append(study.Describe.Classes, sopClass{uid, s.SOPClasses[uid]})
	}
	if len(study.Describe.Accessions)+len(study.Describe.Classes) == 0 {
		study.Describe = nil
	}
	list := []object{study}
	if s.PatientID != "" {
		list = append(list, object{ID: clean(s.PatientID), Type: 1, Role: 1, IDType: patientID, Name: new(string)})
	}
	return list
}

// concerned is the object of a security alert (PS3.15 A.5.3.11).
func concerned(e Event, sourceID string) object {
	return object{
		ID: clean(cmp.Or(e.Peer, cmp.Or(e.Address, sourceID))), Type: 2, Role: 13, IDType: nodeID, Name: new(string),
		Details: []valuePair{{"Alert Description", base64.StdEncoding.EncodeToString([]byte(e.Detail))}},
	}
}

// accessPoint tells an address from a name and a URI (PS3.15 A.5.1).
func accessPoint(address string) (id, kind string) {
	if address == "" {
		return "", ""
	}
	if u, err := url.Parse(address); err == nil && u.Scheme != "" && u.Host != "" {
		return u.Redacted(), "5"
	}
	if host, port, err := net.SplitHostPort(address); err == nil {
		if _, err := strconv.Atoi(port); err == nil {
			address = host
		}
	}
	if net.ParseIP(address) != nil {
		return address, "2"
	}
	return clean(address), "1"
}

// clean keeps the log book one line an entry, whatever a name holds.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return '?'
		}
		return r
	}, s)
}
