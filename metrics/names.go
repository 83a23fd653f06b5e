package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/infra-agent/infra-agent/reconcile"
)

// Names of the metrics that commands ask Prometheus for.
const (
	NodeInfo       = "infra_agent_node_info"
	NodeRole       = "infra_agent_node_role"
	RevisionInfo   = "infra_agent_revision_info"
	InSync         = "infra_agent_in_sync"
	OutOfSyncSince = "infra_agent_out_of_sync_since_timestamp_seconds"
	State          = "infra_agent_state"
	StateEntered   = "infra_agent_state_entered_timestamp_seconds"
	LastDeployment = "infra_agent_last_deployment_timestamp_seconds"
	ReachedTime    = "infra_agent_revision_reached_timestamp_seconds"
	RollbackFailed = "infra_agent_rollback_failed"
	GateBlocked    = "infra_agent_gate_blocked"
)

// A desc is one metric: what Prometheus is told of it, and how it is read.
type desc struct {
	*prometheus.Desc
	kind prometheus.ValueType
}

// descs are all metrics of the agent, in the order of docs/metrics.md.
type descs struct {
	buildInfo, nodeInfo, nodeRole, registered                                     desc
	revisionInfo, revisionCommitTime, revisionReachedTime, inSync, outOfSyncSince desc
	headVerified, commitsBehind, oddFiles                                         desc
	state, stateEntered, confirmDeadline                                          desc
	polls, lastPoll, lastPollSuccess, verifications, audits                       desc
	lastPhaseDuration, phaseDuration                                              desc
	deployments, lastDeployment, rollbacks, lastRollback, observed                desc
	consecutiveFailures, rollbackFailed, blockedSystems, debts, troubles          desc
	notices, noticesPending                                                       desc
	checkSuccess, checkDuration, checkRuns                                        desc
	gateBlocked, windowOpens, suspendedSince, suspendedUntil                      desc
	generation, drift, rebootRequired, rebootRequiredSince                        desc
	reloadSuccessful, reloadSuccessTime                                           desc
}

