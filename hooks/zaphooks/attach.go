package zaphooks

import (
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/steadyfx/steady/hooks"
)

// Attach logs every event of b from now on, off the path of the calls that cause them. An entry carries the time of
// its event. Closing the bus, or the subscription alone, writes what is queued. Events that a slow log leaves no room
// for are dropped and counted by both.
func Attach(b *hooks.Bus, log *zap.Logger) *hooks.Subscription {
	// Caller and stack would be those of the goroutine that logs, which say nothing about the event.
	log = log.WithOptions(zap.WithCaller(false), zap.AddStacktrace(zapcore.InvalidLevel))
	return hooks.Subscribe(b, hooks.DefaultQueue, func(event hooks.Event) {
		e := describe(event)
		checked := log.Check(e.level, e.message)
		if checked == nil {
			return
		}
		if !e.at.IsZero() {
			checked.Time = e.at
		}
		checked.Write(append(e.fields, zap.String("event", event.EventName()))...)
	})
}
