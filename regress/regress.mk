# Tests, fuzzing and benchmarks: a part of the Makefile, with paths from the top of the project.

.PHONY: check check-suites check-all check-build check-unit check-sql check-debezium check-demo check-versions check-deb check-container check-e2e check-asan \
	check-backfill-model \
	check-bench check-forwarder check-forwarder-unit check-forwarder-e2e check-forwarder-long check-forwarder-asan \
	check-forwarder-tsan check-torture check-planted torture torture-backfill torture-postgres test-modules forwarder-tests fuzz bench bench-server \
	bench-forwarder bench-backfill bench-subscription bench-memory bench-peers bench-report bench-record bench-plugins bench-clients

## Suites #######################################################################################

# `check` is the minimum for a change, a quarter of an hour; `check-all` takes longer. The first suites mostly wait, so
# two of them run side by side. The longest suite begins.
SUITES = check-format check-boundaries check-forwarder-e2e check-e2e check-forwarder-unit check-sql check-unit \
	check-backfill-model
LONG_SUITES = check-forwarder-asan check-forwarder-long check-fuzz check-asan check-forwarder-tsan check-debezium check-demo
# These suites use the whole machine.
LONE_SUITES = check-torture check-bench

# PGXS has a recipe for check, which only says that it cannot: that recipe is run by a shell that does
# nothing, and what check depends on does the work.
check: private SHELL = /bin/true
check: check-suites

check-suites:
	@.ci/packages check || $(MAKE) --no-print-directory deps-test
	@$(PYTHON) -B regress/suites check-build -j2 $(SUITES)

check-all:
	@.ci/packages check || $(MAKE) --no-print-directory deps-test
	@$(PYTHON) -B regress/suites check-build -j2 $(SUITES) $(LONG_SUITES) -j1 $(LONE_SUITES)

UNIT_TESTS = $(patsubst plugin/test/%.c,build/unit/%,$(wildcard plugin/test/test_*.c))

# Builds all that the suites of `check` need, so that suites do not build at the same time: they get BUILT=1.
check-build: plugin test-modules bench-plugins $(UNIT_TESTS) forwarder-tests

# The tests again, on other versions of the server: VERSIONS="16 18" says which.

VERSIONS ?=

check-versions: $(if $(findstring --e2e,$(VERSIONS_FLAGS)),forwarder)
	$(PYTHON) -B regress/versions/run $(VERSIONS_FLAGS) $(VERSIONS)

# The Debian packages, built, installed, used and removed on fresh systems; the steps of the container images
# on such systems. Both need root and debootstrap, and are part of no other target.

RELEASES ?=

check-deb:
	$(PYTHON) -B regress/packages/run $(RELEASES)

check-container:
	$(PYTHON) -B regress/packages/containers

# Unit tests: each test_*.c is a program, linked with the pure files.

UNIT_LIBS = -lcmocka -L$(pkglibdir) -lpgcommon -lpgport -lm

check-unit: $(UNIT_TESTS)
	@for test in $(UNIT_TESTS); do echo "$$test"; $$test || exit 1; done

