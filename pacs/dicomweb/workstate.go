package dicomweb

import (
	"context"
	"net/http"
)

// Attributes of a work item's state (PS3.3 C.30.3).
const (
	tagTransactionUID    = "00081195"
	tagState             = "00741000"
	tagReasonForTheEnd   = "00741238"
	typeLongText, typeCS = "LT", "CS"
)

// CancelWorkitem asks for the end of a work item (PS3.18 11.8). One that nobody
// has begun is cancelled; of another its performer is told.
func (c *Client) CancelWorkitem(ctx context.Context, uid, reason string) error {
	return c.put(ctx, http.MethodPost, c.at(nil, "workitems", uid, "cancelrequest"), []Dataset{{
		tagReasonForTheEnd: Attribute(typeLongText, reason),
	}})
}

// ChangeWorkitem claims a work item ("IN PROGRESS") or ends it ("COMPLETED",
// "CANCELED"), which only who names the transaction of the claim may do (PS3.18
// 11.7).
func (c *Client) ChangeWorkitem(ctx context.Context, uid, transaction, state string) error {
	return c.put(ctx, http.MethodPut, c.at(nil, "workitems", uid, "state"), []Dataset{{
		tagTransactionUID: Attribute("UI", transaction), tagState: Attribute(typeCS, state),
	}})
}
