# Two commands matter: `make demo` and `make test`. Both need Go and make; `make test` gets the
# rest (PostgreSQL, Chromium, nginx, Caddy, wrk, h2load, npm packages) when it may, and says what it skips otherwise.
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
LDFLAGS  = -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)

.PHONY: build release profile demo test tools lint race fuzz bench bench-proxy generate clean

build: ## bin/orgate
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/orgate ./cmd/orgate

release: ## the same by the profile of a loaded data plane: some per cent faster, and twice as long to build
	CGO_ENABLED=0 $(GO) build -trimpath -pgo=cmd/orgate/release.pgo -ldflags '$(LDFLAGS)' -o bin/orgate ./cmd/orgate

profile: ## takes that profile
	./scripts/profile

demo: build ## everything on *.localhost, nothing to set up
	./bin/orgate demo

test: tools ## every test; with REQUIRE_ALL=1 a skip is a failure
	./scripts/test

tools: ## what the tests need from outside Go
	./scripts/tools

lint: ## golangci-lint, pinned in its own module
	./scripts/lint

fuzz: ## every fuzz target for FUZZTIME (10s)
	./scripts/fuzz

bench-proxy: ## orgate against nginx, HAProxy and a tuned ReverseProxy, and the figures to reach; ARGS="-only requests,tls"
	./scripts/bench proxy $(ARGS)

bench: ## Go benchmarks, and then bench-proxy
	./scripts/bench

generate: ## docs and goldens that are made from code
	./scripts/generate

clean:
	rm -rf bin dist
