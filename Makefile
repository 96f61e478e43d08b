# Targets with a ## comment are listed by `make help`.

GO       ?= go
STORE    ?= memory
FUZZTIME ?= 10s
COUNT    ?= 5
ROUNDS   ?= 9

LINT  = $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
SHELL = bash

# On a CI machine, a test that cannot run is a failure.
ifdef CI
export STEADY_TEST_REQUIRE_SERVICES = 1
endif

.PHONY: help run test race lint bench cover fuzz tidy services

help: ## List the targets (default)
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Run the payments example (STORE=memory, sqlite, redis, postgres or mysql; REPLICAS=n to kill; CONFIG=file)
	@$(if $(SERVER_OF_$(STORE)),.ci/services $(SERVER_OF_$(STORE)))
	$(GO) build -o bin/payments ./examples/payments
	bin/payments -store=$(STORE) $(if $(REPLICAS),-replicas=$(REPLICAS)) $(if $(CONFIG),-config=$(CONFIG))

SERVER_OF_redis    = redis
SERVER_OF_postgres = postgresql
SERVER_OF_mysql    = mariadb

# Allocations cannot be counted under the race detector, and it slows down races over 1,000 keys, so packages with such
# tests are tested once more without.
test: services ## Run the tests with the race detector, in random order
	$(GO) test -race -shuffle=on ./...
	$(GO) test $$(grep -rl --include='*_test.go' '^//go:build !race' . | xargs -n1 dirname | sort -u)

race: services ## Run what is concurrent again and again (COUNT=5) on one and on four processors, with the race detector
	$(GO) test -race -shuffle=on -count=$(COUNT) -cpu=1,4 ./hooks/... ./patterns/... ./stores/...

lint: ## Check format, go vet, go.mod and golangci-lint
	@files=$$(gofmt -l .) && { [ -z "$$files" ] || { echo "gofmt -w $$files" >&2; exit 1; }; }
	$(GO) vet ./...
	cd bench && $(GO) vet ./...
	$(GO) mod tidy -diff
	$(LINT) run

# A module of its own, so that nobody who uses this one has to download what it is compared with.
bench: ## Measure Steady and other libraries in turns, ROUNDS=9; for one package: go test -bench=. ./patterns/retry
	cd bench && $(GO) test ./... && $(GO) run . -rounds=$(ROUNDS)

cover: services ## Measure the coverage of each package, and of all, into cover.out
	$(GO) test -coverprofile=cover.out ./...
	$(GO) tool cover -func=cover.out | tail -n 1

fuzz: ## Run each fuzz test for FUZZTIME=10s
	@grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | while IFS=: read -r file func; do \
		echo "$${func#func } of $$(dirname $$file)"; \
		$(GO) test -run='^$$' -fuzz="^$${func#func }$$" -fuzztime=$(FUZZTIME) $$(dirname $$file) || exit 1; \
	done

tidy: ## Format the code and bring go.mod and go.sum up to date
	gofmt -w .
	$(GO) mod tidy
	cd bench && $(GO) mod tidy

services: ## Install what the tests run against, where possible; else say what to install
	@.ci/services
