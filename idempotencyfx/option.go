package idempotencyfx

import (
	"fmt"
	"reflect"
	"slices"

	"go.uber.org/fx"

	"github.com/steadyfx/steady/patterns/idempotency"
)

// AsOption is for fx.Provide: it gives the guard, or the [Middleware], what a file cannot say. The first result of the
// constructor is an idempotency.Option, such as the one of idempotency.WithEncryption, or an idempotency.MiddlewareOption:
//
//	fx.Provide(idempotencyfx.AsOption(func(keys *vault.Keys) idempotency.Option {
//		return idempotency.WithEncryption(keys.Current, keys.Older...)
//	}))
//
// A constructor that returns nil gives nothing. The options are applied in no particular order: give each kind of them
// once. Two that change what is stored, such as two encryptions, are an error.
func AsOption(constructor any) any {
	t := reflect.TypeOf(constructor)
	if t == nil || t.Kind() != reflect.Func || t.NumOut() == 0 || !isOption(t.Out(0)) {
		// Fx would provide anything else, and nobody would ask for it. Of this it prints the message.
		return fmt.Errorf("what idempotencyfx.AsOption was given, %v: its first result must be an idempotency.Option or an "+
			"idempotency.MiddlewareOption", t)
	}
	return fx.Annotate(constructor, fx.ResultTags(`group:"idempotency.options"`))
}

func isOption(t reflect.Type) bool {
	return t == reflect.TypeFor[idempotency.Option]() || t == reflect.TypeFor[idempotency.MiddlewareOption]()
}

// given returns the options without those that are nil.
func given[O ~func(T), T any](options []O) []O {
	return slices.DeleteFunc(slices.Clone(options), func(o O) bool { return o == nil })
}
