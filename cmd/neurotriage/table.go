package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// cell is one field of a table. Colour is laid on after alignment, since its
// codes take no room on the screen.
type cell struct {
	text  string
	paint func(string) string // nil: plain
	right bool                // aligned to the right, as numbers are
}

func plainCell(text string) cell { return cell{text: text} }

func numberCell(text string) cell { return cell{text: text, right: true} }

// table prints rows in columns that are as wide as their widest cell, two
// blanks apart, without trailing blanks. Columns that are empty in every row
// are left out, and a table without rows is nothing.
type table struct {
	head []string
	rows [][]cell
}

func (t *table) add(cells ...cell) { t.rows = append(t.rows, cells) }

func (t *table) write(w io.Writer, paint style) error {
	if len(t.rows) == 0 {
		return nil
	}
	widths := t.widths()
	var out strings.Builder
	line := func(cells []cell) {
		var text strings.Builder
		pending := ""
		for i, c := range cells {
			if widths[i] < 0 {
				continue
			}
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text))
			shown := c.text
			if c.paint != nil {
				shown = c.paint(shown)
			}
			text.WriteString(pending)
			if c.right {
				text.WriteString(pad)
				pad = ""
			}
			text.WriteString(shown)
			pending = pad + "  "
		}
		out.WriteString(strings.TrimRight(text.String(), " ") + "\n")
	}
	if len(t.head) > 0 {
		heads := make([]cell, len(t.head))
		for i, head := range t.head {
			heads[i] = cell{text: head, paint: paint.bold, right: t.rows[0][i].right}
		}
		line(heads)
	}
	for _, row := range t.rows {
		line(row)
	}
	_, err := io.WriteString(w, out.String())
	if err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	return nil
}

// widths gives each column's width in runes, -1 where no row has a text.
func (t *table) widths() []int {
	widths := make([]int, max(len(t.head), len(t.rows[0])))
	for i := range widths {
		widths[i] = -1
	}
	for _, row := range t.rows {
		for i, c := range row {
			if c.text != "" {
				widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
			}
		}
	}
	for i, head := range t.head {
		if widths[i] >= 0 {
			widths[i] = max(widths[i], utf8.RuneCountInString(head))
		}
	}
	return widths
}
