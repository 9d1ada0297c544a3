package api

import (
	"context"
	"time"

	"github.com/gin-gonic/gin"
)

// answerWithin is how long a handler may wait for services, all in all. What
// takes longer hangs, and its caller is told to come back.
const answerWithin = 30 * time.Second

const callerKey = "runa.caller"

// bound ends what a handler waits for when a service hangs.
func bound(c *gin.Context) {
	c.Set(callerKey, c.Request.Context())
	ctx, cancel := context.WithTimeout(c.Request.Context(), answerWithin)
	defer cancel()
	c.Request = c.Request.WithContext(ctx)
	c.Next()
}

// callerOf ends when the caller goes away: it is for those who wait for a turn,
// which may take longer than any service.
func callerOf(c *gin.Context) context.Context { return c.MustGet(callerKey).(context.Context) }
