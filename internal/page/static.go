package page

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// StaticPath is where pages find their stylesheets, script and icons, on every host of ours.
const StaticPath = "/.orgate/static/"

//go:embed static
var static embed.FS

var assets = hashed(static)

// contentTypes are written out because the ones of package mime depend on the machine.
var contentTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

// An assetFile is one file of static, or the stylesheet of a colour. Its public name has the hash of its content, so
// that a browser may keep it for ever and still sees the next release.
type assetFile struct {
	public, contentType string
	content             []byte
}

// hashed reads the files of fs, by their name in it.
func hashed(fs embed.FS) map[string]assetFile {
	entries, err := fs.ReadDir("static")
	if err != nil {
		panic(err) // it is part of the program
	}
	files := map[string]assetFile{}
	for _, e := range entries {
		content, err := fs.ReadFile("static/" + e.Name())
		if err != nil {
			panic(err)
		}
		files[e.Name()] = hashedFile(e.Name(), content)
	}
	return files
}

func hashedFile(name string, content []byte) assetFile {
	sum := sha256.Sum256(content)
	ext := path.Ext(name)
	return assetFile{
		public:      strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:8]) + ext,
		contentType: contentTypes[ext],
		content:     content,
	}
}

// asset returns the path of a file of static, for templates.
func asset(name string) (string, error) {
	f, ok := assets[name]
	if !ok {
		return "", fmt.Errorf("no asset %q", name)
	}
	return StaticPath + f.public, nil
}

// Static serves the stylesheets, the script and the icons under their content-hashed names, wherever it
// is mounted: what counts is the last element of the path. Pages link to [StaticPath].
// Any other name is not found, an old hash too: it never answers with content that the
// name does not stand for.
func Static() http.Handler {
	public := make(map[string]assetFile, len(assets))
	for _, f := range assets {
		public[f.public] = f
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		// Opened by itself, a picture is a document too.
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			h.Set("Cache-Control", "no-store")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		name := path.Base(r.URL.Path)
		f, ok := public[name]
		if !ok {
			f, ok = brandAsset(name)
		}
		if !ok {
			h.Set("Cache-Control", "no-store")
			http.Error(w, "not found", http.StatusNotFound)
			return
		}
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("Content-Type", f.contentType)
		h.Set("Content-Length", strconv.Itoa(len(f.content)))
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		w.Write(f.content) //nolint:errcheck // the client is gone, and there is nobody to tell
	})
}
