package main

import "strings"

// object is a part of Grafana's model that is written as it is.
type object = map[string]any

// A board is a dashboard as Grafana's schema 39 has it.
type board struct {
	UID           string   `json:"uid"`
	Title         string   `json:"title"`
	Description   string   `json:"description"`
	Tags          []string `json:"tags"`
	SchemaVersion int      `json:"schemaVersion"`
	Editable      bool     `json:"editable"`
	GraphTooltip  int      `json:"graphTooltip"` // 1: one crosshair for all panels
	Refresh       string   `json:"refresh"`
	Time          object   `json:"time"`
	Timezone      string   `json:"timezone"`
	Links         []object `json:"links"`
	Templating    struct {
		List []variable `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []annotation `json:"list"`
	} `json:"annotations"`
	Panels []panel `json:"panels"`

	x, y, rowHeight int // where the next panel goes
}

// A variable is chosen at the top of a board.
type variable struct {
	Name       string `json:"name"`
	Label      string `json:"label"`
	Type       string `json:"type"`
	Datasource any    `json:"datasource,omitempty"`
	Query      any    `json:"query"`
	Definition string `json:"definition,omitempty"`
	Refresh    int    `json:"refresh,omitempty"` // 2: when the time range changes
	Sort       int    `json:"sort,omitempty"`
	Multi      bool   `json:"multi,omitempty"`
	IncludeAll bool   `json:"includeAll,omitempty"`
	AllValue   string `json:"allValue,omitempty"`
	Regex      string `json:"regex,omitempty"` // what of an answer is the value
	Hide       int    `json:"hide,omitempty"`  // 2: it is not shown
	Current    object `json:"current,omitempty"`
}

// An annotation marks moments on every panel.
type annotation struct {
	Name            string `json:"name"`
	Datasource      object `json:"datasource"`
	Enable          bool   `json:"enable"`
	IconColor       string `json:"iconColor"`
	Expr            string `json:"expr"`
	Step            string `json:"step"`
	TitleFormat     string `json:"titleFormat"`
	TextFormat      string `json:"textFormat"`
	UseValueForTime bool   `json:"useValueForTime,omitempty"`
}

// A panel is one picture. Of a row only the title counts.
type panel struct {
	ID              int      `json:"id"`
	Type            string   `json:"type"`
	Title           string   `json:"title"`
	Description     string   `json:"description,omitempty"`
	Datasource      object   `json:"datasource,omitempty"`
	GridPos         gridPos  `json:"gridPos"`
	Targets         []target `json:"targets,omitempty"`
	FieldConfig     *fields  `json:"fieldConfig,omitempty"`
	Options         object   `json:"options,omitempty"`
	Transformations []object `json:"transformations,omitempty"`
}

type gridPos struct {
	X int `json:"x"`
	Y int `json:"y"`
	W int `json:"w"`
	H int `json:"h"`
}

// A target is a question to Prometheus.
type target struct {
	RefID        string `json:"refId"`
	Datasource   object `json:"datasource"`
	Expr         string `json:"expr"`
	LegendFormat string `json:"legendFormat"`
	Instant      bool   `json:"instant"`
	Range        bool   `json:"range"`
	Format       string `json:"format,omitempty"`
}

// fields say how values look.
type fields struct {
	Defaults  look       `json:"defaults"`
	Overrides []override `json:"overrides"`
}

type look struct {
	Unit       string   `json:"unit"`
	Decimals   int      `json:"decimals,omitempty"`
	Min        *float64 `json:"min,omitempty"`
	Max        *float64 `json:"max,omitempty"`
	NoValue    string   `json:"noValue,omitempty"`
	Color      object   `json:"color,omitempty"`
	Thresholds object   `json:"thresholds,omitempty"`
	Mappings   []object `json:"mappings,omitempty"`
	Links      []object `json:"links,omitempty"`
	Custom     object   `json:"custom,omitempty"`
}

type override struct {
	Matcher    object   `json:"matcher"`
	Properties []object `json:"properties"`
}

var source = object{"type": "prometheus", "uid": "${datasource}"}

func newBoard(uid, title, description string, vars []variable, marks []annotation) board {
	b := board{
		UID: uid, Title: title, Description: description, Tags: []string{"infra-agent"},
		SchemaVersion: 39, Editable: true, GraphTooltip: 1, Refresh: "30s", Timezone: "browser",
		Time: object{"from": "now-6h", "to": "now"},
		Links: []object{{
			"type": "dashboards", "title": "infra-agent", "tags": []string{"infra-agent"}, "asDropdown": true, "includeVars": true, "keepTime": true,
		}},
	}
	b.Templating.List, b.Annotations.List = vars, marks
	return b
}

// row begins a new row with a title.
func (b *board) row(title string) {
	b.wrap()
	b.Panels = append(b.Panels, panel{ID: len(b.Panels) + 1, Type: "row", Title: title, GridPos: gridPos{0, b.y, 24, 1}})
	b.y++
}

func (b *board) wrap() {
	b.y += b.rowHeight
	b.x, b.rowHeight = 0, 0
}

// add puts a panel beside the last one, or below where there is no room; a board is 24 wide.
func (b *board) add(w, h int, p panel) {
	if b.x+w > 24 {
		b.wrap()
	}
	p.ID, p.Datasource, p.GridPos = len(b.Panels)+1, source, gridPos{b.x, b.y, w, h}
	b.x += w
	b.rowHeight = max(b.rowHeight, h)
	b.Panels = append(b.Panels, p)
}

// expressions are all that the board asks Prometheus for.
func (b board) expressions() []string {
	var all []string
	for _, v := range b.Templating.List {
		if query, is := strings.CutPrefix(v.Definition, "query_result("); is {
			all = append(all, strings.TrimSuffix(query, ")"))
		}
	}
	for _, a := range b.Annotations.List {
		all = append(all, a.Expr)
	}
	for _, p := range b.Panels {
		for _, t := range p.Targets {
			all = append(all, t.Expr)
		}
	}
	return all
}
