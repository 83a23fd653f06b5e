package main

// node shows what one node did, when, and why.
func node() board {
	const it = `job="$job", instance="$instance"`
	b := newBoard("infra-agent-node", "infra-agent / Node", "What one node did, when, and why.",
		[]variable{
			dataSource(),
			choice("job", "Job", `label_values(infra_agent_build_info, job)`, false),
			choice("instance", "Node", `label_values(infra_agent_build_info{job="$job"}, instance)`, false),
			commitURL(),
		},
		[]annotation{
			{
				Name: "Deployments", Datasource: source, Enable: true, IconColor: "green", Step: "60s",
				Expr:        `changes(infra_agent_deployments_total{` + it + `}[2m]) > 0`, // of every result, also where no trial began
				TitleFormat: "{{result}}", TextFormat: "{{instance}}",
			},
			{
				Name: "Rollbacks", Datasource: source, Enable: true, IconColor: "red", Step: "60s", UseValueForTime: true,
				Expr:        `(infra_agent_last_rollback_timestamp_seconds{` + it + `} > 0) * 1000`,
				TitleFormat: "Rollback", TextFormat: "{{instance}}",
			},
		})
	blue := look{Unit: "none", Color: object{"mode": "fixed", "fixedColor": "blue"}}
	when := look{Unit: "dateTimeFromNow", NoValue: "never", Color: fixed}

	b.row("Now")
	b.add(4, 4, tile("State", "What the agent is doing.", now(`infra_agent_state{`+it+`} == 1`, "{{state}}"), blue, true))
	runs := blue
	runs.Links = []object{{"title": "Open the commit", "url": "${commit_url}${__field.labels.revision}", "targetBlank": true}}
	b.add(4, 4, tile("Runs", "The revision that runs. A click opens the commit.",
		now(short(`infra_agent_revision_info{`+it+`, stage="running"}`), "{{short}}"), runs, true))
	b.add(4, 4, tile("In sync", "Whether it is the newest verified one.", now(`infra_agent_in_sync{`+it+`}`, "in sync"),
		look{Unit: "none", Color: fixed, Mappings: values("1", "yes", "green", "0", "no", "yellow")}, false))
	b.add(4, 4, tile("Held by", "The gates that keep the node from deploying; \"infra-agent status\" has the reasons.",
		now(`infra_agent_gate_blocked{`+it+`} == 1`, "{{gate}}"),
		look{Unit: "none", NoValue: "nothing", Color: object{"mode": "fixed", "fixedColor": "yellow"}}, true))
	b.add(4, 4, tile("Last poll", "When a remote answered last.", now(`(infra_agent_last_poll_success_timestamp_seconds{`+it+`} > 0) * 1000`, "last poll"), when, false))
	b.add(4, 4, tile("Last promotion", "When a system was made permanent last.",
		now(`(infra_agent_last_deployment_timestamp_seconds{`+it+`, result="promoted"} > 0) * 1000`, "last promotion"), when, false))

	b.row("What happened")
	here := func(text, colour string) []object { return values("0", " ", "transparent", "1", text, colour) }
	states := timeline("States", "A bar for each time in a state.", over(`infra_agent_state{`+it+`}`, "{{state}}"), here("here", "text"))
	states.FieldConfig.Overrides = byState(func(state, colour string) override { return named(state, "mappings", here("here", colour)) })
	b.add(24, 9, states)
	// No timeline: the series of a revision ends.
	b.add(24, 5, graph("Running revision", "One band a revision.",
		[]target{over(short(`infra_agent_revision_info{`+it+`, stage="running"}`), "{{short}}")},
		look{Unit: "none", Min: zero, Max: one, Custom: object{
			"drawStyle": "line", "lineInterpolation": "stepAfter", "fillOpacity": 80, "lineWidth": 0, "showPoints": "never", "axisPlacement": "hidden",
		}}))
	// What shows that a trial follows the branch ends with the trial, and a check with the system that has it.
	b.add(12, 8, timeline("Health checks", "They run while a system is on trial, or goes back. The last result stays until the agent starts again.",
		over(`max by (check) (infra_agent_health_check_success{`+it+`} or 0 * last_over_time(infra_agent_health_check_success{`+it+`}[1h]) - 1)`, "{{check}}"),
		values("1", "green", "green", "0", "red", "red", "-1", " ", "transparent")))
	b.add(12, 8, timeline("Gates", "What kept the node from deploying.", over(`infra_agent_gate_blocked{`+it+`}`, "{{gate}}"), here("holds", "yellow")))

	b.row("How fast, and how far")
	b.add(8, 8, lines("Last duration of each phase", "Of the last run that ended.", "s", over(`infra_agent_last_phase_duration_seconds{`+it+`}`, "{{phase}}")))
	b.add(8, 8, lines("Duration of health checks", "Of the last run.", "s", over(`infra_agent_health_check_duration_seconds{`+it+`}`, "{{check}}")))
	b.add(8, 8, lines("Generation", "Of the system profile; a rollback is a step down.", "none", over(`infra_agent_generation{`+it+`}`, "{{slot}}")))
	b.add(8, 8, lines("Commits behind", "Between the good revision and the newest verified one.", "short", over(`infra_agent_commits_behind{`+it+`}`, "behind")))
	b.add(8, 8, lines("Deployments", "That ended, by result, since the record began.", "short", over(`infra_agent_deployments_total{`+it+`}`, "{{result}}")))
	b.add(8, 8, lines("Rollbacks", "By reason, since the record began.", "short", over(`infra_agent_rollbacks_total{`+it+`}`, "{{reason}}")))
	b.add(24, 6, lines("In observe mode", "Of the last 100 systems that another tool activated: how many would have been promoted or rolled back.", "short",
		over(`infra_agent_observed{`+it+`}`, "{{result}}")))
	return b
}
