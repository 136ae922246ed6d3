package page

import (
	"fmt"
	"math"
)

// A scheme is what a page is seen in: the grounds that text is on, as in orgate.css (a test
// compares), of which the second is the card, and where to go from them to be seen.
type scheme struct {
	grounds [3]Colour
	away    Colour
}

func light() scheme {
	return scheme{[3]Colour{{0xf4, 0xf5, 0xf7}, {0xff, 0xff, 0xff}, {0xf7, 0xf8, 0xfa}}, black()}
}

func dark() scheme {
	return scheme{[3]Colour{{0x0d, 0x0f, 0x14}, {0x16, 0x19, 0x20}, {0x1d, 0x21, 0x2a}}, white()}
}

func white() Colour { return Colour{255, 255, 255} }
func black() Colour { return Colour{} }

// What WCAG 2.2 asks for: of text against its ground, and of what shows the edge of a
// control or the focus.
const (
	readable = 4.5
	visible  = 3
)

// stylesheet returns what a page of this colour has instead of our own: for light and for
// dark the colour of buttons, with the text on it, and one of links, that can be read.
func (c Colour) stylesheet() string {
	return fmt.Sprintf(":root {%s}\n@media (prefers-color-scheme: dark) { :root {%s} }\n", c.properties(light()), c.properties(dark()))
}

// properties are those for one scheme.
func (c Colour) properties(s scheme) string {
	card, brand, tint := s.grounds[1], c, .1
	if s == dark() {
		// A dark button on a dark page is no button; a bright one on white is told by its text.
		brand, tint = c.until(s.away, visible, s.grounds[:]...), .2
	}
	// A hovered button goes away from its text, so that that stays readable.
	on, from := brand.textOn()
	edge := "transparent"
	if contrast(brand, card) < 1.25 {
		edge = "var(--edge)"
	}
	calm := card.mix(brand, tint)
	accent := c.until(s.away, readable, append(s.grounds[:], calm)...)
	return fmt.Sprintf(" --brand: %v; --brand-over: %v; --on-brand: %v; --brand-edge: %s; --accent: %v; --calm: %v; ", brand, brand.mix(from, .12), on, edge, accent, calm)
}

// textOn is white where it can be read, and black elsewhere: one of them can, on any
// colour. other is the other one.
func (c Colour) textOn() (on, other Colour) {
	if contrast(white(), c) >= readable {
		return white(), black()
	}
	return black(), white()
}

// until goes from c towards white or black as far as it takes to have a contrast to all of
// the grounds. It stays the same hue on the way, where mixing would make it grey.
func (c Colour) until(to Colour, ratio float64, grounds ...Colour) Colour {
	h, s, l := c.hsl()
	_, _, end := to.hsl()
	for step := range 100 {
		there := fromHSL(h, s, l+(end-l)*float64(step)/100)
		if step == 0 {
			there = c
		}
		enough := true
		for _, g := range grounds {
			enough = enough && contrast(there, g) >= ratio
		}
		if enough {
			return there
		}
	}
	return to
}

// hsl returns hue (0 to 6), saturation and lightness (0 to 1).
func (c Colour) hsl() (h, s, l float64) {
	r, g, b := float64(c.r)/255, float64(c.g)/255, float64(c.b)/255
	high, low := max(r, g, b), min(r, g, b)
	l, spread := (high+low)/2, high-low
	if spread == 0 {
		return 0, 0, l
	}
	switch high {
	case r:
		h = math.Mod((g-b)/spread+6, 6)
	case g:
		h = (b-r)/spread + 2
	default:
		h = (r-g)/spread + 4
	}
	return h, spread / (1 - math.Abs(2*l-1)), l
}

func fromHSL(h, s, l float64) Colour {
	chroma := (1 - math.Abs(2*l-1)) * s
	at := func(offset float64) uint8 {
		// How far the hue is from this primary, in sixths of the wheel.
		d := math.Abs(math.Mod(h+offset+3, 6) - 3)
		v := l - chroma/2 + chroma*min(max(2-d, 0), 1)
		return uint8(math.Round(min(max(v, 0), 1) * 255))
	}
	return Colour{at(0), at(-2), at(-4 + 6)}
}

// mix goes the part t of the way from c to another colour.
func (c Colour) mix(to Colour, t float64) Colour {
	at := func(a, b uint8) uint8 { return uint8(math.Round(float64(a) + (float64(b)-float64(a))*t)) }
	return Colour{at(c.r, to.r), at(c.g, to.g), at(c.b, to.b)}
}

// contrast is the ratio of WCAG 2, from 1 to 21.
func contrast(a, b Colour) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + .05) / (min(x, y) + .05)
}

func (c Colour) luminance() float64 {
	linear := func(v uint8) float64 {
		s := float64(v) / 255
		if s <= .04045 {
			return s / 12.92
		}
		return math.Pow((s+.055)/1.055, 2.4)
	}
	return .2126*linear(c.r) + .7152*linear(c.g) + .0722*linear(c.b)
}
