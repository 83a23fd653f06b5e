package journal

import "github.com/infra-agent/infra-agent/reconcile"

// MessageIDs are the MESSAGE_ID of each kind of notice: sd-id128(3). They never change, since people's filters name them.
// packaging/infra-agent.catalog explains each of them.
var MessageIDs = map[reconcile.NoticeKind]string{
	reconcile.NoticePromoted:         "f24ae3f92b9f40efbc94bedebe599d36",
	reconcile.NoticeRolledBack:       "a17c782ee9cb471f97de4f7eec1e5ff5",
	reconcile.NoticeRollbackFailed:   "2814e7ee32994bcbaf4262cc464702de",
	reconcile.NoticeCancelled:        "9492c8ac6bce489da64bbe375b41e116",
	reconcile.NoticeTested:           "106ec64f398344eb9ff0f97414184052",
	reconcile.NoticeSteppedBack:      "f12e70337a654bc38d91052e916840bc",
	reconcile.NoticeWaiting:          "745b6b2332544874af93b7cc3b15e8cf",
	reconcile.NoticeStuck:            "712f65e4401b4f5aad27fa9729f04900",
	reconcile.NoticeRefused:          "48da052850b7483d8452c59b26118f27",
	reconcile.NoticeEvaluationFailed: "162aeff8a64d43bdb9c3280cfec0c9ef",
	reconcile.NoticeBuildFailed:      "ed3c67b91f47481c9b1bd2e8938e3373",
	reconcile.NoticeHeld:             "4fe78830ddda440888fc2bd898eef91f",
	reconcile.NoticeDrift:            "775995ab51d14df2989e758effea085a",
	reconcile.NoticeSuspended:        "d014fbe81bf945368cb991e93155ff6b",
	reconcile.NoticeResumed:          "a58df8df269c433886d3b385a90b7911",
	reconcile.NoticeWouldDeploy:      "af9fa91a77e4ed34e9e1c3f07a5c8276",
	reconcile.NoticeWouldPromote:     "b98defab3f1f3705ae1950be6d70ef66",
	reconcile.NoticeWouldRollBack:    "5b79a536518f5584703fc1eef994e7e5",
}
