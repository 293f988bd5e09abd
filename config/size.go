package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes. As text it takes SI units (kB, MB, GB, TB: powers
// of 1000) and binary ones (KiB, MiB, GiB, TiB: powers of 1024).
type Size int64

const (
	gigabyte Size = 1e9
	mebibyte Size = 1 << 20
)

// sizeUnits stand largest first, the order in which String tries them.
var sizeUnits = []struct {
	name  string
	bytes Size
}{
	{"TiB", 1 << 40}, {"TB", 1e12}, {"GiB", 1 << 30}, {"GB", 1e9},
	{"MiB", 1 << 20}, {"MB", 1e6}, {"KiB", 1 << 10}, {"kB", 1e3},
}

// String is exact: parsing it gives the same size.
func (s Size) String() string {
	for _, unit := range sizeUnits {
		if s >= unit.bytes && s%unit.bytes == 0 {
			return strconv.FormatInt(int64(s/unit.bytes), 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

func parseSize(text string) (Size, error) {
	digits := strings.TrimRight(text, "BKMGTikmgtb ")
	name := strings.TrimSpace(text[len(digits):])
	unit := Size(1)
	if name != "" && !strings.EqualFold(name, "B") {
		unit = 0
		for _, candidate := range sizeUnits {
			if strings.EqualFold(candidate.name, name) {
				unit = candidate.bytes
			}
		}
	}
	number, err := strconv.ParseFloat(digits, 64)
	if err != nil || unit == 0 || !(number >= 0) {
		return 0, errors.New(`a size such as "20GB", "512MiB" or a number of bytes`)
	}
	if number*float64(unit) >= math.MaxInt64 {
		return 0, errors.New("a size below 8EiB")
	}
	if whole, err := strconv.ParseInt(digits, 10, 64); err == nil {
		return Size(whole) * unit, nil // exact above 2^53, where float64 is not
	}
	return Size(number * float64(unit)), nil
}

const day = 24 * time.Hour

// parseDuration is time.ParseDuration with days ("90d", "1d12h") and without
// negative values.
func parseDuration(text string) (time.Duration, error) {
	allowed := errors.New(`a duration with its unit, such as "20s", "15m", "36h" or "90d"`)
	days, rest, found := strings.Cut(text, "d")
	if !found {
		days, rest = "", text
	}
	var sum time.Duration
	if found {
		count, err := strconv.ParseFloat(days, 64)
		if err != nil || !(count >= 0) {
			return 0, allowed
		}
		if count > float64(math.MaxInt64/day) {
			return 0, fmt.Errorf("a duration of at most %d days", math.MaxInt64/day)
		}
		sum = time.Duration(count * float64(day))
	}
	if rest != "" {
		part, err := time.ParseDuration(rest)
		if err != nil || part < 0 || sum+part < 0 {
			return 0, allowed
		}
		sum += part
	} else if !found {
		return 0, allowed
	}
	return sum, nil
}

// formatDuration is exact and short: "90d", "15m", "1h30m".
func formatDuration(d time.Duration) string {
	if d >= day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
