package pipeline

// Definition is a pipeline as a configuration file composes it: references to named instances, outermost first. The
// same instance may be part of several pipelines, which then share its state: one circuit breaker, one set of slots.
type Definition struct {
	Steps []Reference
}

// Reference names one instance of one kind of policy. One that has no configuration of its own has the defaults. With the same kind, a pipeline may hold several instances, for
// example a timeout for the whole call and one for each attempt.
type Reference struct {
	Step     Step
	Instance string
}
