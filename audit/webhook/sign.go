package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/orgate/orgate/audit/hook"
)

// sign puts the headers on h that prove who sent body, and when: those of the API that orgate
// speaks, signed with the newest secret, as that header has room for one; and those of Standard
// Webhooks, signed with every secret that is valid. id is the event's, and so the same in every try.
func sign(h http.Header, secrets []string, id string, body []byte, now time.Time) {
	ms := strconv.FormatInt(now.UnixMilli(), 10)
	h.Set("WorkOS-Signature", "t="+ms+", v1="+hex.EncodeToString(mac([]byte(secrets[0]), ms+".", body)))

	seconds := strconv.FormatInt(now.Unix(), 10)
	var signatures []string
	for _, s := range secrets {
		if key, err := hook.SecretKey(s); err == nil {
			signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac(key, id+"."+seconds+".", body)))
		}
	}
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", seconds)
	h.Set("Webhook-Signature", strings.Join(signatures, " "))
}

func mac(key []byte, head string, body []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(head))
	m.Write(body)
	return m.Sum(nil)
}
