package daemon

import (
	"errors"
	"math/rand/v2"
	"time"

	"neurotriage"
)

// Delays of jobs that are handed back without counting.
const (
	notFoundDelay     = 5 * time.Second  // a study that may still be arriving
	elsewhereDelay    = 1 * time.Second  // for the daemon that has the root to take it; jittered
	surroundingsDelay = 1 * time.Second  // the inbox is paused meanwhile; others may try
	unstoredDelay     = 10 * time.Second // a refusal that could not be stored
)

// retryDelays grow with the attempts that counted; the last one repeats.
var retryDelays = [...]time.Duration{
	time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute,
}

// retryDelay is the delay after the given attempt, counted from 1.
func retryDelay(attempt int) time.Duration {
	return retryDelays[min(max(attempt, 1), len(retryDelays))-1]
}

// decision is what an attempt's error means for its job.
type decision struct {
	outcome Outcome
	refusal *neurotriage.Refusal // set when the job is to be refused before it is settled
	pause   error                // set when the inbox is to pause until this is over
}

// policy is the error policy of the walk: which errors end a job, which hand it
// back, and which of those count.
type policy struct {
	maxAttempts int
	grace       time.Duration // after its announcement, in which a study may still be on its way to the disk
	now         func() time.Time
	// jitter varies a delay. Pulls of several daemons queue up at the server, and
	// with fixed delays a job for one of them was seen to come back to the other
	// eleven times in a row.
	jitter func(time.Duration) time.Duration
}

// about gives a delay between half and one and a half of d.
func about(d time.Duration) time.Duration { return d/2 + rand.N(d) }

// decide judges an attempt at the job. While the daemon stops, every error may
// be the stop's own doing, so none of them is held against the study.
func (p policy) decide(job neurotriage.Job, err error, stopping bool) decision {
	refusal, refused := errors.AsType[*neurotriage.Refusal](err)
	switch {
	case err == nil:
		return decision{outcome: Outcome{Verdict: Done}}
	case stopping:
		return handBack(0, "the daemon stops", false)
	case errors.Is(err, neurotriage.ErrSurroundings):
		d := handBack(surroundingsDelay, err.Error(), false)
		d.pause = err
		return d
	case errors.Is(err, neurotriage.ErrElsewhere):
		return handBack(p.jitter(elsewhereDelay), err.Error(), false)
	case refused && refusal.Reason == neurotriage.StudyNotFound && p.arriving(job):
		return handBack(notFoundDelay, err.Error(), false)
	case refused:
		return refuse(refusal)
	case job.Delivery >= p.maxAttempts:
		return refuse(neurotriage.Refuse(neurotriage.GaveUp, "after %d attempts: %w", job.Delivery, err))
	}
	return handBack(retryDelay(job.Delivery), err.Error(), true)
}

// unstored judges a refusal that could not be stored. It never refuses again,
// since that is what did not work.
func (p policy) unstored(err error, stopping bool) decision {
	switch {
	case stopping:
		return handBack(0, "the daemon stops", false)
	case errors.Is(err, neurotriage.ErrSurroundings):
		d := handBack(surroundingsDelay, err.Error(), false)
		d.pause = err
		return d
	}
	return handBack(unstoredDelay, err.Error(), false)
}

// arriving reports whether the job was announced so recently that its study may
// still be copied. A job from the future tells of a wrong clock: it gets the
// same grace at most, lest it be handed back until that future comes.
func (p policy) arriving(job neurotriage.Job) bool {
	age := p.now().Sub(job.Asked)
	return age < p.grace && age > -p.grace
}

func handBack(delay time.Duration, reason string, counts bool) decision {
	return decision{outcome: Outcome{Verdict: HandBack, Delay: delay, Reason: reason, Counts: counts}}
}

func refuse(refusal *neurotriage.Refusal) decision {
	return decision{outcome: Outcome{Verdict: Terminate, Reason: string(refusal.Reason)}, refusal: refusal}
}
