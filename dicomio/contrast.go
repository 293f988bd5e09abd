package dicomio

import (
	"fmt"
	"regexp"
	"strings"
)

// agent says whether a contrast agent was given.
type agent struct {
	given bool
	why   string
}

var (
	// noAgent are values of Contrast/Bolus Agent that deny one.
	noAgent = regexp.MustCompile(`(?i)^\W*(?:no|none|n|nein|non|without|ohne|sans|w/o|nil|null|0|false|not? ?applicable|n/a|na|native?|no contrast.*|unknown|-+)?\W*$`)

	withoutWord = regexp.MustCompile(`(?i)(?:^|[^a-z])(?:pre|nativ|native|unenhanced|plain|noncontrast|nonenhanced|precontrast|pregad|pregd|prekm|` +
		`w/?o|wo|without|ohne|sans|senza|sin|zonder|non?[ _-]*(?:contrast|enhanced|gad|gd|km|ce|c)|-c|c-)(?:$|[^a-z])`)
	withWord = regexp.MustCompile(`(?i)(?:^|[^a-z])(?:post|postcontrast|postgad|postgd|postkm|gad|gado|gadolinium|gadovist|dotarem|magnevist|` +
		`prohance|multihance|gadavist|omniscan|clariscan|elucirem|vueway|gd|gd-?dtpa|km|ce|contrast|kontrast\w*|contraste|enhanced|t1\w*[ _-]*c|t1wc|t1ce|t1gd|t1km|t1post|t1c|wc|` +
		`w/c|with[ _-]*c|mit[ _-]*km|nach[ _-]*km|apr[eè]s|inj|injected|inyec\w*|mdc)(?:$|[^a-z])|\+\s?c(?:$|[^a-z])|\+\s?(?:gd|gad|km|contrast)|c\s?\+`)
)

// contrastOf decides between T1 and T1 with contrast. Only a T1 with contrast can
// clear a study, so a description that denies the agent wins over a header that
// names one: headers are often filled in for a whole examination.
func contrastOf(e evidence, said spoken) agent {
	recorded := e.agentPresent || !said.noAgent
	with, without := said.with, said.without
	switch {
	case e.agentDenied:
		return agent{why: "the header says that no contrast agent was administered"}
	case recorded && without != "" && with == "":
		return agent{why: fmt.Sprintf("a contrast agent is recorded, but the description says without (%q)", without)}
	case recorded:
		return agent{given: true, why: "a contrast agent is recorded"}
	case with != "" && without == "":
		return agent{given: true, why: fmt.Sprintf("contrast agent inferred from description (%q)", with)}
	case with != "":
		return agent{why: fmt.Sprintf("the description says both with and without contrast agent (%q, %q)", with, without)}
	}
	return agent{why: "no contrast agent is recorded or described"}
}

// firstMatch gives the matching words of the first text that has any.
func firstMatch(pattern *regexp.Regexp, texts ...string) string {
	for _, text := range texts {
		if match := pattern.FindString(breakCamel(text)); match != "" {
			return strings.Trim(match, " _-()[],.:;")
		}
	}
	return ""
}
