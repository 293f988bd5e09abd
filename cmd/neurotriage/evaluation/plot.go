package evaluation

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// The picture's measures.
const (
	plotWidth  = 12 * vg.Inch
	plotHeight = 6 * vg.Inch
	plotDPI    = 110
)

var (
	blue = color.RGBA{R: 31, G: 84, B: 150, A: 255}
	rust = color.RGBA{R: 196, G: 78, B: 52, A: 255}
	dark = color.RGBA{R: 40, G: 40, B: 40, A: 255}
	weak = color.RGBA{R: 150, G: 150, B: 150, A: 255}
)

// Plot writes the confusion matrix and the reliability diagram side by side as
// one PNG.
func Plot(w io.Writer, report Report) error {
	matrix := confusionPlot(report)
	diagram, err := reliabilityPlot(report)
	if err != nil {
		return fmt.Errorf("draw the reliability diagram: %w", err)
	}
	canvas := vgimg.NewWith(vgimg.UseWH(plotWidth, plotHeight), vgimg.UseDPI(plotDPI))
	whole := draw.New(canvas)
	const pad = 14
	foot := whole.Max.Y - whole.Min.Y - 30
	left := draw.Crop(whole, pad, -plotWidth/2-pad/2, 30, -pad)
	right := draw.Crop(whole, plotWidth/2+pad/2, -pad, 30, -pad)
	matrix.Draw(left)
	diagram.Draw(right)
	writeFoot(draw.Crop(whole, pad, -pad, pad/2, -foot), report)
	if _, err := (vgimg.PngCanvas{Canvas: canvas}).WriteTo(w); err != nil {
		return fmt.Errorf("write the plot: %w", err)
	}
	return nil
}

// writeFoot names the model, so that a picture that travels alone can be traced.
func writeFoot(area draw.Canvas, report Report) {
	model := report.Model
	digest := model.Digest
	if len(digest) > 19 {
		digest = digest[:19]
	}
	review := report.Review
	line := fmt.Sprintf("%s %s  %s     review flag at %.3f: recall %.3f, flags %.1f %% of the slices     research use only, not for diagnosis",
		model.Name, model.Version, digest, review.Threshold, review.Recall, 100*review.FlaggedShare)
	style := textStyle(10, weak, text.XLeft)
	area.FillText(style, vg.Point{X: area.Min.X, Y: area.Min.Y + 4}, line)
}

func textStyle(size vg.Length, colour color.Color, align text.XAlignment) text.Style {
	return text.Style{
		Color: colour, Font: sans(size), XAlign: align, YAlign: text.YCenter, Handler: plot.DefaultTextHandler,
	}
}

func sans(size vg.Length) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
}

func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.TextStyle.Font = sans(14)
	p.Title.Padding = 10
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font = sans(12)
		axis.Label.Padding = 6
		axis.Tick.Label.Font = sans(11)
		axis.Color = dark
	}
	return p
}

func confusionPlot(report Report) *plot.Plot {
	title := fmt.Sprintf("Confusion: accuracy %.3f, macro recall %.3f (n = %d)", report.Accuracy, report.Macro.Recall, report.Scored())
	p := newPlot(title, "answer", "folder")
	p.Add(matrixPlotter{report})
	n := len(report.Labels)
	var answers, folders []plot.Tick
	for i, label := range report.Labels {
		answers = append(answers, plot.Tick{Value: float64(i), Label: label})
		folders = append(folders, plot.Tick{Value: float64(n - 1 - i), Label: label})
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.ConstantTicks(answers), plot.ConstantTicks(folders)
	p.X.Tick.Length, p.Y.Tick.Length = 0, 0
	p.X.Width, p.Y.Width = 0, 0
	p.Y.Tick.Label.Rotation = math.Pi / 2
	p.Y.Tick.Label.XAlign = text.XCenter
	p.Y.Tick.Label.YAlign = text.YBottom
	p.X.Padding, p.Y.Padding = 4, 4
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = -0.5, float64(n)-0.5, -0.5, float64(n)-0.5
	return p
}

// matrixPlotter draws the confusion matrix, the first label on top; a cell is
// as dark as its share of its row.
type matrixPlotter struct{ Report }

// Plot implements plot.Plotter.
func (m matrixPlotter) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	n := len(m.Labels)
	for row, counts := range m.Confusion {
		for column, count := range counts {
			share := ratio(count, m.Classes[row].Support)
			middle := float64(n - 1 - row)
			box := []vg.Point{
				{X: x(float64(column) - 0.49), Y: y(middle - 0.49)}, {X: x(float64(column) + 0.49), Y: y(middle - 0.49)},
				{X: x(float64(column) + 0.49), Y: y(middle + 0.49)}, {X: x(float64(column) - 0.49), Y: y(middle + 0.49)},
			}
			c.FillPolygon(shade(share), box)
			ink := color.Color(dark)
			if share > 0.5 {
				ink = color.White
			}
			at := vg.Point{X: x(float64(column)), Y: y(middle)}
			c.FillText(textStyle(18, ink, text.XCenter), vg.Point{X: at.X, Y: at.Y + 9}, strconv.Itoa(count))
			c.FillText(textStyle(11, ink, text.XCenter), vg.Point{X: at.X, Y: at.Y - 11}, fmt.Sprintf("%.1f %%", 100*share))
		}
	}
}

