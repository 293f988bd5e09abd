package events

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"neurotriage"
)

// hold is a message that was handed out and is not settled.
type hold struct {
	msg    jetstream.Msg
	job    neurotriage.Job
	of     Announcement
	cancel context.CancelFunc // ends the heartbeat
}

// holds finds the message of a job. Jobs are values, so they are told apart by
// event and study; two messages of one event are interchangeable.
type holds struct {
	mu   sync.Mutex
	open []*hold // as many as there are workers: few
	// unsure names events whose attempt was perhaps counted when the call failed;
	// the next time they are not counted again.
	unsure map[string]bool
}

func newHolds() *holds { return &holds{unsure: map[string]bool{}} }

func (h *holds) add(one *hold) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open = append(h.open, one)
}

// renew gives a message that is held and was delivered again its new handle,
// and says whether it is held.
func (h *holds) renew(sequence uint64, msg jetstream.Msg) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, one := range h.open {
		if one.of.Sequence == sequence {
			one.msg = msg
			return true
		}
	}
	return false
}

func (h *holds) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.open)
}

func (h *holds) index(job neurotriage.Job) int {
	return slices.IndexFunc(h.open, func(one *hold) bool {
		return one.job.EventID == job.EventID && one.job.StudyInstanceUID == job.StudyInstanceUID
	})
}

// find gives the message's raw text and its announcement.
func (h *holds) find(job neurotriage.Job) (raw []byte, of Announcement, held bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.index(job)
	if i < 0 {
		return nil, Announcement{EventID: job.EventID, Asked: job.Asked}, false
	}
	return h.open[i].msg.Data(), h.open[i].of, true
}

// take removes the job's message and ends its heartbeat.
func (h *holds) take(job neurotriage.Job) (jetstream.Msg, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.index(job)
	if i < 0 {
		return nil, false
	}
	one := h.open[i]
	one.cancel()
	h.open = slices.Delete(h.open, i, i+1)
	return one.msg, true
}

func (h *holds) dropAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, one := range h.open {
		one.cancel()
	}
	h.open = nil
}

// current is the newest handle of a held message.
func (h *holds) current(one *hold) jetstream.Msg {
	h.mu.Lock()
	defer h.mu.Unlock()
	return one.msg
}

func (h *holds) setUnsure(eventID string, unsure bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if unsure {
		h.unsure[eventID] = true
	} else {
		delete(h.unsure, eventID)
	}
}

func (h *holds) isUnsure(eventID string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.unsure[eventID]
}

// keepAlive tells the server again and again that a message is being worked on.
func (b *Bus) keepAlive(ctx context.Context, one *hold) {
	ticker := time.NewTicker(b.opts.AckWait / 4)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := b.holds.current(one).InProgress(); err != nil {
				b.log.Debug("the server was not told that a study is in progress", "study", one.job.StudyInstanceUID, "error", err)
			}
		}
	}
}
