package config_test

import (
	"fmt"

	"github.com/steadyfx/steady/config"
)

func Example() {
	var app struct {
		Provider struct {
			URL string `koanf:"url"`
		} `koanf:"provider"`
	}
	tree, err := config.Load(
		config.File("testdata/good.yaml"),
		config.Env([]string{"STEADY_RESILIENCE__RETRY__INSTANCES__PAYMENTS__MAX_ATTEMPTS=4"}), // nil for that of the process
		config.Section("payments", &app),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	retry := tree.Resilience.Retry.For("payments")
	fmt.Println("attempts:", retry.MaxAttempts, "from", tree.Source("resilience.retry.instances.payments.max_attempts"))
	fmt.Println("longest delay:", retry.MaxDelay, "from", tree.Source("resilience.retry.instances.payments.max_delay"))
	fmt.Println("factor:", retry.BackoffFactor, "from", tree.Source("resilience.retry.instances.payments.backoff_factor"))
	for _, step := range tree.Resilience.Pipelines["payments"].Steps {
		fmt.Println("step:", step.Step, step.Instance)
	}
	fmt.Println("provider:", app.Provider.URL)
	// Output:
	// attempts: 4 from env STEADY_RESILIENCE__RETRY__INSTANCES__PAYMENTS__MAX_ATTEMPTS
	// longest delay: 2m0s from testdata/good.yaml
	// factor: 2 from default
	// step: bulkhead payments
	// step: retry payments
	// step: circuit_breaker provider
	// step: timeout provider.attempt
	// provider: https://provider.example
}

func ExampleLoad_mistakes() {
	_, err := config.Load(config.File("testdata/mistakes.yaml"))
	fmt.Println(err)
	// Output:
	// resilience.retry.max_atempts: unknown key; did you mean "max_attempts"? (testdata/mistakes.yaml:3)
	// resilience.retry.base_delay: max_delay must be at least base_delay (1m30s), got 1m0s (testdata/mistakes.yaml:4)
}