build/unit/%: plugin/test/%.c $(PURE_OBJS) $(wildcard plugin/test/*.h)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -o $@ $< $(PURE_OBJS) $(LDFLAGS) $(UNIT_LIBS)

FORWARDER_TESTS = $(wildcard regress/e2e/test_forwarder*.py) regress/e2e/test_gaps.py regress/e2e/test_promotion.py \
	regress/e2e/test_documents.py regress/e2e/test_code_blocks.py

TEST_MODULES = build/modules/walspout_test_casts.so

test-modules: $(TEST_MODULES)

build/modules/%.so: regress/modules/%.c
	@mkdir -p $(@D)
	$(CC) $(filter-out -MMD -MP,$(CPPFLAGS)) $(CFLAGS) -shared -o $@ $<

check-sql: $(if $(BUILT),,plugin test-modules)
	$(PYTHON) regress/run_sql $(TESTS)

# The dialect debezium beside Debezium's own connector, which Maven fetches. Without Java nothing is compared.
check-debezium: $(if $(BUILT),,plugin)
	$(PYTHON) -B regress/debezium/run $(CASES)

# The demo with the program that it builds itself, from files that are compiled together.
check-demo: $(if $(BUILT),,plugin) quick-forwarder
	@WALSPOUT=$(abspath $(QUICK_BUILD)/walspout) $(PYTHON) -B regress/demo

check-e2e: $(if $(BUILT),,plugin test-modules bench-plugins)
	$(PYTHON) -B -m pytest -p no:cacheprovider -q regress/e2e \
		$(FORWARDER_TESTS:%=--ignore=%) \
		$(PYTEST_FLAGS)

BENCH_CHECKED = build/bench/checked
BENCH_PLOTS = decoding throughput wire latency recovery memory_transaction memory_outage

check-bench: plugin forwarder bench-plugins bench-clients
	@rm -rf $(BENCH_CHECKED) && mkdir -p $(BENCH_CHECKED)
	$(PYTHON) regress/bench/run --scale 0.01 --rounds 1 --json $(BENCH_CHECKED)/server.json
	$(PYTHON) regress/bench/end_to_end --scale 0.01 --rounds 1 --seconds 1 --kills 2 \
		--json $(BENCH_CHECKED)/end_to_end.json
	$(PYTHON) regress/bench/backfill --scale 0.01 --rounds 1 --seconds 1 --json $(BENCH_CHECKED)/backfill.json
	$(PYTHON) regress/bench/subscription --scale 0.01 --rounds 1 --seconds 1 --json $(BENCH_CHECKED)/subscription.json
	$(PYTHON) regress/bench/peers --only walspout,wal2json --scale 0.01 --seconds 1 --json $(BENCH_CHECKED)/peers.json
	$(PYTHON) regress/bench/memory --scale 0.01 --minutes 0.05 --json $(BENCH_CHECKED)/memory.json
	$(PYTHON) regress/bench/report --record $(BENCH_CHECKED)/recorded $(BENCH_CHECKED) >/dev/null
	@$(PYTHON) -c 'import sys, xml.etree.ElementTree as xml; [xml.parse(p) for p in sys.argv[1:]]' \
		$(BENCH_PLOTS:%=$(BENCH_CHECKED)/recorded/%.svg)

# The rules of the backfill: no order of steps breaks them, and each planted mistake is found.
check-backfill-model:
	$(PYTHON) -B regress/backfill_model.py --seconds 20

# The forwarder. Its tests are built, and warnings are errors, from the first time on.

check-forwarder:
	@$(MAKE) --no-print-directory check-forwarder-unit
	@$(MAKE) --no-print-directory check-forwarder-e2e BUILT=$(BUILT)

forwarder-tests:
	@$(MAKE) --no-print-directory configure-forwarder \
		FORWARDER_FLAGS='-DWALSPOUT_TESTS=ON -DWALSPOUT_WERROR=ON $(FORWARDER_FLAGS)'
	@ninja -C $(FORWARDER_BUILD) -j$(JOBS)

check-forwarder-unit: $(if $(BUILT),,forwarder-tests)
	cd $(FORWARDER_BUILD) && ctest -j4 --output-on-failure

check-forwarder-e2e: $(if $(BUILT),,plugin test-modules bench-plugins forwarder-tests)
	$(PYTHON) -B -m pytest -p no:cacheprovider -q -n 3 -m "not long" --durations=25 \
		$(FORWARDER_TESTS) $(PYTEST_FLAGS)

check-forwarder-long: $(if $(BUILT),,plugin test-modules bench-plugins forwarder-tests)
	$(PYTHON) -B -m pytest -p no:cacheprovider -q -n 3 -m long $(FORWARDER_TESTS) $(PYTEST_FLAGS)

# The forwarder's tests again, instrumented: for addresses and undefined behaviour, and for threads. clang compiles both,
# and g++ the ordinary build, so both compilers see all code. The fuzzers are part of the first build.
SANITIZE_address = -DWALSPOUT_SANITIZE=address -DWALSPOUT_FUZZERS=ON
SANITIZE_thread = -DWALSPOUT_SANITIZE=thread

define instrument  # $(1): a sanitizer
	@mkdir -p build
	@cmake -S . -B $(FORWARDER_BUILD)-$(1) -G Ninja -DCMAKE_CXX_COMPILER=clang++ $(SANITIZE_$(1)) $(FORWARDER_FLAGS) \
		>$(FORWARDER_BUILD)-$(1).log 2>&1 || { cat $(FORWARDER_BUILD)-$(1).log; exit 1; } >&2
endef

check-forwarder-asan:
	$(call instrument,address)
	@ninja -C $(FORWARDER_BUILD)-address -j$(JOBS)
	cd $(FORWARDER_BUILD)-address && ctest -j4 --output-on-failure
	@$(MAKE) --no-print-directory fuzz-forwarder $(FUZZ_CHECK)

check-forwarder-tsan:
	$(call instrument,thread)
	@ninja -C $(FORWARDER_BUILD)-thread -j$(JOBS)
	cd $(FORWARDER_BUILD)-thread && TSAN_OPTIONS='suppressions=$(CURDIR)/forwarder/test/tsan.suppressions' \
		ctest -j4 --output-on-failure

# Torture: the checker's own tests, then every kind of fault for a few seconds, sink by sink. `torture` runs as long as
# you like.

TORTURE = $(PYTHON) -B regress/torture/run
TORTURE_BACKFILL = $(PYTHON) -B regress/torture/backfill/run
TORTURE_POSTGRES = $(PYTHON) -B regress/torture/postgres/run
RUNS ?= 200
SECONDS ?= 4
SEED ?= 1

check-torture: plugin forwarder build/torture/clock_preload.so
	$(PYTHON) -B -m pytest -p no:cacheprovider -q regress/torture/test_checker.py \
		regress/torture/test_faults.py regress/torture/backfill/test_receiver.py regress/torture/planted/test_planted.py \
		regress/torture/postgres/test_model.py
	$(TORTURE) --each --seconds 6
	$(TORTURE_BACKFILL) --runs 3 --seconds 6
	$(TORTURE_POSTGRES) --runs 3 --seconds 12

torture: plugin forwarder build/torture/clock_preload.so
	$(TORTURE) --runs $(RUNS) --seconds $(SECONDS) --seed $(SEED) --json build/torture/result.json $(TORTURE_FLAGS)

torture-backfill: plugin forwarder
	$(TORTURE_BACKFILL) --runs $(RUNS) --seconds $(SECONDS) --seed $(SEED)

torture-postgres: plugin forwarder
	$(TORTURE_POSTGRES) --runs $(RUNS) --seconds $(SECONDS) --seed $(SEED)

# Whether the torture of the backfill finds planted mistakes: not part of check. Takes half an hour or more.
check-planted: plugin
	$(PYTHON) -B regress/torture/planted/run $(PLANTED_FLAGS)

build/torture/clock_preload.so: regress/torture/clock_preload.c
	@mkdir -p $(@D)
	$(CC) -O2 -Wall -Wextra $(if $(WERROR),-Werror) -shared -fPIC -o $@ $< -ldl

# The address sanitizer: all sources compiled at once, beside the ordinary objects.

ASAN_FLAGS = -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
PLUGIN_SOURCES = $(OBJS:.o=.c)
PURE_SOURCES = $(PURE_OBJS:.o=.c)
PLUGIN_HEADERS = $(wildcard plugin/*.h)
ASAN_TESTS = $(UNIT_TESTS:build/unit/%=build/asan/%)

check-asan: plugin test-modules build/asan/walspout.so build/asan/preload.so $(ASAN_TESTS)
	@for test in $(ASAN_TESTS); do echo "$$test"; ASAN_OPTIONS=detect_leaks=0 $$test || exit 1; done
	$(PYTHON) regress/run_sql --asan build/asan $(TESTS)

build/asan/walspout.so: $(PLUGIN_SOURCES) $(PLUGIN_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(filter-out -MMD -MP,$(CPPFLAGS)) $(CFLAGS) $(ASAN_FLAGS) -shared -o $@ $(PLUGIN_SOURCES)

build/asan/preload.so: regress/asan_preload.c
	@mkdir -p $(@D)
	$(CC) -shared -fPIC -o $@ $<

build/asan/%: plugin/test/%.c $(PURE_SOURCES) $(PLUGIN_HEADERS) $(wildcard plugin/test/*.h)
	@mkdir -p $(@D)
	$(CC) $(filter-out -MMD -MP,$(CPPFLAGS)) $(CFLAGS) $(ASAN_FLAGS) -o $@ $< $(PURE_SOURCES) $(LDFLAGS) $(UNIT_LIBS)

# Fuzzing: each fuzz_*.c is a program, linked with the pure files and with libFuzzer. Without clang or its libFuzzer,
# driver.c makes random inputs, without looking at coverage.

FUZZERS = $(patsubst plugin/test/%.c,build/fuzz/%,$(wildcard plugin/test/fuzz_*.c))
FUZZ_FLAGS = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-fno-strict-aliasing -fwrapv
LIBFUZZER = $(shell mkdir -p build/fuzz; echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' | \
	clang -fsanitize=fuzzer,address -x c -o build/fuzz/probe - 2>/dev/null && echo yes)
FUZZ_CC ?= $(if $(LIBFUZZER),clang -Wno-ignored-attributes -fsanitize=fuzzer,$(CC) plugin/test/driver.c)
ifndef FUZZ_SEED
FUZZ_SEED := $(shell date +%s)
endif

fuzz: fuzz-files fuzz-forwarder fuzz-options

# A check gives the same result twice: new inputs are looked for by `make fuzz`. check-forwarder-asan builds the
# forwarder's fuzzers, and runs them.
FUZZ_CHECK = FUZZ_SECONDS=4 FUZZ_SEED=1
check-fuzz:
	@$(MAKE) --no-print-directory fuzz-files fuzz-options $(FUZZ_CHECK)

.PHONY: check-fuzz fuzz-files fuzz-forwarder fuzz-options
fuzz-files: $(FUZZERS)
	@for fuzzer in $(FUZZERS); do \
		mkdir -p $$fuzzer.corpus; \
		echo "$$fuzzer: $(FUZZ_SECONDS) s, FUZZ_SEED=$(FUZZ_SEED)"; \
		ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=16 $$fuzzer -max_total_time=$(FUZZ_SECONDS) \
			-seed=$(FUZZ_SEED) -print_final_stats=1 -verbosity=0 -artifact_prefix=$$fuzzer. \
			$$fuzzer.corpus >$$fuzzer.log 2>&1 || { cat $$fuzzer.log; exit 1; }; \
		sed -n 's/^stat::number_of_executed_units: *\(.*\)/\1 inputs/p; /random inputs/p' $$fuzzer.log; \
	done

# The forwarder's fuzzers, with first inputs. They need libFuzzer, which comes with clang.
FORWARDER_FUZZERS = \
	source/frames \
	config/config \
	sink/http/http_answer \
	sink/exec/exec_answer \
	sink/redis/redis \
	sink/nats/nats \
	source/kafka/message

fuzz-forwarder:
	@[ '$(LIBFUZZER)' = yes ] || { echo 'fuzz-forwarder: clang has no libFuzzer here' >&2; exit 1; }
	$(call instrument,address)
	@ninja -C $(FORWARDER_BUILD)-address -j$(JOBS) $(patsubst %,%_fuzz,$(notdir $(FORWARDER_FUZZERS)))
	@for fuzzer in $(FORWARDER_FUZZERS); do \
		name=$(FORWARDER_BUILD)-address/$$(basename $$fuzzer); \
		mkdir -p $$name.corpus; \
		echo "$${name}_fuzz: $(FUZZ_SECONDS) s, FUZZ_SEED=$(FUZZ_SEED)"; \
		ASAN_OPTIONS=quarantine_size_mb=16 $${name}_fuzz -max_total_time=$(FUZZ_SECONDS) -timeout=10 \
			-rss_limit_mb=1500 -seed=$(FUZZ_SEED) -print_final_stats=1 -verbosity=0 \
			-artifact_prefix=$$name. $$name.corpus forwarder/test/$${fuzzer}_corpus \
			>$$name.log 2>&1 || { cat $$name.log; exit 1; }; \
		sed -n 's/^stat::number_of_executed_units: *\(.*\)/\1 inputs/p' $$name.log; \
	done

fuzz-options: plugin
	$(PYTHON) -B regress/fuzz_options.py --seconds $(FUZZ_SECONDS) --seed $(FUZZ_SEED)

build/fuzz/%: plugin/test/%.c $(PURE_SOURCES) $(PLUGIN_HEADERS) $(wildcard plugin/test/*.h)
	@mkdir -p $(@D)
	$(FUZZ_CC) $(filter-out -MMD -MP,$(CPPFLAGS)) $(FUZZ_FLAGS) -o $@ $< $(PURE_SOURCES) -L$(pkglibdir) -lpgcommon -lpgport -lm

## Benchmarks ###################################################################################

BENCH_PLUGINS = \
	build/bench/bench_null.so \
	build/bench/bench_floor.so

BENCH_CLIENTS = \
	build/bench/clients/stream_latency \
	build/bench/clients/bare_http \
	build/bench/clients/bare_rabbitmq \
	build/bench/clients/bare_nats \
	build/bench/clients/bare_kafka

BENCHED = build/bench

# One after the other, whatever -j says.
bench:
	@mkdir -p $(BENCHED)
	@$(MAKE) --no-print-directory bench-server \
		BENCH_FLAGS='--json $(BENCHED)/server.json $(BENCH_FLAGS)'
	@$(MAKE) --no-print-directory bench-forwarder \
		END_TO_END_FLAGS='--json $(BENCHED)/end_to_end.json $(END_TO_END_FLAGS)'
	@$(MAKE) --no-print-directory bench-backfill \
		BACKFILL_FLAGS='--json $(BENCHED)/backfill.json $(BACKFILL_FLAGS)'
	@$(MAKE) --no-print-directory bench-subscription \
		SUBSCRIPTION_FLAGS='--json $(BENCHED)/subscription.json $(SUBSCRIPTION_FLAGS)'
	@$(MAKE) --no-print-directory bench-memory \
		MEMORY_FLAGS='--json $(BENCHED)/memory.json $(MEMORY_FLAGS)'
	@$(MAKE) --no-print-directory bench-report

bench-server: plugin bench-plugins
	$(PYTHON) regress/bench/run $(BENCH_FLAGS)

bench-forwarder: plugin forwarder bench-clients
	$(PYTHON) regress/bench/end_to_end $(END_TO_END_FLAGS)

bench-backfill: plugin forwarder bench-clients
	$(PYTHON) regress/bench/backfill $(BACKFILL_FLAGS)

bench-subscription: plugin forwarder
	$(PYTHON) regress/bench/subscription $(SUBSCRIPTION_FLAGS)

bench-memory: plugin forwarder
	$(PYTHON) regress/bench/memory $(MEMORY_FLAGS)

# Side by side with Debezium Server, which Maven fetches, and with a loop around wal2json: not part of bench.
bench-peers: plugin forwarder
	$(PYTHON) regress/bench/peers $(PEERS_FLAGS)

bench-report:
	@$(PYTHON) regress/bench/report $(BENCHED)

bench-record:
	@$(PYTHON) regress/bench/report --record regress/results $(BENCHED)

bench-plugins: $(BENCH_PLUGINS)

bench-clients: $(BENCH_CLIENTS)

build/bench/clients/%: regress/bench/clients/%.c
	@mkdir -p $(@D)
	$(CC) -O2 -Wall -Wextra $(if $(WERROR),-Werror) -o $@ $< $(LIBS_$*)

LIBS_stream_latency = -lhiredis
LIBS_bare_http = -lcurl
LIBS_bare_rabbitmq = -lrabbitmq
LIBS_bare_nats = -lnats
LIBS_bare_kafka = -lrdkafka

build/bench/%.so: regress/bench/plugins/%.c
	@mkdir -p $(@D)
	$(CC) $(filter-out -MMD -MP,$(CPPFLAGS)) $(CFLAGS) -shared -o $@ $<

