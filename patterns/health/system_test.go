package health_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steadyfx/steady/patterns/health"
)

func TestSystemIsAsItsChecksAre(t *testing.T) {
	const u, h, d, x = health.Unknown, health.Healthy, health.Degraded, health.Unhealthy
	type results []health.Status
	for _, tc := range []struct {
		critical, others results
		want             health.Status
	}{
		{nil, nil, h},
		{results{h}, results{h}, h},
		{results{h}, results{d}, d},
		{results{h}, results{x}, d},
		{results{h}, results{u}, d},
		{results{d}, results{h}, d},
		{results{d}, results{x}, d},
		{results{u}, results{h}, u},
		{results{u}, results{x}, u},
		{results{u, d}, nil, u},
		{results{d, u}, nil, u},
		{results{x}, results{h}, x},
		{results{x, u, d}, nil, x},
		{results{d, u, x}, results{u}, x},
		{nil, results{x, u, d}, d},
		{nil, results{u}, d},
	} {
		m := newManager(t)
		for i, s := range tc.critical {
			register(t, m, health.Check{Name: fmt.Sprintf("m%d", i), Critical: true, Func: saying(s)})
		}
		for i, s := range tc.others {
			for _, name := range []string{"a", "z"} { // before and after the critical ones
				register(t, m, health.Check{Name: fmt.Sprintf("%s%d", name, i), Func: saying(s)})
			}
		}
		if got := m.RunAll(t.Context()).Status; got != tc.want {
			t.Errorf("critical %v, others %v: got %v, want %v", tc.critical, tc.others, got, tc.want)
		}
	}
}

func TestSystemHealthSaysVersionAndUptime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := health.New(health.Config{Version: "1.2.3"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(90 * time.Second)
		got := m.RunAll(t.Context())
		if got.Version != "1.2.3" || got.Uptime != 90*time.Second || !got.Timestamp.Equal(time.Now()) {
			t.Errorf("got %+v", got)
		}
	})
}

func example() health.SystemHealth {
	at := time.Date(2026, 7, 1, 14, 0, 0, 0, time.FixedZone("CEST", 2*60*60))
	return health.SystemHealth{
		Status: health.Degraded, Version: "1.2.3", Uptime: 1500 * time.Millisecond, Timestamp: at,
		Checks: []health.Result{
			{Name: "db", Critical: true, Status: health.Healthy, Latency: 2500 * time.Microsecond, Timestamp: at,
				Details: map[string]any{"pool": 3}},
			{Name: "queue", Status: health.Unhealthy, Message: "failed", Timestamp: at, Err: errBoom},
		},
	}
}

func TestToMapHasTheNamesOfTheReference(t *testing.T) {
	const at = "2026-07-01T12:00:00Z"
	want := map[string]any{
		"status": "degraded", "version": "1.2.3", "uptime_seconds": 1.5, "timestamp": at,
		"checks": []map[string]any{
			{"name": "db", "critical": true, "status": "healthy", "message": "", "latency_ms": 2.5, "timestamp": at,
				"details": map[string]any{"pool": 3}},
			{"name": "queue", "critical": false, "status": "unhealthy", "message": "failed", "latency_ms": 0.0, "timestamp": at},
		},
	}
	if got := example().ToMap(); !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %v\nwant %v", got, want)
	}
}

func TestJSONIsThatOfToMap(t *testing.T) {
	got, err := json.Marshal(example())
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(example().ToMap())
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if empty, err := json.Marshal(health.SystemHealth{}); err != nil || !strings.Contains(string(empty), `"checks":[]`) {
		t.Errorf("got %s, %v", empty, err)
	}
}

func TestDetailsThatJSONCannotHoldCostNothingElse(t *testing.T) {
	h := example()
	h.Checks[1].Details = map[string]any{"ratio": math.NaN(), "fine": 1}
	got, err := json.Marshal(h)
	if err != nil || !strings.Contains(string(got), `"pool":3`) || !strings.Contains(string(got), `"name":"queue"`) ||
		strings.Contains(string(got), "fine") {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestErrorOfACheckIsInNoText(t *testing.T) {
	m := newManager(t)
	register(t, m,
		health.Check{Name: "ping", Func: health.Ping(func(context.Context) error { return errBoom })},
		health.Check{Name: "panic", Func: func(context.Context) health.Report { panic(errBoom) }})
	h := m.RunAll(t.Context())
	for _, r := range h.Checks {
		if r.Err == nil {
			t.Errorf("%v: there is no error to hide", r)
		}
	}
	body, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		string(body), fmt.Sprint(h.ToMap()), fmt.Sprintf("%v %+v", h, h), fmt.Sprintf("%+v %s", h.Checks, &h.Checks[1]),
	} {
		if strings.Contains(text, "hunter2") || !strings.Contains(text, "failed") {
			t.Errorf("got %s", text)
		}
	}
}

func TestResultReadsWell(t *testing.T) {
	for want, r := range map[string]health.Result{
		"db: healthy":            {Name: "db", Status: health.Healthy},
		"db: unhealthy: failed":  {Name: "db", Status: health.Unhealthy, Message: "failed", Err: errBoom},
		"db: unknown: not asked": {Name: "db", Message: "not asked"},
	} {
		if r.String() != want {
			t.Errorf("got %s, want %s", r, want)
		}
	}
	for want, s := range map[string]health.Status{
		"unknown": health.Unknown, "healthy": health.Healthy, "degraded": health.Degraded, "unhealthy": health.Unhealthy,
	} {
		if text, err := s.MarshalText(); err != nil || string(text) != want || s.String() != want {
			t.Errorf("got %s, %v, want %s", text, err, want)
		}
	}
	if got := health.Status(42).String(); got != "unknown" {
		t.Errorf("got %s", got)
	}
}
