package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/steadyfx/steady/patterns"
	"github.com/steadyfx/steady/patterns/idempotency"
)

var errSoldOut = errors.New("sold out")

// declinedError is an error of a service: with data, and a code.
type declinedError struct {
	Reason string
	Limit  int64
}

func (e *declinedError) Error() string { return "declined: " + e.Reason }
func (e *declinedError) Code() string  { return "CARD_DECLINED" }

// plainError is an error type without a pointer.
type plainError struct{ N int }

func (e plainError) Error() string { return fmt.Sprint("plain ", e.N) }

func recordingGuard(t *testing.T, store idempotency.Store, kinds ...idempotency.ErrorKind) (*idempotency.Guard, *eventLog) {
	t.Helper()
	events := newEventLog()
	g, err := idempotency.New(store, idempotency.Config{},
		idempotency.WithBus(&events.bus), idempotency.WithRecordedErrors(kinds...))
	if err != nil {
		t.Fatal(err)
	}
	return g, events
}

func allKinds() []idempotency.ErrorKind {
	return []idempotency.ErrorKind{
		idempotency.ErrorType[*declinedError]("declined"),
		idempotency.ErrorType[plainError]("plain"),
		idempotency.ErrorValue("sold_out", errSoldOut),
		idempotency.ErrorWhen(func(err error) bool { return strings.Contains(err.Error(), "forever") }),
	}
}

func TestRecordedErrorIsReplayed(t *testing.T) {
	declined := &declinedError{Reason: "limit", Limit: 1<<53 + 1}
	for name, test := range map[string]struct {
		failure error
		code    string
		same    func(error) bool
	}{
		"type": {fmt.Errorf("charge: %w", declined), "CARD_DECLINED", func(err error) bool {
			e, ok := errors.AsType[*declinedError](err)
			return ok && *e == *declined
		}},
		"value type": {plainError{7}, "", func(err error) bool { return errors.Is(err, plainError{7}) }},
		"value":      {fmt.Errorf("order 1: %w", errSoldOut), "", func(err error) bool { return errors.Is(err, errSoldOut) }},
		"accepted":   {errors.New("gone forever"), "", func(err error) bool { return errors.Unwrap(err) == nil }},
		"joined": {errors.Join(errBoom, declined), "CARD_DECLINED", func(err error) bool {
			return errors.As(err, new(*declinedError)) && !errors.Is(err, errBoom)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			g, events := recordingGuard(t, newStore(t), allKinds()...)
			first, err := idempotency.Do(t.Context(), g, charge("k"), failing(7, test.failure))
			wantEqual(t, "first error", err, test.failure)
			wantEqual(t, "first result", first, idempotency.Result[int]{})

			runs := 0
			second, err := idempotency.Do(t.Context(), g, charge("k"), returning(&runs, 8))
			recorded, ok := errors.AsType[*idempotency.RecordedError](err)
			if !ok || !test.same(err) {
				t.Fatalf("got %v (%T)", err, err)
			}
			wantEqual(t, "text", err.Error(), test.failure.Error())
			wantEqual(t, "message", recorded.Message, test.failure.Error())
			wantEqual(t, "code", patterns.Code(err), test.code)
			wantEqual(t, "is ours", errors.Is(err, idempotency.ErrIdempotency), false)
			if !second.IsDuplicate || !second.FromCache || second.Key != "k" || second.Fence == 0 || second.Value != 0 {
				t.Errorf("result: %+v", second)
			}
			wantEqual(t, "runs", runs, 0)

			_, err = idempotency.Process(t.Context(), g, charge("k"), returning(&runs, []byte{}))
			if !errors.As(err, new(*idempotency.RecordedError)) {
				t.Errorf("processed: got %v", err)
			}
			events.want(t, "idempotency.hit", "idempotency.hit")
		})
	}
}

func TestOtherErrorsAreNotRecorded(t *testing.T) {
	g, events := recordingGuard(t, newStore(t), allKinds()...)
	runs := 0
	for range 2 {
		_, err := idempotency.Do(t.Context(), g, charge("k"), func(context.Context) (int, error) {
			runs++
			return 0, errBoom
		})
		wantEqual(t, "error", err, errBoom)
	}
	wantEqual(t, "runs", runs, 2)
	events.want(t, "idempotency.released", "idempotency.released")
}

