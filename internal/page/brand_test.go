package page

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// property finds the values of a custom property in a stylesheet: the first is that of
// light pages, the second that of dark ones.
func property(t *testing.T, css, name string) [2]string {
	t.Helper()
	m := regexp.MustCompile(`--`+name+`: ([^;]+);`).FindAllStringSubmatch(css, -1)
	if len(m) != 2 {
		t.Fatalf("%s is there %d times", name, len(m))
	}
	return [2]string{m[0][1], m[1][1]}
}

func colour(t *testing.T, s string) Colour {
	t.Helper()
	if len(s) == 4 { // #fff
		s = "#" + strings.Repeat(s[1:2], 2) + strings.Repeat(s[2:3], 2) + strings.Repeat(s[3:], 2)
	}
	c, err := ParseColour(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestWhateverColourAnOrganizationHasItsPagesCanBeRead goes through the colours in steps
// that leave none far from one that is tested.
func TestWhateverColourAnOrganizationHasItsPagesCanBeRead(t *testing.T) {
	own := string(assets["orgate.css"].content)
	var grounds [2][3]Colour
	for i, name := range []string{"ground", "card", "raised"} {
		for s, v := range property(t, own, name) {
			grounds[s][i] = colour(t, v)
		}
	}
	if grounds[0] != light().grounds || grounds[1] != dark().grounds {
		t.Fatalf("the grounds of orgate.css are %v", grounds)
	}
	check := func(of, css string) {
		value := func(scheme int, name string) Colour { return colour(t, property(t, css, name)[scheme]) }
		for s := range 2 {
			need := func(a, b string, x, y Colour, ratio float64) {
				if got := contrast(x, y); got < ratio {
					t.Errorf("%s, scheme %d: %s %v on %s %v has a contrast of %.2f", of, s, a, x, b, y, got)
				}
			}
			brand, over, on, accent, calm := value(s, "brand"), value(s, "brand-over"), value(s, "on-brand"), value(s, "accent"), value(s, "calm")
			need("text", "a button", on, brand, 4.5)
			need("text", "a hovered button", on, over, 4.5)
			for _, g := range grounds[s] {
				need("a link", "the page", accent, g, 4.5)
			}
			need("a link", "a badge", accent, calm, 4.5)
			text := colour(t, property(t, own, "text")[s])
			need("text", "a notice", text, calm, 4.5)
			if s == 1 {
				need("a button", "the card", brand, grounds[s][1], 3)
			}
		}
	}
	check("our own", own)
	for r := 0; r <= 255; r += 17 {
		for g := 0; g <= 255; g += 17 {
			for b := 0; b <= 255; b += 17 {
				c := Colour{uint8(r), uint8(g), uint8(b)}
				check(c.String(), c.stylesheet())
			}
		}
	}
}

func TestAColourKeepsItsHueOnTheWayToBeingSeen(t *testing.T) {
	for _, s := range []string{"#000000", "#ffffff", "#808080", "#ff0000", "#00ff00", "#0000ff", "#ffd21f", "#0b1a3c", "#123456", "#fedcba", "#3450c4"} {
		c := colour(t, s)
		if back := fromHSL(c.hsl()); back != c {
			t.Errorf("%v comes back as %v", c, back)
		}
	}
	navy, grounds := colour(t, "#0b1a3c"), dark().grounds
	if got := navy.until(white(), readable, grounds[:]...); got.b < got.r+40 {
		t.Errorf("navy becomes %v, which is grey", got)
	}
}

func TestAStylesheetOfAColourIsServedUnderItsOwnNameOnly(t *testing.T) {
	path := brandSheet("#FFD21F")
	if path != brandSheet("#ffd21f") || !regexp.MustCompile(`^/\.orgate/static/brand-ffd21f\.[0-9a-f]{16}\.css$`).MatchString(path) {
		t.Fatalf("the path is %q", path)
	}
	get := func(path string) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		Static().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
		return rec
	}
	rec := get(path)
	if h := rec.Header(); rec.Code != 200 || h.Get("Content-Type") != "text/css; charset=utf-8" || !strings.Contains(h.Get("Cache-Control"), "immutable") || !strings.Contains(rec.Body.String(), "--brand: #ffd21f;") {
		t.Errorf("%d %v %s", rec.Code, h, rec.Body)
	}
	hash := path[len(path)-20 : len(path)-4]
	for _, name := range []string{
		"brand-ffd21f.css", "brand-ffd21f.0000000000000000.css", "brand-ffd21e." + hash + ".css", "brand-FFD21F." + hash + ".css",
		"brand-ffd21f." + hash + ".css.css", "brand-fd1." + hash + ".css", "brand-ffd21f;}." + hash + ".css", "brand-." + hash + ".css",
	} {
		if rec := get(StaticPath + name); rec.Code != 404 {
			t.Errorf("%s: %d", name, rec.Code)
		}
	}
}

func TestWhatIsNoColourIsNone(t *testing.T) {
	for _, s := range []string{"", "red", "#fff", "#12345", "#1234567", "123456", "#12345g", "#123456;", " #123456", "#123456\n", "#１２３４５６", "url(x)"} {
		if c, err := ParseColour(s); err == nil {
			t.Errorf("%q is %v", s, c)
		}
		if got := brandSheet(s); got != "" {
			t.Errorf("%q has the stylesheet %q", s, got)
		}
	}
}

func TestALogoIsAPictureAndNothingElse(t *testing.T) {
	img := image.NewNRGBA(image.Rect(0, 0, 40, 20))
	img.SetNRGBA(3, 4, color.NRGBA{R: 200, A: 255})
	var asPNG, asJPEG, asGIF, large bytes.Buffer
	for _, err := range []error{
		png.Encode(&asPNG, img), jpeg.Encode(&asJPEG, img, nil), gif.Encode(&asGIF, img, nil),
		png.Encode(&large, image.NewGray(image.Rect(0, 0, maxLogoSide+1, 1))),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	const script = "<script>alert(1)</script>"
	for name, tt := range map[string]struct {
		file []byte
		want string
	}{
		"PNG":                            {asPNG.Bytes(), "data:image/png;base64,"},
		"JPEG":                           {asJPEG.Bytes(), "data:image/jpeg;base64,"},
		"PNG with something behind it":   {append(bytes.Clone(asPNG.Bytes()), script...), "data:image/png;base64,"},
		"PNG that ends early":            {asPNG.Bytes()[:asPNG.Len()-20], ""},
		"PNG of one pixel too many":      {large.Bytes(), ""},
		"GIF":                            {asGIF.Bytes(), ""},
		"SVG":                            {[]byte(`<svg xmlns="http://www.w3.org/2000/svg">` + script + `</svg>`), ""},
		"nothing":                        {nil, ""},
		"a file that is too large":       {append(bytes.Clone(asPNG.Bytes()), make([]byte, maxLogoFile)...), ""},
		"a PNG that claims to be a moon": {append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\x06\x00\x00\x00"), 0, 0, 0, 0), ""},
	} {
		got, err := ParseLogo(tt.file)
		if (err == nil) != (tt.want != "") || !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %.60q, %v", name, got, err)
		}
		if err != nil {
			continue
		}
		if string(logo(got)) != got {
			t.Errorf("%s: the page does not take it", name)
		}
		_, packed, _ := strings.Cut(got, ",")
		if file, err := base64.StdEncoding.DecodeString(packed); err != nil || bytes.Contains(file, []byte(script)) {
			t.Errorf("%s: what was behind the picture is still there: %v", name, err)
		}
	}
	for _, bad := range []string{
		"https://acme.example/logo.png", "/logo.png", "data:image/svg+xml;base64,PHN2Zz4=", "data:text/html;base64,PHN2Zz4=", `data:image/png;base64,AA"><script>`,
		"data:image/png,x", "data:image/png;base64,", "javascript:alert(1)", "data:image/png;base64," + strings.Repeat("A", maxLogo),
	} {
		if got := logo(bad); got != "" {
			t.Errorf("%.60q is shown as %.60q", bad, got)
		}
	}
}

func FuzzALogoIsAPicture(f *testing.F) {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 3, 3))); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte("<svg/>"))
	f.Fuzz(func(t *testing.T, file []byte) {
		got, err := ParseLogo(file)
		if err == nil && string(logo(got)) != got {
			t.Errorf("%.60q", got)
		}
	})
}
