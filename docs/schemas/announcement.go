package main

import (
	"github.com/invopop/jsonschema"

	"neurotriage"
)

const announcementName = "study-available.v1"

// announced are the fields of a job that its announcement gives; the others
// come from the envelope and from the server.
var announced = []string{"study_instance_uid", "location", "priority", "accession_number", "series_instance_uids", "replay_of"}

// announcement describes the whole message that a sender publishes: a
// CloudEvent 1.0 in structured JSON with the study as its data.
func announcement(comments map[string]string) *jsonschema.Schema {
	job := reflector(comments).Reflect(neurotriage.Job{})
	refine(job)
	data := &jsonschema.Schema{
		Type:       "object",
		Properties: jsonschema.NewProperties(),
		Required:   []string{"study_instance_uid", "location"},
	}
	for _, name := range announced {
		property, ok := job.Properties.Get(name)
		if !ok {
			panic("schemas: a job has no field " + name + " any more")
		}
		data.Properties.Set(name, property)
	}
	location, _ := data.Properties.Get("location")
	location.AllOf = []*jsonschema.Schema{
		needs(neurotriage.Directory, "root", "path"),
		needs(neurotriage.DICOMweb, "url"),
		needs(neurotriage.Object, "bucket", "name"),
	}

	one, longest := uint64(1), uint64(256)
	envelope := &jsonschema.Schema{
		Type:        "object",
		Description: "published to imaging.study.available; unknown fields are ignored",
		Properties:  jsonschema.NewProperties(),
		Required:    []string{"specversion", "id", "source", "type", "data"},
	}
	envelope.Properties.Set("specversion", &jsonschema.Schema{Type: "string", Const: "1.0"})
	envelope.Properties.Set("id", &jsonschema.Schema{
		Type: "string", MinLength: &one, MaxLength: &longest, Description: "unique for the source; the same id again is the same event",
	})
	envelope.Properties.Set("source", &jsonschema.Schema{Type: "string", MinLength: &one, Format: "uri-reference"})
	envelope.Properties.Set("type", &jsonschema.Schema{
		Type: "string", MinLength: &one, Description: "imaging.study.available.v1, with or without a prefix of the sender's",
	})
	envelope.Properties.Set("time", &jsonschema.Schema{Type: "string", Format: "date-time", Description: "when the study was announced"})
	envelope.Properties.Set("datacontenttype", &jsonschema.Schema{Type: "string", Const: "application/json"})
	envelope.Properties.Set("data", data)
	identify(envelope, announcementName, "an announced study: the message on imaging.study.available")
	return envelope
}

// needs says which fields a kind of location cannot do without.
func needs(kind neurotriage.LocationKind, fields ...string) *jsonschema.Schema {
	one := uint64(1)
	is, has := jsonschema.NewProperties(), jsonschema.NewProperties()
	is.Set("kind", &jsonschema.Schema{Const: kind})
	for _, field := range fields {
		has.Set(field, &jsonschema.Schema{MinLength: &one})
	}
	return &jsonschema.Schema{
		If:   &jsonschema.Schema{Properties: is, Required: []string{"kind"}},
		Then: &jsonschema.Schema{Properties: has, Required: fields},
	}
}
