package strict

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// key reads a dotted key. The list is used again for the next key.
func (s *scanner) key() []string {
	start := s.pos
	s.keys = s.keys[:0]
	for {
		s.skip(" \t")
		switch {
		case s.has(`"""`) || s.has("'''"):
			s.doubt(s.pos, "")
			fallthrough
		case s.has(`"`) || s.has("'"):
			said, _ := s.text()
			s.keys = append(s.keys, said)
		default:
			n := until(s.src[s.pos:], " \t\r\n.=[]{},#\"'")
			key := s.src[s.pos : s.pos+n]
			if !bare(key) {
				s.doubt(s.pos, "write KEY = VALUE, and a key of other characters than letters, digits, _ and - in quotes")
			}
			s.keys = append(s.keys, key)
			s.pos += n
		}
		s.skip(" \t")
		if len(s.keys) > maxDepth {
			s.tooDeep(start)
			return s.keys
		}
		if !s.has(".") {
			return s.keys
		}
		s.pos++
	}
}

// text reads a string of any of the four kinds. It returns what it says when it has
// one line, as a key has, and whether a NUL character is written in it.
func (s *scanner) text() (said string, hasNUL bool) {
	start, quote := s.pos, s.src[s.pos:s.pos+1]
	isLong := s.has(quote + quote + quote)
	if isLong {
		quote = s.src[s.pos : s.pos+3]
	}
	s.pos += len(quote)
	for s.more() && (s.src[s.pos] != quote[0] || !s.has(quote)) {
		switch c := s.src[s.pos]; {
		case c == '\\' && quote[0] == '"':
			hasNUL = s.escape(isLong) || hasNUL
			continue
		case c == '\n' && !isLong:
			s.doubt(start, "the closing quote is missing")
			return s.src[start:s.pos], hasNUL
		case isLong && (c == '\n' || s.has("\r\n")):
		case isControl(c):
			s.doubt(s.pos, "")
		}
		s.pos++
	}
	if !s.more() {
		s.doubt(start, "the closing quotes are missing")
	}
	s.pos = min(s.pos+len(quote), len(s.src))
	if isLong {
		for range 2 { // up to two quotes may end the text itself
			if s.has(quote[:1]) {
				s.pos++
			}
		}
		return "", hasNUL
	}
	raw := s.src[start:s.pos]
	if quote == "'" {
		return strings.Trim(raw, "'"), hasNUL
	}
	if said, err := strconv.Unquote(raw); err == nil {
		return said, hasNUL
	}
	return raw, hasNUL
}

