package reconcile

// A Result says in one word how a deployment ended. The set is closed: it is a
// label of the metric infra_agent_deployments_total.
type Result string

// The results of a deployment.
const (
	ResultPromoted         Result = "promoted"
	ResultRolledBack       Result = "rolled_back"
	ResultRollbackFailed   Result = "rollback_failed"
	ResultEvaluationFailed Result = "evaluation_failed"
	ResultBuildFailed      Result = "build_failed"
	ResultCancelled        Result = "cancelled"
	ResultTested           Result = "tested"       // of the testing branch, and gone back as planned
	ResultSteppedBack      Result = "stepped_back" // a person's "rollback": the system before is good again
)

// Results lists every result, in the order of the documentation.
var Results = []Result{
	ResultPromoted, ResultRolledBack, ResultRollbackFailed,
	ResultEvaluationFailed, ResultBuildFailed, ResultCancelled, ResultTested, ResultSteppedBack,
}

// A Stage is a milestone that a revision reaches on a node.
type Stage string

// The stages that the record remembers.
const (
	StageSeen     Stage = "seen"
	StageVerified Stage = "verified"
	StageBuilt    Stage = "built"
	StageRunning  Stage = "running"
	StageGood     Stage = "good"
)

// Stages lists every stage, in order.
var Stages = []Stage{StageSeen, StageVerified, StageBuilt, StageRunning, StageGood}
