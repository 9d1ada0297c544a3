package api

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
)

func TestHandlersWaitNoLongerThanTheirBound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		router := gin.New()
		router.GET("/", bound, func(c *gin.Context) {
			<-c.Request.Context().Done()
			require.Equal(t, answerWithin, time.Since(began))
			require.NoError(t, callerOf(c).Err(), "the caller is still there")
			c.Status(http.StatusServiceUnavailable)
		})
		answer := httptest.NewRecorder()
		router.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", nil))
		require.Equal(t, http.StatusServiceUnavailable, answer.Code)
	})
}
