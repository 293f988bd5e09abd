package alert

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Windows are quiet hours in one time zone.
type Windows struct {
	windows []window
	zone    *time.Location
}

// window is a part of certain days; one that ends before it begins ends on the
// next day.
type window struct {
	days     [7]bool // by time.Weekday: the days on which it begins
	from, to int     // minutes of the day
}

const windowAllowed = `allowed are hours such as "22:00-06:30", "sat-sun 00:00-24:00" or "fri 18:00-08:00"`

var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// ParseWindows reads quiet hours in the time zone of that name; an empty one is
// the machine's.
func ParseWindows(texts []string, zone string) (Windows, error) {
	where, err := time.LoadLocation(zone)
	if zone == "" {
		where, err = time.Local, nil
	}
	if err != nil {
		return Windows{}, fmt.Errorf(`allowed is a time zone such as "Europe/Berlin", not %q`, zone)
	}
	all := Windows{zone: where}
	for _, text := range texts {
		w, ok := parseWindow(strings.ToLower(strings.TrimSpace(text)))
		if !ok {
			return Windows{}, fmt.Errorf("%s, not %q", windowAllowed, text)
		}
		all.windows = append(all.windows, w)
	}
	if _, ends := all.end(time.Date(2024, 1, 1, 0, 0, 0, 0, where)); !ends {
		return Windows{}, fmt.Errorf("%s, and not hours that never end", windowAllowed)
	}
	return all, nil
}

func parseWindow(text string) (w window, ok bool) {
	days, hours, found := strings.Cut(text, " ")
	if !found {
		days, hours = "sun-sat", text
	}
	first, last, isRange := strings.Cut(days, "-")
	if !isRange {
		last = first
	}
	from, to := slices.Index(dayNames, first), slices.Index(dayNames, last)
	begin, end, parted := strings.Cut(strings.TrimSpace(hours), "-")
	var fine, fineToo bool
	w.from, fine = minutes(begin)
	w.to, fineToo = minutes(end)
	if from < 0 || to < 0 || !parted || !fine || !fineToo || w.from == w.to || w.from == 24*60 {
		return w, false
	}
	for day := from; ; day = (day + 1) % 7 {
		w.days[day] = true
		if day == to {
			return w, true
		}
	}
}

// minutes reads HH:MM, up to 24:00.
func minutes(text string) (int, bool) {
	if text == "24:00" {
		return 24 * 60, true
	}
	at, err := time.Parse("15:04", text)
	return at.Hour()*60 + at.Minute(), err == nil && len(text) == len("15:04")
}

// end gives the first moment at or after t that no window covers. It is false
// when there is none within a fortnight.
func (q Windows) end(t time.Time) (time.Time, bool) {
	limit := t.AddDate(0, 0, 14)
	for t.Before(limit) {
		next := t
		for _, w := range q.windows {
			if end, inside := w.end(next.In(q.zone)); inside {
				next = end
			}
		}
		if next.Equal(t) {
			return t, true
		}
		t = next
	}
	return t, false
}

// end gives the window's end if t lies in it. Days have the length that the
// clocks of their zone give them.
func (w window) end(t time.Time) (time.Time, bool) {
	for _, back := range []int{0, -1} {
		day := t.AddDate(0, 0, back)
		at := func(days, minute int) time.Time {
			return time.Date(day.Year(), day.Month(), day.Day()+days, 0, minute, 0, 0, t.Location())
		}
		begin, end := at(0, w.from), at(0, w.to)
		if w.to <= w.from {
			end = at(1, w.to)
		}
		if w.days[day.Weekday()] && !t.Before(begin) && t.Before(end) {
			return end, true
		}
	}
	return t, false
}
