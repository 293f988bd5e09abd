package events

import (
	"strings"
)

// names holds every subject, stream and bucket under one prefix.
type names struct{ prefix string }

func (n names) subject(s string) string {
	if n.prefix == "" {
		return s
	}
	return n.prefix + "." + s
}

func (n names) stream(s string) string {
	if n.prefix == "" {
		return s
	}
	return strings.ToUpper(n.prefix) + "_" + s
}

func (n names) bucket(s string) string {
	if n.prefix == "" {
		return s
	}
	return n.prefix + "_" + s
}

const durable = "neurotriage" // the one consumer of the work queue

func (n names) imaging() string     { return n.stream("IMAGING") }
func (n names) triage() string      { return n.stream("TRIAGE") }
func (n names) deadletters() string { return n.stream("TRIAGE_DEADLETTER") }
func (n names) assessments() string { return n.stream("TRIAGE_ASSESSMENT") }
func (n names) worklist() string    { return n.bucket("triage_worklist") }
func (n names) media() string       { return n.bucket("triage_media") }
func (n names) uploads() string     { return n.bucket("imaging_inbox") }

func (n names) available() string { return n.subject("imaging.study.available") }
func (n names) findings() string  { return n.subject("triage.finding.>") }

func (n names) finding(disposition, id string) string {
	return n.subject("triage.finding." + disposition + "." + id)
}

func (n names) alert(kind, id string) string { return n.subject("triage.alert." + kind + "." + id) }

func (n names) deadletter(reason string) string { return n.subject("triage.deadletter." + reason) }

func (n names) heartbeat(instance string) string {
	return n.subject("triage.heartbeat." + token(instance))
}

// studyKey is a study UID as one subject token: dots separate tokens in NATS.
func studyKey(uid string) string { return strings.ReplaceAll(uid, ".", "-") }

// token makes one subject token of any text.
func token(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		}
		return '-'
	}, s)
}
