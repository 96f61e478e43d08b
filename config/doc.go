// Package config loads the configuration of a service: files, the environment and explicit values become one [Tree]
// of validated Go values.
//
//	tree, err := config.Load(
//		config.File("app.yaml"),
//		config.OptionalFile("app.local.yaml"),
//		config.Env(nil),
//		config.Section("payments", &payments),
//	)
//
// # Layers
//
// Everything has a default. The sources given to [Load] are applied in the order of the arguments, and a later one
// wins key by key, so pass them from general to particular: files, then [Env], then [Values]. A list replaces a list.
// A key without a value (YAML's "retry:" with nothing below, null in JSON) says nothing and hides nothing.
//
// # Instances
//
// Each pattern has a section below resilience: circuit_breaker, retry, timeout, bulkhead, adaptive_bulkhead,
// rate_limit, throttle, adaptive_throttle, hedge, and budget for those that pay for the attempts of retries and hedges.
// The own keys of a section are what every instance starts from. Below them, base.<name> is a named set of values and
// instances.<name> is one instance, which may say "extends: <base>":
//
//	resilience:
//	  budget:
//	    instances:
//	      payments: {percent: 10}
//	  retry:
//	    max_attempts: 4
//	    base:
//	      patient: {max_delay: 2m, budget: payments}
//	    instances:
//	      api.payments: {extends: patient, base_delay: 250ms}
//	  pipelines:
//	    payments:
//	      steps: [fallback, total_timeout, bulkhead, {retry: api.payments}]
//
// A step of a pipeline that is only a kind ("bulkhead") is the instance that has the name of the pipeline, or the
// section's own values if there is none. A step that names an instance needs that instance to be configured. The step
// total_timeout is a timeout for the whole call; without the name of an instance it is the one called as the pipeline
// with ".total" behind. The policy behind a step fallback or custom comes from the program, under that name.
//
// # Values
//
// A duration is a number of seconds or a string such as "1.5s". Text is read as what is wanted, so that the
// environment can set everything: "3" is a number, "true" a boolean, "a,b" a list. A number where text is wanted is an
// error. In [Env] the keys are in capitals and joined by two underscores, and a name is matched without regard to
// case and punctuation:
//
//	STEADY_RESILIENCE__RETRY__INSTANCES__API_PAYMENTS__MAX_ATTEMPTS=5
//
// # Mistakes
//
// Loading is strict: an unknown key, a value of the wrong type, a value out of range, an unknown name, a key written
// twice are errors. So is a key that has no effect because of another one, such as the jitter_kind of a retry without
// jitter, unless something that inherits the key uses it, or it is a later source that switches it off. All mistakes are
// reported at once, each as an [*Error] with its path, its source and, where there is one, a suggestion. Values of keys
// that hold secrets (a password, a DSN) are in no error. Steps that do not fit together, such as a timeout that is longer
// than the one around it, are reported when there is no other mistake.
package config
