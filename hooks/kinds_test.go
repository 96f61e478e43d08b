package hooks

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"slices"
	"testing"
)

// every lists all events. A new one must be added here; TestEveryEventIsListed finds out if it is not.
var every = []Event{
	CircuitOpened{}, CircuitHalfOpened{}, CircuitClosed{}, CircuitRejected{}, CircuitDegraded{}, CircuitRecovered{}, RetryAttempted{}, RetryExhausted{},
	HedgeStarted{}, HedgePanicked{},
	BulkheadRejected{}, TimedOut{}, FallbackUsed{}, AbandonedEnded{}, IdempotencyKeyHit{}, IdempotencyConflict{},
	IdempotencyMismatch{}, IdempotencyReleased{}, IdempotencyClaimLost{}, IdempotencyCompletionFailed{},
	IdempotencyStoreFailed{}, IdempotencyUnprotected{}, IdempotencyCleaned{}, IdempotencyEvicted{}, ListenerPanicked{}, RateLimited{},
	RateLimiterDegraded{}, RateLimiterRecovered{},
}

func TestEveryEventIsListed(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "events.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	for _, d := range file.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv != nil && fn.Name.Name == "EventName" {
			declared = append(declared, fn.Recv.List[0].Type.(*ast.Ident).Name)
		}
	}
	var listed []string
	for _, e := range every {
		listed = append(listed, reflect.TypeOf(e).Name())
	}
	slices.Sort(declared)
	slices.Sort(listed)
	if !slices.Equal(declared, listed) {
		t.Errorf("declared: %v\nlisted:   %v", declared, listed)
	}
}

func TestEveryEventHasANameAndAKindOfItsOwn(t *testing.T) {
	if len(every) != int(kinds) {
		t.Errorf("%d events, %d kinds", len(every), kinds)
	}
	byKind, byName := map[kind]Event{}, map[string]Event{}
	wellFormed := regexp.MustCompile(`^[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*$`)
	for _, e := range every {
		if other, ok := byKind[e.kind()]; ok {
			t.Errorf("%T and %T are of one kind", e, other)
		}
		if other, ok := byName[e.EventName()]; ok {
			t.Errorf("%T and %T have one name", e, other)
		}
		if e.kind() >= kinds {
			t.Errorf("the kind of %T is out of range", e)
		}
		if !wellFormed.MatchString(e.EventName()) {
			t.Errorf("the name of %T is %q", e, e.EventName())
		}
		byKind[e.kind()], byName[e.EventName()] = e, e
	}
}

func TestEveryEventCarriesItsTime(t *testing.T) {
	for _, e := range every {
		if f, ok := reflect.TypeOf(e).FieldByName("At"); !ok || f.Type.String() != "time.Time" {
			t.Errorf("%T has no time At", e)
		}
	}
}
