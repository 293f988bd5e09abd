package dimse

import (
	"errors"
	"slices"
)

// accepted is a presentation context that both sides agree on.
type accepted struct{ class, syntax string }

// contexts are found by their id, which is odd.
type contexts [maxContexts]*accepted

func (c *contexts) get(id byte) *accepted {
	if id%2 == 0 {
		return nil
	}
	return c[id/2]
}

// judge decides on an association request, from the general to the particular.
func (o *ServerOptions) judge(rq *associate) error {
	switch {
	case rq.version&1 == 0:
		return RejectVersion
	case rq.context != applicationContext:
		return RejectContextName
	case !validTitle(rq.calling()):
		return RejectCalling
	case len(o.AETitles) > 0 && !slices.Contains(o.AETitles, rq.called()):
		return RejectCalled
	case rq.user.maxPDU > 0 && rq.user.maxPDU < leastPDU:
		return violated(abortInvalidValue, "a maximum PDU length of %d bytes", rq.user.maxPDU)
	}
	return nil
}

// rejection is what the peer hears of an error of Accept.
func rejection(err error) Rejection {
	if r, ok := errors.AsType[Rejection](err); ok {
		return r
	}
	return RejectNotPermitted
}

// negotiate answers an association request that is accepted.
func (o *ServerOptions) negotiate(rq *associate) (*associate, *contexts, error) {
	ac := &associate{titles: rq.titles, user: userItem{
		maxPDU: uint32(o.MaxPDU), classUID: ImplementationClassUID, version: ImplementationVersion, async: rq.user.async,
		answered: rq.user.identity.wantsAnswer(),
	}}
	agreed := &contexts{}
	seen := [maxContexts]bool{}
	for _, proposed := range rq.contexts {
		if seen[proposed.id/2] {
			return nil, nil, violated(abortInvalidValue, "presentation context %d twice", proposed.id)
		}
		seen[proposed.id/2] = true
		answer := contextItem{id: proposed.id}
		var syntax string
		answer.result, syntax = o.choose(proposed)
		if answer.result == contextAccepted {
			agreed[proposed.id/2] = &accepted{proposed.abstract, syntax}
		}
		answer.syntaxes = []string{syntax}
		ac.contexts = append(ac.contexts, answer)
	}
	for _, role := range rq.user.roles {
		if answer, ok := o.role(role); ok && len(ac.user.roles) < maxContexts {
			ac.user.roles = append(ac.user.roles, answer)
		}
	}
	return ac, agreed, nil
}

// wantsAnswer says that an identity is to be answered: those that we understand.
func (id *identityItem) wantsAnswer() bool {
	return id != nil && id.respond && (id.kind == identityName || id.kind == identityPasscode)
}

// choose answers one presentation context. The transfer syntax is the first of
// ours that was proposed; without agreement it has no meaning, but has to be there.
func (o *ServerOptions) choose(proposed contextItem) (result byte, syntax string) {
	ours := o.TransferSyntaxes
	switch {
	case proposed.abstract == Verification, proposed.abstract == StorageCommitment && o.Committed != nil:
		ours = plainSyntaxes()
	case proposed.abstract == StorageCommitment, !o.SOPClasses(proposed.abstract):
		return contextNoAbstract, ImplicitVRLittleEndian
	}
	for _, syntax := range ours {
		if slices.Contains(proposed.syntaxes, syntax) {
			return contextAccepted, syntax
		}
	}
	return contextNoneTransfer, ImplicitVRLittleEndian
}

// role answers a role selection: peers are SCU of everything they may use, and
// SCP of storage commitment when they report its results (PS3.7 D.3.3.4).
func (o *ServerOptions) role(proposed roleItem) (roleItem, bool) {
	switch {
	case proposed.class == StorageCommitment && o.Committed != nil:
		return roleItem{proposed.class, false, proposed.scp}, true
	case proposed.class == Verification, o.SOPClasses(proposed.class):
		return roleItem{proposed.class, proposed.scu, false}, true
	}
	return roleItem{}, false
}