func TestClassifierThatPanicsFreesTheKey(t *testing.T) {
	g, events := recordingGuard(t, newStore(t), idempotency.ErrorWhen(func(error) bool { panic("ouch") }))
	func() {
		defer func() { wantEqual(t, "panic", recover(), any("ouch")) }()
		_, _ = idempotency.Do(t.Context(), g, charge("k"), failing(0, errBoom))
	}()
	events.want(t, "idempotency.released")
}

func TestErrorOfAKindThatIsNotKnownKeepsItsTextAndCode(t *testing.T) {
	store := newStore(t)
	old, _ := recordingGuard(t, store, allKinds()...)
	_, _ = idempotency.Do(t.Context(), old, charge("k"), failing(0, error(&declinedError{Reason: "limit"})))
	for name, kinds := range map[string][]idempotency.ErrorKind{
		"none": nil, "other": {idempotency.ErrorType[plainError]("plain")},
		"unreadable": {idempotency.ErrorType[textError]("declined")},
	} {
		g, _ := recordingGuard(t, store, kinds...)
		_, err := idempotency.Do(t.Context(), g, charge("k"), returning(new(int), 1))
		recorded, ok := errors.AsType[*idempotency.RecordedError](err)
		if !ok {
			t.Fatalf("%s: got %v", name, err)
		}
		wantEqual(t, name, *recorded, idempotency.RecordedError{ErrorCode: "CARD_DECLINED", Message: "declined: limit"})
	}
}

// textError is an error that JSON holds as a text.
type textError string

func (e textError) Error() string { return string(e) }

func TestRecordedErrorThatCannotBeReadIsAnError(t *testing.T) {
	g, _ := recordingGuard(t, answering{newStore(t), idempotency.Claim{
		Outcome: idempotency.Done, Value: []byte("\x06{\"message\":4711}"),
	}})
	_, err := idempotency.Do(t.Context(), g, charge("k"), returning(new(int), 1))
	wantError[*idempotency.StoreError](t, err)
	if strings.Contains(err.Error(), "4711") {
		t.Errorf("the error holds the result: %v", err)
	}
}

// stubbornError cannot be encoded.
type stubbornError struct{ S stubborn }

func (stubbornError) Error() string { return "stubborn" }

func TestErrorThatCannotBeEncodedUsesTheKeyUp(t *testing.T) {
	g, events := recordingGuard(t, newStore(t), idempotency.ErrorType[stubbornError]("stubborn"))
	_, err := idempotency.Do(t.Context(), g, charge("k"), failing(0, error(stubbornError{true})))
	wantEqual(t, "error", err, error(stubbornError{true}))
	runs := 0
	_, err = idempotency.Do(t.Context(), g, charge("k"), returning(&runs, 1))
	wantError[*idempotency.StoreError](t, err)
	wantEqual(t, "runs", runs, 0)
	events.want(t, "idempotency.completion_failed", "idempotency.hit")
}

// secretError has a part that JSON would leave out.
type secretError struct{ cause error }

func (e *secretError) Error() string { return e.cause.Error() }

func TestKindsOfErrorsAreChecked(t *testing.T) {
	for name, test := range map[string]struct {
		kinds []idempotency.ErrorKind
		field string
	}{
		"zero":       {[]idempotency.ErrorKind{{}}, "recorded_errors[0]"},
		"no func":    {[]idempotency.ErrorKind{idempotency.ErrorWhen(nil)}, "recorded_errors[0]"},
		"no error":   {[]idempotency.ErrorKind{idempotency.ErrorValue("x", nil)}, "recorded_errors[0]"},
		"no name":    {[]idempotency.ErrorKind{idempotency.ErrorValue("", errBoom)}, "recorded_errors[0]"},
		"nameless":   {[]idempotency.ErrorKind{idempotency.ErrorType[plainError]("")}, "recorded_errors[0]"},
		"unexported": {[]idempotency.ErrorKind{idempotency.ErrorType[*secretError]("x")}, "recorded_errors[0]"},
		"interface":  {[]idempotency.ErrorKind{idempotency.ErrorType[error]("x")}, "recorded_errors[0]"},
		"same name": {[]idempotency.ErrorKind{
			idempotency.ErrorValue("x", errBoom), idempotency.ErrorValue("x", errSoldOut)}, "recorded_errors[1]"},
	} {
		_, err := idempotency.New(newStore(t), idempotency.Config{}, idempotency.WithRecordedErrors(test.kinds...))
		wantError[*idempotency.ConfigurationError](t, err)
		wantEqual(t, name, fieldsOf(err), []string{test.field})
	}
}