// shade mixes from almost white to blue.
func shade(share float64) color.Color {
	mix := func(full uint8) uint8 { return uint8(math.Round(244*(1-share) + float64(full)*share)) }
	return color.RGBA{R: mix(blue.R), G: mix(blue.G), B: mix(blue.B), A: 255}
}

func reliabilityPlot(report Report) (*plot.Plot, error) {
	p := newPlot(fmt.Sprintf("Reliability: ECE %.3f (%d bins)", report.ECE, Bins), "confidence", "accuracy")
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 1
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{Y: 232}, color.Gray{Y: 232}
	diagonal, err := plotter.NewLine(plotter.XYs{{X: 0, Y: 0}, {X: 1, Y: 1}})
	if err != nil {
		return nil, err
	}
	diagonal.Color = weak
	diagonal.Dashes = []vg.Length{vg.Points(5), vg.Points(4)}
	p.Add(grid, binPlotter(report.Reliability), diagonal)
	ticks := plot.ConstantTicks{}
	for _, value := range []float64{0, 0.2, 0.4, 0.6, 0.8, 1} {
		ticks = append(ticks, plot.Tick{Value: value, Label: strconv.FormatFloat(value, 'f', 1, 64)})
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = ticks, ticks
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.XOffs, p.Legend.YOffs = 12, -10
	p.Legend.Padding = 3
	p.Legend.TextStyle.Font = sans(10)
	p.Legend.Add("accuracy of the bin, with its files", swatch{blue})
	p.Legend.Add("mean confidence of the bin", swatch{rust})
	p.Legend.Add("confidence = accuracy", diagonal)
	return p, nil
}

// swatch is a legend's filled box.
type swatch struct{ color.Color }

// Thumbnail implements plot.Thumbnailer.
func (s swatch) Thumbnail(c *draw.Canvas) {
	c.FillPolygon(s.Color, []vg.Point{
		{X: c.Min.X, Y: c.Min.Y + 2}, {X: c.Max.X, Y: c.Min.Y + 2}, {X: c.Max.X, Y: c.Max.Y - 2}, {X: c.Min.X, Y: c.Max.Y - 2},
	})
}

// binPlotter draws each bin as a bar of its accuracy, a mark at its mean
// confidence, and its count.
type binPlotter []Bin

// Plot implements plot.Plotter.
func (bins binPlotter) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, bin := range bins {
		left, right := x(bin.Low)+1, x(bin.High)-1
		c.FillPolygon(blue, []vg.Point{{X: left, Y: y(0)}, {X: right, Y: y(0)}, {X: right, Y: y(bin.Accuracy)}, {X: left, Y: y(bin.Accuracy)}})
		mark := y(bin.Confidence)
		c.FillPolygon(rust, []vg.Point{{X: left, Y: mark - 1.5}, {X: right, Y: mark - 1.5}, {X: right, Y: mark + 1.5}, {X: left, Y: mark + 1.5}})
		count := textStyle(9, dark, text.XCenter)
		above := vg.Point{X: (left + right) / 2, Y: max(y(bin.Accuracy), mark) + 8}
		if above.Y > y(1) {
			count.Color = color.White
			above.Y = y(1) - 9
		}
		c.FillText(count, above, strconv.Itoa(bin.Count))
	}
}
