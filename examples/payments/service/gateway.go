package service

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"go.uber.org/fx"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
	"github.com/steadyfx/steady/patterns/pipeline"
)

// Gateway makes charges at the payment provider, through the pipeline "provider" of the configuration.
type Gateway struct {
	endpoint string
	client   *http.Client
	send     func(context.Context, chargeRequest) (answer, error)
}

// Charge is the provider's answer.
type Charge struct {
	ID        string    `json:"id"`
	ChargedAt time.Time `json:"charged_at"`
}

// RefusedError says that the provider does not want to make a charge, however often it is asked.
type RefusedError struct{ Status int }

// Error names the status.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("the payment provider refused the charge with status %d", e.Status)
}

// NewGateway fails if the configuration has no pipeline "provider".
func NewGateway(lc fx.Lifecycle, settings Settings, factory *pipeline.Factory) (*Gateway, error) {
	provider, err := factory.Get("provider")
	if err != nil {
		return nil, err
	}
	endpoint, err := url.JoinPath(settings.Provider, "charges")
	if err != nil {
		return nil, fmt.Errorf("payments.provider: %w", err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 32, IdleConnTimeout: 30 * time.Second}
	g := &Gateway{endpoint: endpoint, client: &http.Client{Transport: transport, Timeout: maxWait}}
	g.send = patterns.Wrap(provider, g.attempt)
	lc.Append(fx.StopHook(transport.CloseIdleConnections))
	return g, nil
}

// Charge charges the account of the order once for a key, however often it is called. A [*RefusedError] means that
// nothing was charged. After any other error it is not known: call it again with the same key.
func (g *Gateway) Charge(ctx context.Context, key string, order Order) (Charge, error) {
	body, err := json.Marshal(order)
	if err != nil {
		return Charge{}, err
	}
	a, err := g.send(ctx, chargeRequest{key: key, body: body})
	switch {
	case err != nil:
		return Charge{}, err
	case a.status != http.StatusCreated:
		return Charge{}, &RefusedError{Status: a.status}
	}
	return a.charge, nil
}

type chargeRequest struct {
	key  string
	body []byte
}

// answer is what the provider says when it is in order. That it refuses a charge is an answer and no error, so that the
// pipeline neither retries it nor counts it as a failure of the provider.
type answer struct {
	status int
	charge Charge
}

const (
	maxAnswer = 64 << 10
	maxWait   = 10 * time.Second // also where the pipeline has no timeout
)

// attempt asks the provider once.
func (g *Gateway) attempt(ctx context.Context, c chargeRequest) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.endpoint, bytes.NewReader(c.body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(idempotency.KeyHeader, c.key)
	req.GetBody = nil // else net/http itself repeats requests with this header, unseen by the pipeline
	resp, err := g.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // to its end, so that the connection can be used again
	if err != nil {
		return answer{}, fmt.Errorf("read the answer of the payment provider: %w", err)
	}
	a := answer{status: resp.StatusCode}
	switch {
	case a.status >= 500 || a.status == http.StatusTooManyRequests:
		return answer{}, fmt.Errorf("the payment provider failed with status %d", a.status)
	case a.status == http.StatusCreated:
		if err := json.Unmarshal(body, &a.charge); err != nil {
			return answer{}, fmt.Errorf("the payment provider's answer is not a charge: %w", err)
		}
	}
	return a, nil
}
