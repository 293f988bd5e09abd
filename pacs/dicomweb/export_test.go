package dicomweb

import (
	"context"
	"time"
)

// SetSleep lets tests see how long a client waits, instead of waiting.
func (c *Client) SetSleep(sleep func(context.Context, time.Duration) error) { c.sleep = sleep }
