package main

// fleet shows where the newest commit is on its way, and what holds it back. It reads recorded series only.
func fleet() board {
	const (
		job  = `job="$job"`
		cell = `job="$job", environment=~"$environment", wave=~"$wave"`
	)
	b := newBoard("infra-agent-fleet", "infra-agent / Fleet", "Where the newest commit is on its way through the fleet, and what holds it back.",
		[]variable{
			dataSource(),
			choice("job", "Job", `label_values(environment_wave:infra_agent_nodes:count, job)`, false),
			choice("environment", "Environment", `label_values(environment_wave:infra_agent_nodes:count{job="$job"}, environment)`, true),
			choice("wave", "Wave", `label_values(environment_wave:infra_agent_nodes:count{job="$job"}, wave)`, true),
			commitURL(),
			worst("shown", `bottomk(40, instance:infra_agent_standing:bottomk{`+cell+`})`),
			worst("behind", `topk(100, time() - (instance:infra_agent_out_of_sync_since_timestamp_seconds:behind{`+cell+`} > 0))`),
		},
		[]annotation{
			{
				Name: "New revisions", Datasource: source, Enable: true, IconColor: "blue", Step: "60s", UseValueForTime: true,
				Expr:        short(`max by (revision) (revision:infra_agent_verified_commit_timestamp_seconds:max{` + job + `}) * 1000`),
				TitleFormat: "Commit {{short}}", TextFormat: "{{revision}}",
			},
			{
				Name: "Rollbacks", Datasource: source, Enable: true, IconColor: "red", Step: "300s",
				Expr:        `job:infra_agent_rollbacks:changes5m{` + job + `} > 0`,
				TitleFormat: "Rollback", TextFormat: "{{job}}",
			},
		})
	share := thresholds("red", 0.5, "orange", 0.9, "yellow", 0.999, "green")

	b.row("Now")
	b.add(5, 4, tile("Newest revision", "The newest revision that any node has verified, and how old it is. A click opens the commit.",
		now(short(`topk(1, max by (revision) (revision:infra_agent_verified_commit_timestamp_seconds:max{`+job+`})) * 1000`), "{{short}}"),
		look{
			Unit: "dateTimeFromNow", Color: object{"mode": "fixed", "fixedColor": "blue"},
			Links: []object{{"title": "Open the commit", "url": "${commit_url}${__field.labels.revision}", "targetBlank": true}},
		}, true))
	b.add(3, 4, tile("In sync", "Share of the nodes that run the newest verified revision.",
		now(`sum(environment_wave:infra_agent_in_sync:sum{`+cell+`}) / sum(environment_wave:infra_agent_nodes:count{`+cell+`})`, "in sync"),
		look{Unit: "percentunit", Min: zero, Max: one, Color: byThreshold, Thresholds: share}, false))
	b.add(2, 4, tile("Nodes", "Nodes whose agent reports.",
		now(`sum(environment_wave:infra_agent_nodes:count{`+cell+`})`, "nodes"), look{Unit: "short", NoValue: "0", Color: fixed}, false))
	b.add(3, 4, tile("Unreachable", "Nodes that Prometheus cannot scrape, but for those that come and go.",
		now(`sum(job:infra_agent_unreachable:sum{`+job+`})`, "unreachable"), count("red"), false))
	b.add(3, 4, tile("Need a person", "Nodes whose rollback failed.",
		now(`sum(environment_wave:infra_agent_rollback_failed:sum{`+cell+`})`, "need a person"), count("red"), false))
	b.add(2, 4, tile("Failing", "Nodes whose last deployment failed.",
		now(`sum(environment_wave:infra_agent_failing:sum{`+cell+`})`, "failing"), count("red"), false))
	b.add(3, 4, tile("Held", "Nodes that a gate keeps from deploying.",
		now(`sum(environment_wave_state:infra_agent_state:sum{`+cell+`, state="held"})`, "held"), count("yellow"), false))
	following := count("red")
	following.NoValue = "no reference"
	b.add(3, 4, tile("Not following", "Nodes that have not seen the head of the branch. \"No reference\": nobody but the nodes says what the head is.",
		now(`sum(following:infra_agent_nodes:count{`+job+`, following="no"}) or 0 * sum(following:infra_agent_nodes:count{`+job+`, following="yes"})`, "not following"),
		following, false))

	b.row("Rollout")
	b.add(12, 9, stacked("Nodes by running revision", "One band a revision: a healthy rollout is a band that replaces another.",
		over(orElse("short", "unknown", short(`sum by (revision) (environment_wave_revision:infra_agent_running:count{`+cell+`})`)), "{{short}}")))
	inSync := look{Unit: "percentunit", Min: zero, Max: one, Color: byThreshold, Thresholds: share}
	b.add(6, 9, bars("In sync by wave", "Share of each wave's nodes that run the newest verified revision.",
		now(orElse("wave", "no wave", `sum by (wave) (environment_wave:infra_agent_in_sync:sum{`+cell+`}) / sum by (wave) (environment_wave:infra_agent_nodes:count{`+cell+`})`), "{{wave}}"), inSync))
	b.add(6, 9, bars("In sync by role, the last twelve", "Share of the nodes with each role that run the newest verified revision.",
		now(`sort(bottomk(12, sum by (role) (environment_wave_role:infra_agent_in_sync:sum{`+cell+`}) / sum by (role) (environment_wave_role:infra_agent_nodes:count{`+cell+`})))`, "{{role}}"), inSync))
	b.add(12, 8, stacked("Nodes by state", "What the agents are doing; those that rest are left out.",
		over(`sum by (state) (environment_wave_state:infra_agent_state:sum{`+cell+`, state!="idle"})`, "{{state}}"),
		byState(coloured)...))
	b.add(12, 8, stacked("Nodes held, by gate", "Why the newest revision is not deployed. A node can be held by several gates.",
		over(`sum by (gate) (environment_wave_gate:infra_agent_gate_blocked:sum{`+cell+`})`, "{{gate}}")))

	b.row("Nodes that need attention")
	b.add(24, 10, behind(job))

	b.row("Rollbacks and speed")
	b.add(7, 8, stacked("Rollbacks by reason, in the hour before", "\"infra-agent status\" and \"history\" on a node say more.",
		over(`round(reason:infra_agent_rollbacks:increase1h{`+job+`})`, "{{reason}}")))
	b.add(8, 8, lines("Duration of each phase, 95th percentile", "Over the last run of each phase on each node.", "s",
		over(`phase:infra_agent_last_phase_duration_seconds:p95{`+job+`}`, "{{phase}}")))
	b.add(9, 8, bars("As slow as usual", "That duration, in times of its mean of the last day.",
		now(`phase:infra_agent_last_phase_duration_seconds:p95{`+job+`} / avg_over_time(phase:infra_agent_last_phase_duration_seconds:p95{`+job+`}[1d])`, "{{phase}}"),
		look{Unit: "suffix: ×", Decimals: 1, Min: zero, Color: byThreshold, Thresholds: thresholds("green", 1.5, "yellow", 3, "red")}))

	b.row("Source")
	b.add(12, 6, lines("Failed polls", "Share of the polls that no remote answered.", "percentunit",
		over(`sum(result:infra_agent_polls:rate5m{`+job+`, result="error"}) / sum(result:infra_agent_polls:rate5m{`+job+`})`, "failed")))
	b.add(12, 6, lines("Longest silence", "Of the node whose remotes have been silent for longest.", "s",
		over(`time() - (job:infra_agent_last_poll_success_timestamp_seconds:min{`+job+`} > 0)`, "silent")))

	b.row("Node by node")
	b.add(24, 16, timeline("At most 40 nodes: those that are behind, then others", "Environment and wave narrow it down. More rows than this overlap.",
		over(`max by (instance) (instance:infra_agent_standing:state{`+cell+`, instance=~"$shown"})`, "{{instance}}"), // a node may change its wave
		values("1", "in sync", "green", "0", "behind", "yellow", "-1", "behind, and its last deployment failed", "red")))
	return b
}

