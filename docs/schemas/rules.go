package main

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/invopop/jsonschema"

	"neurotriage"
	"neurotriage/events"
)

// choices are the values of the types that have a few.
var choices = map[reflect.Type][]any{
	reflect.TypeFor[neurotriage.Status]():       {neurotriage.StatusRead, neurotriage.StatusNotAssessable, neurotriage.StatusRefused},
	reflect.TypeFor[neurotriage.Disposition]():  {neurotriage.GliomaReview, neurotriage.TumourSuspected, neurotriage.NotAssessable, neurotriage.Refused, neurotriage.NotFlagged},
	reflect.TypeFor[neurotriage.Priority]():     {neurotriage.Routine, neurotriage.Urgent, neurotriage.ASAP, neurotriage.Stat},
	reflect.TypeFor[neurotriage.LocationKind](): {neurotriage.Directory, neurotriage.DICOMweb, neurotriage.Object},
	reflect.TypeFor[neurotriage.SequenceKind](): {
		neurotriage.T1, neurotriage.T1C, neurotriage.T2, neurotriage.FLAIR, neurotriage.ProtonDensity, neurotriage.Diffusion, neurotriage.EchoPlanar,
		neurotriage.Susceptibility, neurotriage.Angiography, neurotriage.Localizer, neurotriage.ParametricMap, neurotriage.UnknownSequence,
	},
	reflect.TypeFor[neurotriage.Reason](): {
		neurotriage.Reason(""), neurotriage.NothingEligible, neurotriage.NoContrast, neurotriage.Incomplete, neurotriage.OutOfDomain, neurotriage.Uncertain,
		neurotriage.MalformedEvent, neurotriage.StudyNotFound, neurotriage.NotDICOM, neurotriage.CorruptDICOM, neurotriage.UnsupportedTransferSyntax,
		neurotriage.UnsupportedImage, neurotriage.TooLarge, neurotriage.PathNotAllowed, neurotriage.URLNotAllowed, neurotriage.InconsistentStudy, neurotriage.GaveUp,
	},
	reflect.TypeFor[events.AlertKind](): {events.AlertReview, events.AlertChanged, events.AlertOverdue},
	reflect.TypeFor[events.Verdict]():   {events.Accepted, events.Rejected, events.Corrected, events.Acknowledged},
	reflect.TypeFor[events.State]():     {events.Waiting, events.Reading, events.Read, events.NotRead},
}

// reflector makes schemas in one piece. Unknown fields are allowed: a receiver
// must not fall over what a newer daemon adds.
func reflector(comments map[string]string) *jsonschema.Reflector {
	return &jsonschema.Reflector{
		Anonymous:                 true,
		AllowAdditionalProperties: true,
		DoNotReference:            true,
		ExpandedStruct:            true,
		LookupComment:             lookup(comments),
		Mapper: func(typ reflect.Type) *jsonschema.Schema {
			if values, ok := choices[typ]; ok {
				return &jsonschema.Schema{Type: "string", Enum: values}
			}
			if typ == reflect.TypeFor[json.RawMessage]() {
				return &jsonschema.Schema{Description: "any JSON"}
			}
			return nil
		},
	}
}

func identify(schema *jsonschema.Schema, name, title string) {
	schema.Version = jsonschema.Version
	schema.ID = jsonschema.ID(name + ".json")
	schema.Title = title
	if tag, ok := schema.Properties.Get("schema"); ok {
		tag.Const = name
	}
}

const (
	uidPattern    = `^[0-9]+(\.[0-9]+)*$` // PS3.5 9.1; leading zeros are tolerated, as real archives have them
	idPattern     = `^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`
	digestPattern = `^sha256:[0-9a-f]{64}$`
)

// refine adds to every property, at any depth, what its name promises.
func refine(schema *jsonschema.Schema) {
	if schema == nil {
		return
	}
	refine(schema.Items)
	refine(schema.AdditionalProperties)
	if schema.Properties == nil {
		return
	}
	for pair := schema.Properties.Oldest(); pair != nil; pair = pair.Next() {
		refine(pair.Value)
		pair.Value = rule(pair.Key, pair.Value, slices.Contains(schema.Required, pair.Key))
	}
}

func rule(name string, s *jsonschema.Schema, required bool) *jsonschema.Schema {
	switch {
	case strings.HasSuffix(name, "instance_uid"):
		uid(s)
	case strings.HasSuffix(name, "instance_uids"):
		uid(s.Items)
	case name == "id" || name == "finding_id":
		s.Pattern = idPattern
	case name == "replaces": // empty: replaces nothing
		s.Pattern = "^$|" + idPattern
	case name == "digest":
		s.Pattern = digestPattern
	case name == "runtime":
		s.Enum = []any{"cuda", "webgpu", "cpu"}
	case name == "frame":
		s.Minimum = "1"
	case slices.Contains([]string{"slices", "attempts", "warnings", "queue_depth", "in_work", "original_bytes"}, name) && s.Type == "integer":
		s.Minimum = "0"
	case slices.Contains([]string{"probability", "threshold", "glioma_review", "fraction", "coverage", "temperature"}, name) && s.Type == "number":
		return ranged(name, s, required)
	case name == "probabilities":
		return probabilities(s)
	}
	return s
}

func uid(s *jsonschema.Schema) {
	longest := uint64(neurotriage.MaxUIDLength)
	s.Pattern, s.MaxLength = uidPattern, &longest
}

// ranged bounds a number. The probability of a list entry may be null.
func ranged(name string, s *jsonschema.Schema, required bool) *jsonschema.Schema {
	if name == "temperature" {
		s.ExclusiveMinimum = "0"
		return s
	}
	s.Minimum, s.Maximum = "0", "1"
	if name == "probability" && required && strings.Contains(s.Description, "null") {
		return nullable(s)
	}
	return s
}

// probabilities of a study or a series are null when nothing was scored.
func probabilities(s *jsonschema.Schema) *jsonschema.Schema {
	s.AdditionalProperties = &jsonschema.Schema{Type: "number", Minimum: "0", Maximum: "1"}
	least := uint64(1)
	s.MinProperties = &least
	return nullable(s)
}

func nullable(s *jsonschema.Schema) *jsonschema.Schema {
	description := s.Description
	s.Description = ""
	return &jsonschema.Schema{Description: description, AnyOf: []*jsonschema.Schema{{Type: "null"}, s}}
}
