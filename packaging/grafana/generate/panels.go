package main

import "fmt"

// The kinds of panels, each as it reads best.

func over(expr, legend string) target {
	return target{RefID: "A", Datasource: source, Expr: expr, LegendFormat: legend, Range: true}
}

func now(expr, legend string) target {
	return target{RefID: "A", Datasource: source, Expr: expr, LegendFormat: legend, Instant: true}
}

func column(ref, expr string) target {
	return target{RefID: ref, Datasource: source, Expr: expr, LegendFormat: "__auto", Instant: true, Format: "table"}
}

// short adds a label with the first eight digits of the revision, as git shows it.
func short(expr string) string {
	return fmt.Sprintf(`label_replace(%s, "short", "$1", "revision", "(.{8}).*")`, expr)
}

// orElse names what has no label of that name: Grafana would call it Value.
func orElse(label, name, expr string) string {
	return fmt.Sprintf(`label_replace(%s, %q, %q, %q, "")`, expr, label, name, label)
}

// thresholds are a colour, and then values from which another one counts.
func thresholds(base string, steps ...any) object {
	all := []object{{"color": base, "value": nil}}
	for i := 0; i+1 < len(steps); i += 2 {
		all = append(all, object{"value": steps[i], "color": steps[i+1]})
	}
	return object{"mode": "absolute", "steps": all}
}

// values names values: value, text, colour, and so on. They count in a fixed colour only; in that of
// thresholds Grafana takes no notice of them.
func values(triples ...string) []object {
	options := object{}
	for i := 0; i+2 < len(triples); i += 3 {
		options[triples[i]] = object{"text": triples[i+1], "color": triples[i+2], "index": i / 3}
	}
	return []object{{"type": "value", "options": options}}
}

var (
	fixed       = object{"mode": "fixed", "fixedColor": "text"}
	byThreshold = object{"mode": "thresholds"}
	zero, one   = new(float64), func() *float64 { v := 1.0; return &v }()
)

// tile shows one value, or with byName what its series is called.
func tile(title, description string, t target, l look, byName bool) panel {
	text := "value"
	if byName {
		text = "name"
	}
	return panel{
		Type: "stat", Title: title, Description: description, Targets: []target{t}, FieldConfig: &fields{l, []override{}},
		Options: object{
			"colorMode": "background", "textMode": text, "graphMode": "none", "justifyMode": "center",
			"reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
		},
	}
}

// count is the look of a number that should be 0.
func count(colour string) look {
	return look{Unit: "short", NoValue: "0", Color: byThreshold, Thresholds: thresholds("green", 1, colour)}
}

// stacked shows how a whole is made up. It has all series at all times: those that come and go leave outlines.
func stacked(title, description string, t target, overrides ...override) panel {
	return graph(title, description, []target{t}, look{Unit: "short", Min: zero, Custom: object{
		"drawStyle": "line", "lineInterpolation": "stepAfter", "fillOpacity": 70, "lineWidth": 1, "showPoints": "never",
		"stacking": object{"mode": "normal", "group": "A"},
	}}, overrides...)
}

// bars shows one bar a series, by its value now.
func bars(title, description string, t target, l look) panel {
	return panel{
		Type: "bargauge", Title: title, Description: description, Targets: []target{t}, FieldConfig: &fields{l, []override{}},
		Options: object{
			"orientation": "horizontal", "displayMode": "lcd", "showUnfilled": true, "text": object{"titleSize": 14, "valueSize": 18},
			"reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
		},
	}
}

func lines(title, description, unit string, targets ...target) panel {
	return graph(title, description, targets, look{Unit: unit, Min: zero, Custom: object{
		"drawStyle": "line", "fillOpacity": 10, "lineWidth": 2, "showPoints": "never", "spanNulls": 300000, "axisSoftMax": 0.1, // else nothing but 0 goes up to 100
	}})
}

func graph(title, description string, targets []target, l look, overrides ...override) panel {
	return panel{
		Type: "timeseries", Title: title, Description: description, Targets: targets,
		FieldConfig: &fields{l, append([]override{}, overrides...)},
		Options: object{
			"legend":  object{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []string{}},
			"tooltip": object{"mode": "multi", "sort": "desc"},
		},
	}
}

// timeline shows one bar a series. A series that ends is drawn to the end of the picture, so it takes full
// sets of 0 and 1, with a 0 that cannot be seen.
func timeline(title, description string, t target, mappings []object) panel {
	return panel{
		Type: "state-timeline", Title: title, Description: description, Targets: []target{t},
		FieldConfig: &fields{look{Unit: "none", Color: fixed, Mappings: mappings, Custom: object{"fillOpacity": 80, "lineWidth": 0, "insertNulls": 300000}}, []override{}},
		Options: object{
			"mergeValues": true, "showValue": "never", "alignValue": "left", "rowHeight": 0.85,
			"legend":  object{"displayMode": "list", "placement": "bottom", "showLegend": false},
			"tooltip": object{"mode": "single", "sort": "none"},
		},
	}
}

// named sets properties of one field: property, value, and so on.
func named(field string, properties ...any) override {
	o := override{Matcher: object{"id": "byName", "options": field}}
	for i := 0; i+1 < len(properties); i += 2 {
		o.Properties = append(o.Properties, object{"id": properties[i], "value": properties[i+1]})
	}
	return o
}

func coloured(field, colour string) override {
	return named(field, "color", object{"mode": "fixed", "fixedColor": colour})
}

func dataSource() variable {
	return variable{Name: "datasource", Label: "Data source", Type: "datasource", Query: "prometheus"}
}

// commitURL is what a revision is appended to, to link to it.
func commitURL() variable {
	const example = "https://git.example.org/fleet/commit/"
	return variable{Name: "commit_url", Label: "Commit URL", Type: "textbox", Query: example, Current: object{"text": example, "value": example}}
}

func choice(name, label, query string, all bool) variable {
	v := variable{
		Name: name, Label: label, Type: "query", Datasource: source, Definition: query, Refresh: 2, Sort: 1,
		Query: object{"query": query, "refId": name},
	}
	if all {
		v.Multi, v.IncludeAll, v.AllValue = true, true, ".*"
		v.Current = object{"text": []string{"All"}, "value": []string{"$__all"}}
	}
	return v
}

// worst is a variable that nobody sees: the instances in the answer to a query. To ask first which nodes are shown, and
// then for those, is a hundred times as fast as to do so at once.
func worst(name, query string) variable {
	v := choice(name, "", `query_result(`+query+`)`, true)
	v.Regex, v.Hide, v.AllValue = `/instance="([^"]+)"/`, 2, ""
	return v
}

// byState makes an override of each state that is told apart by its colour.
func byState(make func(state, colour string) override) []override {
	var all []override
	for _, s := range []struct{ state, colour string }{
		{"stuck", "dark-red"},
		{"rolling_back", "red"},
		{"verifying_rollback", "orange"},
		{"rebooting", "orange"},
		{"held", "yellow"},
		{"confirming", "green"},
		{"promoting", "green"},
		{"building", "blue"},
		{"evaluating", "light-blue"},
		{"verifying", "light-blue"},
		{"arming", "purple"},
		{"activating", "purple"},
	} {
		all = append(all, make(s.state, s.colour))
	}
	return all
}