// newDescs returns the metrics, and all of them as a list.
func newDescs() (descs, []*prometheus.Desc) {
	var all []*prometheus.Desc
	add := func(kind prometheus.ValueType, name, help string, labels []string) desc {
		d := prometheus.NewDesc(name, help, labels, nil)
		all = append(all, d)
		return desc{d, kind}
	}
	gauge := func(name, help string, labels ...string) desc { return add(prometheus.GaugeValue, name, help, labels) }
	counter := func(name, help string, labels ...string) desc {
		return add(prometheus.CounterValue, name, help, labels)
	}
	return descs{
		buildInfo:           gauge("infra_agent_build_info", "Version of the agent. Constant 1.", "version", "goversion"),
		nodeInfo:            gauge(NodeInfo, "What the registry calls this node. Constant 1.", "config", "environment", "wave"),
		nodeRole:            gauge(NodeRole, "Roles of this node, one series a role. Constant 1.", "role"),
		registered:          gauge("infra_agent_registered", "Whether the node is in the registry and managed (1) or not (0)."),
		revisionInfo:        gauge(RevisionInfo, "Commit that this node has at each stage; of the one that was booted, as far as it is remembered. Constant 1.", "stage", "revision"),
		revisionCommitTime:  gauge("infra_agent_revision_commit_timestamp_seconds", "Committer date of the commit at each stage, 0 if it is not known.", "stage"),
		revisionReachedTime: gauge(ReachedTime, "When this node's commit reached each stage, 0 if none did.", "stage"),
		inSync:              gauge(InSync, "Whether the node runs the newest verified revision, confirmed (1) or not (0)."),
		outOfSyncSince:      gauge(OutOfSyncSince, "Since when the node is not in sync, 0 if it is."),
		headVerified:        gauge("infra_agent_head_verified", "Whether the newest seen commit is accepted (1) or refused (0)."),
		commitsBehind:       gauge("infra_agent_commits_behind", "First-parent commits between the good revision and the newest verified one."),
		oddFiles:            gauge("infra_agent_odd_files", "Files of the newest fetched commit that Nix gets as git stores them, and not as their authors see them, one series a kind that there is: submodules that are empty, pointers of Git LFS or git-annex, what git-crypt, transcrypt or openssl enc encrypted, and lines of .gitattributes that name another filter.", "kind"),
		state:               gauge(State, "What the agent is doing: 1 for the current state, 0 for all others.", "state"),
		stateEntered:        gauge(StateEntered, "When the current state was entered; idle and held count as one."),
		confirmDeadline:     gauge("infra_agent_confirm_deadline_timestamp_seconds", "When the system on trial is rolled back unless it is confirmed, 0 if none is, or if a person is to decide."),
		polls:               counter("infra_agent_polls_total", "Polls of the remotes by result, since the agent started.", "result"),
		lastPoll:            gauge("infra_agent_last_poll_timestamp_seconds", "When a remote was polled last, 0 if none was."),
		lastPollSuccess:     gauge("infra_agent_last_poll_success_timestamp_seconds", "When a poll was answered last, 0 if none was."),
		verifications:       counter("infra_agent_verifications_total", "Verifications of fetched commits by result: descent and, as trust.policy asks, signatures; kept across restarts.", "result"),
		audits:              counter("infra_agent_manifest_audits_total", "Manifests that this node compared with an evaluation of its own, by result: different holds the commit; kept across restarts.", "result"),
		lastPhaseDuration:   gauge("infra_agent_last_phase_duration_seconds", "Duration of the last finished run of each phase, 0 if there was none.", "phase"),
		phaseDuration:       add(0, "infra_agent_phase_duration_seconds", "Durations of all finished runs of each phase; kept across restarts. A native histogram, for who asks for protobuf: the text format has none.", []string{"phase"}),
		deployments:         counter("infra_agent_deployments_total", "Finished deployments by result; kept across restarts.", "result"),
		lastDeployment:      gauge(LastDeployment, "When the last trial with each result ended, 0 if none did.", "result"),
		rollbacks:           counter("infra_agent_rollbacks_total", "Rollbacks by reason; kept across restarts.", "reason"),
		lastRollback:        gauge("infra_agent_last_rollback_timestamp_seconds", "When the last rollback began, 0 if there was none."),
		observed:            gauge("infra_agent_observed", "Of the last 100 systems that another tool activated in observe mode, how many would have been promoted or rolled back.", "result"),
		consecutiveFailures: gauge("infra_agent_consecutive_failures", "Failed deployments since the last promoted one, or since the branch describes the good system again."),
		rollbackFailed:      gauge(RollbackFailed, "Whether the last rollback left the node unhealthy or stuck (1): a person must act."),
		blockedSystems:      gauge("infra_agent_blocked_systems", "Number of systems that failed here and are not tried again."),
		debts:               gauge("infra_agent_debts", "What is owed since a deployment: a drained node, and a promotion that could not be made or undone, are 1 each."),
		troubles:            gauge("infra_agent_troubles", "Number of things beside deployments that do not work: control socket, watch on files, settings that wait for a restart."),
		notices:             counter("infra_agent_notifications_total", "Notices by receiver and result, since the agent started: failed are tries, and dropped are notices that were given up.", "receiver", "result"),
		noticesPending:      gauge("infra_agent_notifications_pending", "Notices that did not reach the receiver yet.", "receiver"),
		checkSuccess:        gauge("infra_agent_health_check_success", "Whether the last run of the health check was green (1) or red (0).", "check"),
		checkDuration:       gauge("infra_agent_health_check_duration_seconds", "Duration of the last run of the health check.", "check"),
		checkRuns:           counter("infra_agent_health_check_runs_total", "Runs of the health check by result, since the agent started.", "check", "result"),
		gateBlocked:         gauge(GateBlocked, "Whether the gate keeps the node from deploying (1) or not (0).", "gate"),
		windowOpens:         gauge("infra_agent_window_opens_timestamp_seconds", "When the maintenance window opens that the node waits for, 0 if it waits for none."),
		suspendedSince:      gauge("infra_agent_suspended_since_timestamp_seconds", "Since when a person keeps the node from deploying, 0 if nobody does."),
		suspendedUntil:      gauge("infra_agent_suspended_until_timestamp_seconds", "When the suspension ends by itself, 0 if there is none or if a person must end it."),
		generation:          gauge("infra_agent_generation", "Number of the system profile's generation in each slot, 0 if it has none.", "slot"),
		drift:               gauge("infra_agent_drift", "Whether the system differs from what the agent deployed (1) or not (0), by kind.", "kind"),
		rebootRequired:      gauge("infra_agent_reboot_required", "Whether the component is newer than the one that was booted (1) or not (0).", "component"),
		rebootRequiredSince: gauge("infra_agent_reboot_required_since_timestamp_seconds", "Since when a reboot is required, 0 if none is."),
		reloadSuccessful:    gauge("infra_agent_config_last_reload_successful", "Whether the last reload of the settings succeeded (1) or not (0)."),
		reloadSuccessTime:   gauge("infra_agent_config_last_reload_success_timestamp_seconds", "When the settings were last read successfully."),
	}, all
}

// closed sets of label values; every series exists from the start, at 0.
var (
	components = []string{"kernel", "initrd", "modules", "systemd"}
	// A stage before was reached a fetch, an evaluation or a build earlier, and has the same date or none.
	datedStages   = []reconcile.Stage{reconcile.StageVerified, reconcile.StageRunning}
	reachedStages = []reconcile.Stage{reconcile.StageSeen, reconcile.StageRunning, reconcile.StageGood}
	trials        = []reconcile.Result{reconcile.ResultPromoted, reconcile.ResultRolledBack, reconcile.ResultRollbackFailed}
)
