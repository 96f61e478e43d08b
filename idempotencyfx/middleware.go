package idempotencyfx

import (
	"net/http"

	"go.uber.org/fx"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// Middleware guards handlers, as [idempotency.Middleware] says.
type Middleware func(http.Handler) http.Handler

// MiddlewareParams are the parameters of [NewMiddleware].
type MiddlewareParams struct {
	fx.In

	Guard   *idempotency.Guard
	Scope   idempotency.Scope              // the application says who its callers are, or that they share their keys
	Options []idempotency.MiddlewareOption `group:"idempotency.options"` // of AsOption
}

// MiddlewareResult is the result of [NewMiddleware].
type MiddlewareResult struct {
	fx.Out

	Middleware Middleware
}

// NewMiddleware makes the middleware of the guard. The configuration of the guard says how long keys, and how large
// requests and responses may be. An application with several makes the others of the guard itself.
func NewMiddleware(p MiddlewareParams) MiddlewareResult {
	return MiddlewareResult{Middleware: idempotency.Middleware(p.Guard, p.Scope, given(p.Options)...)}
}
