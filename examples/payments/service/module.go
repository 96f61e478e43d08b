package service

import (
	"net/http"

	"go.uber.org/fx"

	"github.com/steadyfx/steady/idempotencyfx"
	"github.com/steadyfx/steady/patterns/idempotency"
)

// Module runs the service. It needs Settings, resiliencefx.Module and one of the modules of idempotencyfx.
var Module = fx.Module("payments",
	fx.Provide(
		NewGateway, NewLedger, NewHandler, NewServer,
		tenants,
		idempotencyfx.AsOption(idempotency.WithRequiredKey),
		idempotencyfx.AsOption(smallRequests),
		idempotencyfx.AsOption(encryptedAnswers),
	),
	fx.Invoke(func(*Server) {}), // nothing else asks for it
)

// tenants keeps the keys of one tenant apart from those of the others.
func tenants() idempotency.Scope {
	return func(r *http.Request) string { return r.Header.Get(TenantHeader) }
}

func smallRequests() idempotency.MiddlewareOption { return idempotency.WithMaxRequestBody(64 << 10) }

// encryptedAnswers is none if there is no key to encrypt them with.
func encryptedAnswers(settings Settings) (idempotency.Option, error) {
	secret, err := settings.answerKey()
	if err != nil || len(secret) == 0 {
		return nil, err
	}
	return idempotency.WithEncryption(idempotency.EncryptionKey{ID: "answers", Secret: secret}), nil
}