// behind lists the nodes that are not in sync, longest first, and what is known of them.
func behind(job string) panel {
	of := func(by, recorded string) string {
		return `max by (` + by + `) (` + recorded + `{` + job + `, instance=~"$behind"})`
	}
	coloured := object{"type": "color-text"}
	return panel{
		Type: "table", Title: "Nodes behind, longest first, at most 100", Description: "A click on a node shows its history, one on a revision its commit. Of several gates that hold a node one is named.",
		Targets: []target{
			column("A", `time() - (`+of("instance, environment, wave", "instance:infra_agent_out_of_sync_since_timestamp_seconds:behind")+` > 0)`),
			column("B", short(of("instance, revision", "instance:infra_agent_running_revision:behind"))),
			column("C", of("instance, state", "instance:infra_agent_state:behind")),
			column("D", of("instance", "instance:infra_agent_consecutive_failures:behind")),
			column("E", of("instance", "instance:infra_agent_commits_behind:behind")),
			column("F", `topk by (instance) (1, `+of("instance, gate", "instance:infra_agent_gate_blocked:behind")+`)`),
		},
		FieldConfig: &fields{look{Unit: "none", Custom: object{"align": "left", "filterable": true}}, []override{
			named("Node", "links", []object{{
				"title": "Open the node", "url": "/d/infra-agent-node/?var-datasource=${datasource}&var-job=${job}&var-instance=${__data.fields.Node}&${__url_time_range}",
			}}),
			named("Runs", "links", []object{{"title": "Open the commit", "url": "${commit_url}${__data.fields.revision}", "targetBlank": true}}),
			named("revision", "custom.hidden", true, "custom.hideFrom", object{"viz": true}), // the second since Grafana 12.2
			named("Behind for", "unit", "s", "thresholds", thresholds("text", 3600, "yellow", 21600, "red"), "custom.cellOptions", coloured),
			named("Failures in a row", "thresholds", thresholds("text", 1, "red"), "custom.cellOptions", coloured),
		}},
		// Instant answers come in no order.
		Options: object{"showHeader": true, "sortBy": []object{{"displayName": "Behind for", "desc": true}}},
		Transformations: []object{
			{"id": "merge", "options": object{}},
			{"id": "organize", "options": object{
				"excludeByName": object{"Time": true, "Value #B": true, "Value #C": true, "Value #F": true},
				"indexByName":   object{"instance": 0, "environment": 1, "wave": 2, "state": 3, "gate": 4, "short": 5, "Value #A": 6, "Value #E": 7, "Value #D": 8, "revision": 9},
				"renameByName": object{
					"instance": "Node", "environment": "Environment", "wave": "Wave", "state": "State", "gate": "Held by", "short": "Runs",
					"Value #A": "Behind for", "Value #D": "Failures in a row", "Value #E": "Commits behind",
				},
			}},
		},
	}
}
