package dicomio

import (
	"fmt"
	"strings"
)

// region says whether an image shows the part of the body that the model reads.
type region struct {
	found         bool
	why           string
	contradiction string // names another part; decides against the image
}

var (
	headPart = whole(`brain|head|skull|cerebrum|cerebral|cerebro|cranium|cranial|neuro|encephal\w*|pituitary|sella|hypophys\w*|cerebellum|brainstem|` +
		`kopf|schaedel|schädel|gehirn|hirn|neurocranium|tete|tête|crane|crâne|cerveau|encephale|encéphale|cabeza|craneo|cráneo|cerebral|encefalo|encéfalo|` +
		`testa|cranio|cervello|hoofd|hersenen|schedel|hjerne|hjärna|hode|huvud|cabeca|cabeça|cerebro|mozg\w*|glowa|glowy`)
	// headOnly are words of sequences and habits that are used for heads.
	headOnly  = whole(`mprage\w*|mp2rage|bravo|brainlab|stealth|neuronav\w*|anat|hipp\w*|trigemin\w*|acoustic|iac`)
	otherPart = whole(`(?:[ctl]?spine|spinal|cspine|tspine|lspine|cervical|thoracic|thorax|chest|lumbar|lumbal|sacrum|sacral|neck|hals|hws|bws|lws|cou|rachis|columna|` +
		`abdomen\w*|abdom\w*|liver|leber|foie|kidney\w*|renal|pancreas|mrcp|spleen|bowel|pelvis|pelvic|becken|bassin|prostate|prostata|bladder|uterus|ovar\w*|rectum|` +
		`breast\w*|mamma\w*|heart|cardiac|cardio|herz|coeur|aorta|lung|knee|knie|genou|hip|hips|shoulder|schulter|epaule|elbow|wrist|hand|ankle|foot|fuss|femur|tibia|` +
		`thigh|calf|leg|arm|extremity|joint|tmj|orbit|orbits|orbita|face|sinus|sinuses|larynx|pharynx|nasopharynx|plexus|carotid\w*|tongue|parotid|thyroid|wholebody|whole body)`)
)

// regionOf weighs the body part that the header names against the descriptions.
// An absent or unknown body part is accepted when descriptions name the head and
// nothing else.
func regionOf(e evidence, want string) region {
	wanted := strings.ToLower(want)
	if wanted != "brain" && wanted != "head" {
		return exactRegion(e, wanted)
	}
	part := wordsOf(e.bodyPart)
	text := wordsOf(e.series + " " + e.protocol)
	head, other := text.find(headPart), text.find(otherPart)
	partHead, partOther := part.find(headPart), part.find(otherPart)
	switch {
	case partOther != "" && partHead == "":
		return region{contradiction: fmt.Sprintf("body part %s, the model reads the %s", e.bodyPart, wanted)}
	case other != "" && head == "":
		return region{contradiction: fmt.Sprintf("descriptions name another body part (%q)", other)}
	case partHead != "" && head == "" && onlyOther(e.study) != "":
		return region{contradiction: fmt.Sprintf("body part %s, but the study's description names another (%q)", e.bodyPart, onlyOther(e.study))}
	case partHead != "":
		return region{found: true, why: "body part " + e.bodyPart}
	case head != "" && other != "":
		return region{contradiction: fmt.Sprintf("descriptions name the head (%q) and another body part (%q)", head, other)}
	case head != "":
		return region{found: true, why: fmt.Sprintf("head, inferred from description (%q)", head)}
	}
	return regionOfStudy(e, text)
}

// onlyOther gives a word for another body part when none is for the head.
func onlyOther(text string) string {
	w := wordsOf(text)
	if w.find(headPart) != "" {
		return ""
	}
	return w.find(otherPart)
}

// regionOfStudy looks further where neither body part nor series speak.
func regionOfStudy(e evidence, series words) region {
	study := wordsOf(e.study)
	head, other := study.find(headPart), study.find(otherPart)
	habit := series.find(headOnly)
	switch {
	case head != "" && other == "":
		return region{found: true, why: fmt.Sprintf("head, inferred from the study's description (%q)", head)}
	case other != "" && head == "":
		return region{contradiction: fmt.Sprintf("the study's description names another body part (%q)", other)}
	case habit != "":
		return region{found: true, why: fmt.Sprintf("head, inferred from description (%q)", habit)}
	}
	if e.bodyPart != "" {
		return region{why: fmt.Sprintf("body part %s is not known, and no description names the head", e.bodyPart)}
	}
	return region{why: "no body part is given, and no description names the head"}
}

// exactRegion serves models of other body parts: the header must name the part.
func exactRegion(e evidence, wanted string) region {
	if strings.EqualFold(e.bodyPart, wanted) {
		return region{found: true, why: "body part " + e.bodyPart}
	}
	return region{why: fmt.Sprintf("body part %q, the model reads %s", e.bodyPart, wanted)}
}
