# Everything that is run here, by name. `make` lists it.

export CGO_ENABLED := 0
TOOLS := $(CURDIR)/bin/tools
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
WORKFLOWCHECK := go.temporal.io/sdk/contrib/tools/workflowcheck@v0.6.0

# What has tests of its own for real services; the end-to-end tests run in each layout.
SERVICE_TESTS := ./store/... ./search/... ./analytics/... ./embedded/... ./deploy/grafana ./test/cluster ./test/faults
LAYOUTS := embedded mixed separate

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Run everything in one process, with the demo product
	bin/runa serve --demo

.PHONY: build
build: ## Build bin/runa
	go build -ldflags="-s -w" -o bin/runa ./cmd/runa

.PHONY: test
test: build ## Run all tests, the black-box ones on bin/runa; needs only Go
	RUNA_TEST_BINARY=$(CURDIR)/bin/runa go test -timeout 20m ./...

.PHONY: test-services
test-services: build ## Run the tests on real PostgreSQL, Elasticsearch and ClickHouse
	RUNA_TEST_BINARY=$(CURDIR)/bin/runa test/services/run $(MAKE) --no-print-directory on-services

.PHONY: on-services
on-services:
	go test -count=1 -timeout 30m $(SERVICE_TESTS)
	for layout in $(LAYOUTS); do RUNA_TEST_LAYOUT=$$layout go test -count=1 ./test/e2e || exit 1; done

.PHONY: test-race
test-race: ## Run the tests under the race detector; needs gcc
	CGO_ENABLED=1 go test -race -timeout 30m $$(go list ./... | grep -v /test/)

.PHONY: check-deploy
check-deploy: ## Hold docker-compose.yml, the chart and the alerts to their schemas
	cd deploy/check && go test ./...

.PHONY: lint
lint: $(TOOLS) check-deploy ## Run the linters
	go mod tidy -diff
	$(TOOLS)/golangci-lint run
	$(TOOLS)/workflowcheck ./workflows/...

.PHONY: bench
bench: build ## Measure turns, start, memory and disk; prints ratios against an untuned engine
	RUNA_TEST_BINARY=$(CURDIR)/bin/runa go test -run '^$$' -bench . -benchtime 1x -timeout 30m ./test/bench

.PHONY: load
load: build ## Measure several processes on real services beside one, and a product beside another's flood
	RUNA_TEST_BINARY=$(CURDIR)/bin/runa POSTGRES_DURABLE=1 test/services/run go test -run '^$$' -bench . -benchtime 1x -timeout 30m ./test/load

$(TOOLS): Makefile
	mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) go install $(GOLANGCI_LINT)
	GOBIN=$(TOOLS) go install $(WORKFLOWCHECK)
	touch $(TOOLS)
