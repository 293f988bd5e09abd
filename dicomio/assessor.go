package dicomio

import "neurotriage"

// maxTexts is in how many ways the images of one series may be described.
const maxTexts = 64

// texts are what an image says in words.
type texts struct{ series, protocol, study, bodyPart, pulse, agent string }

// spoken is what was found in them.
type spoken struct {
	sequence      neurotriage.SequenceKind // that descriptions name, and the word
	word          string
	pulse         kind // by the vendor's name of the pulse sequence
	named         bool
	part          region
	noAgent       bool // the agent's name denies it
	with, without string
}

// assessor decides which images of a series a model may read. It remembers what it
// found in words: to search them is slow, and thousands of frames share them.
type assessor struct {
	use   neurotriage.IntendedUse
	heard map[texts]spoken
}

func newAssessor(use neurotriage.IntendedUse) *assessor {
	return &assessor{use: orDefaultUse(use), heard: map[texts]spoken{}}
}

// hear searches an image's words, or reports that the series has too many of them.
func (a *assessor) hear(e evidence) (spoken, bool) {
	key := texts{e.series, e.protocol, e.study, e.bodyPart, e.sequenceName, e.agent}
	said, ok := a.heard[key]
	if ok || len(a.heard) == maxTexts {
		return said, ok
	}
	said = heardIn(e, a.use.BodyPart)
	a.heard[key] = said
	return said, true
}

// heardIn searches the words of an image for a part of the body and its contrast.
func heardIn(e evidence, part string) spoken {
	var s spoken
	s.sequence, s.word = byWords(e)
	s.pulse, s.named = byPulse(e.sequenceName)
	s.part = regionOf(e, part)
	s.noAgent = noAgent.MatchString(e.agent)
	s.with, s.without = firstMatch(withWord, e.series, e.protocol), firstMatch(withoutWord, e.series, e.protocol)
	return s
}
