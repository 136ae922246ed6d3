package page

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"image"
	"image/jpeg"
	"image/png"
	"regexp"
	"strconv"
	"strings"
)

// Brand is whose page it is. The zero Brand is the installation's own. A logo or a colour
// that is none is as good as none: nobody is kept from signing in by a picture.
type Brand struct {
	// Organization is its name; empty on pages that are no organization's.
	Organization string
	// Logo is what [ParseLogo] made of a picture; empty: a tile with the first letter.
	Logo string
	// Colour is #rrggbb, see [ParseColour]; empty: our own. What can be read on it, and how
	// it must be changed to be read itself, is worked out for light and dark pages.
	Colour string
}

const (
	// maxLogoFile is how large the file of a logo may be. It is in every page.
	maxLogoFile = 64 << 10
	// maxLogoSide bounds what is unpacked: a small file can hold a huge picture.
	maxLogoSide = 1024
	// maxLogo is how long the URL of a logo may be. A picture packed by somebody else may
	// be smaller than the same packed here.
	maxLogo = 256 << 10
)

// ParseLogo makes a [Brand]'s Logo of a PNG or JPEG file. The picture is unpacked and packed
// again, so that browsers get nothing but pixels that this program wrote: no metadata, and
// no file that is something else to somebody else. SVG is a document with scripts and
// links in it, and is refused.
func ParseLogo(file []byte) (string, error) {
	if len(file) > maxLogoFile {
		return "", fmt.Errorf("logo has %d KiB; at most %d are taken", (len(file)+1023)>>10, maxLogoFile>>10)
	}
	shape, kind, err := image.DecodeConfig(bytes.NewReader(file))
	if err != nil || kind != "png" && kind != "jpeg" {
		return "", errors.New("logo is neither a PNG nor a JPEG picture")
	}
	if shape.Width > maxLogoSide || shape.Height > maxLogoSide || shape.Width < 1 || shape.Height < 1 {
		return "", fmt.Errorf("logo is %d by %d pixels; at most %d by %d are taken", shape.Width, shape.Height, maxLogoSide, maxLogoSide)
	}
	picture, _, err := image.Decode(bytes.NewReader(file))
	if err != nil {
		return "", fmt.Errorf("logo can't be read: %w", err)
	}
	var out bytes.Buffer
	if kind == "png" {
		err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, picture)
	} else {
		err = jpeg.Encode(&out, picture, &jpeg.Options{Quality: 90})
	}
	if err != nil {
		return "", fmt.Errorf("logo can't be written: %w", err)
	}
	url := "data:image/" + kind + ";base64," + base64.StdEncoding.EncodeToString(out.Bytes())
	if len(url) > maxLogo {
		return "", fmt.Errorf("logo takes %d KiB in each page; at most %d are taken: make the picture smaller", len(url)>>10, maxLogo>>10)
	}
	return url, nil
}

var logoURL = regexp.MustCompile(`^data:image/(?:png|jpeg);base64,[A-Za-z0-9+/]+={0,2}$`)

// logo is the URL of a logo for templates, and empty for what is none: html/template would
// refuse any data URL, so it is told that this one is harmless.
func logo(url string) template.URL {
	if len(url) > maxLogo || !logoURL.MatchString(url) {
		return ""
	}
	return template.URL(url) //nolint:gosec // letters, digits and a fixed type
}

// A Colour is one of sRGB.
type Colour struct{ r, g, b uint8 }

var hexColour = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

// ParseColour reads #rrggbb.
func ParseColour(s string) (Colour, error) {
	if !hexColour.MatchString(s) {
		return Colour{}, fmt.Errorf("not a colour: %q; write it as #3450c4", s)
	}
	n, err := strconv.ParseUint(s[1:], 16, 32)
	return Colour{uint8(n >> 16), uint8(n >> 8), uint8(n)}, err
}

// String returns #rrggbb.
func (c Colour) String() string { return fmt.Sprintf("#%02x%02x%02x", c.r, c.g, c.b) }

// brandSheet returns the path of the stylesheet of a colour, for templates; empty for what
// is no colour. Its name has the hash of its content, as that of any other asset.
func brandSheet(colour string) string {
	c, err := ParseColour(colour)
	if err != nil {
		return ""
	}
	return StaticPath + brandFile(c).public
}

func brandFile(c Colour) assetFile {
	return hashedFile("brand-"+strings.TrimPrefix(c.String(), "#")+".css", []byte(c.stylesheet()))
}

var brandName = regexp.MustCompile(`^brand-([0-9a-f]{6})\.[0-9a-f]{16}\.css$`)

// brandAsset finds the stylesheet of a colour by its public name.
func brandAsset(public string) (assetFile, bool) {
	m := brandName.FindStringSubmatch(public)
	if m == nil {
		return assetFile{}, false
	}
	c, err := ParseColour("#" + m[1])
	if err != nil {
		return assetFile{}, false
	}
	f := brandFile(c)
	return f, f.public == public
}
