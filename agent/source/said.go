package source

import (
	"encoding/json"
	"html"
	"mime"
	"regexp"
	"strings"
)

// said returns what a server says to people in the body of a refusal; "": nothing that can
// be found.
func said(contentType, body string) string {
	kind, _, _ := mime.ParseMediaType(contentType)
	switch {
	case kind == "text/plain":
		return body
	case kind == "text/html":
		if found := title.FindStringSubmatch(body); found != nil {
			return html.UnescapeString(found[1])
		}
	case kind == "application/json" || strings.HasSuffix(kind, "+json"):
		var value any
		if json.Unmarshal([]byte(body), &value) == nil {
			return message(value, 0)
		}
	}
	return ""
}

var title = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)

// messageKeys are where forges put a text: Azure DevOps, Gitea and GitLab use the first,
// Bitbucket has it below "error", RFC 9457 calls it detail.
var messageKeys = []string{"message", "detail", "error_description", "error", "errors"}

// message finds the text in an answer.
func message(value any, depth int) string {
	const deepest = 3
	switch v := value.(type) {
	case string:
		return v
	case []any:
		if len(v) > 0 && depth < deepest {
			return message(v[0], depth+1)
		}
	case map[string]any:
		for _, key := range messageKeys {
			if found := v[key]; found != nil && depth < deepest {
				if text := message(found, depth+1); text != "" {
					return text
				}
			}
		}
	}
	return ""
}