// escape reads what begins with a backslash, and reports whether it is a NUL character.
func (s *scanner) escape(isLong bool) (isNUL bool) {
	s.pos++
	if !s.more() {
		return false
	}
	c := s.src[s.pos]
	s.pos++
	switch {
	case strings.IndexByte(`btnfr"\`, c) >= 0:
	case c == 'e' || c == 'x':
		s.refuse(s.pos-2, "the escape \\"+string(c)+" is TOML 1.1, which Nix does not read", `write \u and four digits`)
	case c == 'u' || c == 'U':
		digits := s.src[s.pos:min(s.pos+map[byte]int{'u': 4, 'U': 8}[c], len(s.src))]
		n, err := strconv.ParseUint(digits, 16, 32)
		if err != nil || !utf8.ValidRune(rune(n)) || n > utf8.MaxRune {
			s.doubt(s.pos-2, "")
			return false
		}
		s.pos += len(digits)
		return n == 0
	case isLong && strings.IndexByte(" \t\r\n", c) >= 0: // a line that goes on below
		s.pos--
		s.skip(" \t")
		if !s.has("\n") && !s.has("\r\n") {
			s.doubt(s.pos, "")
		}
	default:
		s.doubt(s.pos-2, `write \\ for a backslash, or '…' around the text`)
		s.pos-- // it may end the text
	}
	return false
}

var (
	decimal = regexp.MustCompile(`^[+-]?(0|[1-9](_?[0-9])*)(\.[0-9](_?[0-9])*)?([eE][+-]?[0-9](_?[0-9])*)?$`)
	based   = regexp.MustCompile(`^0(x[0-9A-Fa-f](_?[0-9A-Fa-f])*|o[0-7](_?[0-7])*|b[01](_?[01])*)$`)
	dated   = regexp.MustCompile(`^([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{2}:[0-9]{2})([T t:].*)?$`)
)

// scalar reads what is neither a string nor in brackets. A value that is refused here
// is patched, so that the library tells what else is wrong.
func (s *scanner) scalar() {
	start := s.pos
	token := strings.TrimRight(s.src[start:start+until(s.src[start:], ",]}#\n")], " \t\r")
	s.pos += len(token)
	switch {
	case token == "true" || token == "false" || isShort(token):
	case decimal.MatchString(token) || based.MatchString(token):
		if !fits(token) {
			s.say(ruleNumber, "", token+" does not fit 64 bits")
			s.patch(start, token)
		}
	case dated.MatchString(token):
		s.say(ruleDate, "write it as a string", "dates and times are not supported")
		s.patch(start, token)
	case strings.TrimLeft(token, "+-") == "inf" || strings.TrimLeft(token, "+-") == "nan":
		if len(token) > len("+inf") {
			s.doubt(start, "")
		}
		s.say(ruleNumber, "", "inf and nan are not supported")
	default:
		s.doubt(start, meant(token))
	}
}

// meant is a hint at what somebody wanted to write.
func meant(token string) string {
	switch strings.ToLower(token) {
	case "":
		return "write a value after ="
	case "true", "yes", "on":
		return "write true"
	case "false", "no", "off":
		return "write false"
	}
	if strings.ContainsAny(token, " \t=\"'") {
		return "a text is in quotes, and alone in its line"
	}
	return fmt.Sprintf("write %q: a text is in quotes", token)
}

// isShort reports whether a token is a decimal number of few digits, as most are.
func isShort(token string) bool {
	return token != "" && len(token) < 18 && (token[0] != '0' || len(token) == 1) && strings.Trim(token, "0123456789") == ""
}

// fits reports whether a number is one of 64 bits.
func fits(token string) bool {
	token = strings.ReplaceAll(token, "_", "")
	if _, err := strconv.ParseInt(token, 0, 64); err == nil {
		return true
	}
	f, err := strconv.ParseFloat(token, 64)
	return err == nil && !math.IsInf(f, 0) && !based.MatchString(token) && strings.ContainsAny(token, ".eE")
}

// lineEnd reads what may be after a header or a pair: nothing but a comment.
func (s *scanner) lineEnd() {
	s.skip(" \t")
	if s.more() && !s.has("#") && !s.has("\n") && !s.has("\r\n") {
		s.doubt(s.pos, "begin a new line here")
		s.pos += until(s.src[s.pos:], "\n")
	}
}

// space skips white space, line ends and comments.
func (s *scanner) space() {
	for {
		s.skip(" \t\n")
		switch {
		case s.has("\r\n"):
			s.pos += 2
		case s.has("#"):
			s.comment()
		default:
			return
		}
	}
}

func (s *scanner) comment() {
	end := s.pos + until(s.src[s.pos:], "\n")
	for i, c := range []byte(strings.TrimSuffix(s.src[s.pos:end], "\r")) {
		if isControl(c) {
			s.doubt(s.pos+i, "")
		}
	}
	s.pos = end
}

// isControl reports whether a character may not be written out in TOML. A tab may.
func isControl(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }

func (s *scanner) skip(set string) {
	for s.more() && strings.IndexByte(set, s.src[s.pos]) >= 0 {
		s.pos++
	}
}

// progress makes sure that a text that is not TOML cannot stop the scan.
func (s *scanner) progress(start int) {
	if s.pos == start {
		s.pos++
	}
}

func (s *scanner) has(text string) bool { return strings.HasPrefix(s.src[s.pos:], text) }

func (s *scanner) more() bool { return s.pos < len(s.src) }

func until(s, set string) int {
	if i := strings.IndexAny(s, set); i >= 0 {
		return i
	}
	return len(s)
}
