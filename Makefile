# walspout: the output plugin with its extension, and the forwarder. `make help` lists the targets.
#
# The plugin is built by PGXS, here; the forwarder by CMakeLists.txt, which is called from here.
# Everything built outside plugin/*.o goes to build/. Tests start servers of their own from a
# private copy of the installation: no target but install and deps changes anything in the system.

PG_CONFIG ?= pg_config
PYTHON ?= /usr/bin/python3
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 20

## The plugin: stages in the order in which a change meets them #################################

MODULE_big = walspout
OBJS = \
	plugin/walspout.o \
	plugin/options.o \
	plugin/filter.o \
	plugin/row_filter.o \
	plugin/relation.o \
	plugin/watch.o \
	plugin/shape.o \
	plugin/types.o \
	plugin/calls.o \
	plugin/row.o \
	plugin/values.o \
	plugin/nested.o \
	plugin/guard.o \
	plugin/sandbox.o \
	plugin/budget.o \
	plugin/present.o \
	plugin/text.o \
	plugin/format.o \
	plugin/json.o \
	plugin/envelope.o \
	plugin/syntax.o \
	plugin/frames.o \
	plugin/output.o

EXTENSION = plugin/walspout
DATA = plugin/walspout--1.0.sql

# Files that call nothing of the server but palloc and StringInfo: unit tests link them.
PURE_OBJS = \
	plugin/format.o \
	plugin/json.o \
	plugin/syntax.o \
	plugin/frames.o

WARNINGS = \
	-Wall \
	-Wextra \
	-Wshadow \
	-Wstrict-prototypes \
	-Wno-missing-field-initializers \
	-Wno-sign-compare \
	-Wno-unused-parameter \
	$(if $(WERROR),-Werror)

# Nobody is to replace one of our functions by one of the same name: so the compiler may inline
# them, and calls between files need no table.
PG_CPPFLAGS = -Iplugin -MMD -MP
PG_CFLAGS = $(WARNINGS) -fno-semantic-interposition
SHLIB_LINK = -Wl,-Bsymbolic
export PG_CONFIG PYTHON

EXTRA_CLEAN = build $(OBJS:.o=.d)

# No bitcode: it would need the clang that the server was built with.
override with_llvm = no

PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifneq ($(wildcard $(PGXS)),)
include $(PGXS)
else
all install:
	@echo "no server headers ($(PG_CONFIG) --pgxs): 'make deps' installs them" >&2; exit 1
endif

-include $(OBJS:.o=.d)

# `all` and `install` are of PGXS, and do the plugin. They do the forwarder, too, where its libraries
# are; a server for the plugin alone need not have them.
ifndef PLUGIN_ONLY
ifeq ($(shell .ci/packages check forwarder 2>/dev/null && echo yes),yes)
all: forwarder
install: install-forwarder
else
all install: no-forwarder
endif
endif

no-forwarder:
	@.ci/packages check forwarder || \
		echo "The forwarder is left out, the plugin is not. 'make deps' installs what is missing." >&2

plugin:
	@$(MAKE) --no-print-directory PLUGIN_ONLY=1 all

install-plugin:
	@$(MAKE) --no-print-directory PLUGIN_ONLY=1 install

## The forwarder ################################################################################

FORWARDER_BUILD = build/forwarder
JOBS ?= $(shell nproc 2>/dev/null || echo 1)

forwarder: configure-forwarder
	@ninja -C $(FORWARDER_BUILD) -j $(JOBS) walspout

# FORWARDER_FLAGS are cmake's. Tests and strictness are for those who develop.
configure-forwarder:
	@command -v cmake >/dev/null && command -v ninja >/dev/null || \
		{ echo "no cmake or no ninja: 'make deps' installs them" >&2; exit 1; }
	@mkdir -p build
	@cmake -S . -B $(FORWARDER_BUILD) -G Ninja \
		$(if $(wildcard $(FORWARDER_BUILD)/build.ninja),,-DWALSPOUT_TESTS=OFF -DWALSPOUT_WERROR=OFF) \
		$(FORWARDER_FLAGS) >$(FORWARDER_BUILD).log 2>&1 || \
		{ cat $(FORWARDER_BUILD).log; echo "'make deps' installs what is missing"; exit 1; } >&2

install-forwarder: forwarder
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/lib/systemd/system' \
		'$(DESTDIR)$(PREFIX)/share/doc/walspout'
	install -m 755 $(FORWARDER_BUILD)/walspout '$(DESTDIR)$(PREFIX)/bin/'
	install -m 644 forwarder/walspout.example.yaml '$(DESTDIR)$(PREFIX)/share/doc/walspout/'
	sed 's,/usr/local,$(PREFIX),' forwarder/walspout.service \
		>'$(DESTDIR)$(PREFIX)/lib/systemd/system/walspout.service'
	chmod 644 '$(DESTDIR)$(PREFIX)/lib/systemd/system/walspout.service'

## The demo #####################################################################################

demo:
	@.ci/packages check demo || .ci/packages install demo
	@mkdir -p build
	@echo 'Building both programs, a minute or two the first time; see build/demo.log'
	@$(MAKE) --no-print-directory plugin forwarder >build/demo.log 2>&1 || \
		{ tail -n 40 build/demo.log; exit 1; } >&2
	@$(PYTHON) -B regress/demo $(DEMO_FLAGS)

# Some of them are folders, too.
.PHONY: plugin forwarder no-forwarder configure-forwarder install-plugin install-forwarder demo
.PHONY: test-modules check-forwarder check-forwarder-asan check-forwarder-tsan check-torture torture
.PHONY: help check check-unit check-sql check-versions check-e2e check-asan check-bench check-format \
	check-boundaries fuzz bench bench-server bench-forwarder bench-memory bench-report \
	bench-record bench-plugins bench-clients format deps deps-test

help:
	@echo 'make demo          build, start private servers, watch changes arrive in Redis, at a webhook'
	@echo '                   and in RabbitMQ; DEMO_FLAGS=--stay to play with it; leaves nothing behind'
	@echo 'make               build the plugin and the forwarder'
	@echo 'make install       install both: the plugin where PG_CONFIG says, the forwarder under'
	@echo '                   PREFIX=/usr/local; DESTDIR is honoured'
	@echo 'make plugin        one of them: also install-plugin, forwarder, install-forwarder'
	@echo 'make check         the tests that every change must pass; installs what they need where it can'
	@echo 'make check-all     these, and what takes longer: fuzzers, sanitizers, torture, benchmarks'
	@echo '  check-unit       files that need no server (cmocka)'
	@echo '  check-fuzz       the fuzzers, a few seconds each'
	@echo '  check-sql        regression and isolation tests (TESTS="name ..." for some of them)'
	@echo '  check-e2e        end to end, through pg_recvlogical (PYTEST_FLAGS="-k name")'
	@echo '  check-asan       unit, regression and isolation tests under the address sanitizer'
	@echo '  check-forwarder  the forwarder: unit tests, sinks, end to end (also -asan, -tsan)'
	@echo '  check-torture    faults of every kind, a few seconds each (make torture: for long)'
	@echo '  check-versions   SQL tests on PostgreSQL 13, 16, 17, 18 and 19, which are fetched (VERSIONS="16 18";'
	@echo '                   VERSIONS_FLAGS=--e2e): not part of check'
	@echo '  check-bench      the benchmarks on very little data'
	@echo '  check-format     layout of the sources'
	@echo '  check-boundaries which file may know what'
	@echo 'make torture       kill, freeze, cut, fill up and delay everything at random moments, and check what'
	@echo '                   arrived (RUNS=200 of SECONDS=4 each, from SEED=1: 40 minutes)'
	@echo 'make fuzz          fuzz pure files, slot options, what the forwarder reads (FUZZ_SECONDS=20 each,'
	@echo '                   FUZZ_SEED=1)'
	@echo 'make bench         all benchmarks and a report of them in build/bench, an hour and a half; leave the'
	@echo '                   machine alone while they run'
	@echo '  bench-server     the plugin, compared with others (BENCH_FLAGS="--help")'
	@echo '  bench-forwarder  the forwarder, end to end (END_TO_END_FLAGS="--help")'
	@echo '  bench-memory     of walsender and forwarder: a large transaction, an outage of an hour'
	@echo '                   (MEMORY_FLAGS="--help")'
	@echo '  bench-report     the report again, from the figures of the last make bench'
	@echo '  bench-record     the same, into regress/results, to be committed'
	@echo 'make format        lay out the sources as check-format wants them'
	@echo 'make deps          install what building needs'
	@echo 'make deps-test     install what building and testing need'
	@echo 'WERROR=1           makes warnings errors'

## Tests ########################################################################################

# What a change needs at the least, in a quarter of an hour; and what takes longer.
SUITES = check-format check-boundaries check-unit check-sql check-e2e check-forwarder
LONG_SUITES = check-fuzz check-asan check-forwarder-asan check-forwarder-tsan check-torture check-bench

# $(call run-suites,TARGET,SUITES): all of them, also after a failure.
define run-suites
	@.ci/packages check || $(MAKE) --no-print-directory deps-test
	@failed=; \
	for suite in $(2); do \
		echo "== $$suite"; \
		began=$$(date +%s); \
		$(MAKE) --no-print-directory WERROR=1 $$suite || failed="$$failed $$suite"; \
		echo "== $$suite took $$(($$(date +%s) - began)) s"; \
	done; \
	if [ -n "$$failed" ]; then echo "make $(1): failed:$$failed"; exit 1; fi; \
	echo 'make $(1): all passed: $(2)'
endef

# PGXS has a recipe for check, which only says that it cannot: that recipe is run by a shell that does
# nothing, and what check depends on does the work.
check: private SHELL = /bin/true
check: check-suites

.PHONY: check-suites check-all
check-suites:
	$(call run-suites,check,$(SUITES))

check-all:
	$(call run-suites,check-all,$(SUITES) $(LONG_SUITES))

# The tests again, on other versions of the server: VERSIONS="16 18" says which.

VERSIONS ?=

check-versions: $(if $(findstring --e2e,$(VERSIONS_FLAGS)),forwarder)
	$(PYTHON) -B regress/versions/run $(VERSIONS_FLAGS) $(VERSIONS)

# Unit tests: each test_*.c is a program, linked with the pure files.

UNIT_TESTS = $(patsubst plugin/test/%.c,build/unit/%,$(wildcard plugin/test/test_*.c))
UNIT_LIBS = -lcmocka -L$(pkglibdir) -lpgcommon -lpgport -lm

check-unit: $(UNIT_TESTS)
	@for test in $(UNIT_TESTS); do echo "$$test"; $$test || exit 1; done

build/unit/%: plugin/test/%.c $(PURE_OBJS) $(wildcard plugin/test/*.h)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -o $@ $< $(PURE_OBJS) $(LDFLAGS) $(UNIT_LIBS)

FORWARDER_TESTS = $(wildcard regress/e2e/test_forwarder*.py) regress/e2e/test_gaps.py regress/e2e/test_promotion.py \
	regress/e2e/test_documents.py

TEST_MODULES = build/modules/walspout_test_casts.so

test-modules: $(TEST_MODULES)

build/modules/%.so: regress/modules/%.c
	@mkdir -p $(@D)
	$(CC) $(filter-out -MMD -MP,$(CPPFLAGS)) $(CFLAGS) -shared -o $@ $<

check-sql: plugin test-modules
	$(PYTHON) regress/run_sql $(TESTS)

check-e2e: plugin bench-plugins
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
	$(PYTHON) regress/bench/memory --scale 0.01 --minutes 0.05 --json $(BENCH_CHECKED)/memory.json
	$(PYTHON) regress/bench/report --record $(BENCH_CHECKED)/recorded $(BENCH_CHECKED) >/dev/null
	@$(PYTHON) -c 'import sys, xml.etree.ElementTree as xml; [xml.parse(p) for p in sys.argv[1:]]' \
		$(BENCH_PLOTS:%=$(BENCH_CHECKED)/recorded/%.svg)

# The forwarder. Its tests are built, and warnings are errors, from the first time on.

check-forwarder: plugin bench-plugins
	$(PYTHON) .ci/includes
	@$(MAKE) --no-print-directory configure-forwarder \
		FORWARDER_FLAGS='-DWALSPOUT_TESTS=ON -DWALSPOUT_WERROR=ON $(FORWARDER_FLAGS)'
	@ninja -C $(FORWARDER_BUILD) -j$(JOBS)
	cd $(FORWARDER_BUILD) && ctest -j2 --output-on-failure
	$(PYTHON) -B -m pytest -p no:cacheprovider -q -n 2 \
		$(FORWARDER_TESTS) $(PYTEST_FLAGS)

# Its tests again, instrumented: for addresses and undefined behaviour by g++, for threads by clang, so
# that both compilers see all of it.
check-forwarder-asan: SANITIZE = -DWALSPOUT_SANITIZE=address
check-forwarder-tsan: SANITIZE = -DWALSPOUT_SANITIZE=thread -DCMAKE_CXX_COMPILER=clang++
check-forwarder-asan check-forwarder-tsan: check-forwarder-%:
	@mkdir -p build
	@cmake -S . -B $(FORWARDER_BUILD)-$* -G Ninja $(SANITIZE) $(FORWARDER_FLAGS) \
		>$(FORWARDER_BUILD)-$*.log 2>&1 || { cat $(FORWARDER_BUILD)-$*.log; exit 1; } >&2
	@ninja -C $(FORWARDER_BUILD)-$* -j$(JOBS)
	cd $(FORWARDER_BUILD)-$* && ctest -j2 --output-on-failure

# Torture: the checker's own tests, then every kind of fault for a few seconds, sink by sink; and as
# long as one likes.

TORTURE = $(PYTHON) -B regress/torture/run
RUNS ?= 200
SECONDS ?= 4
SEED ?= 1

check-torture: plugin forwarder build/torture/clock_preload.so
	$(PYTHON) -B -m pytest -p no:cacheprovider -q regress/torture/test_checker.py \
		regress/torture/test_faults.py
	$(TORTURE) --each --seconds 6

torture: plugin forwarder build/torture/clock_preload.so
	$(TORTURE) --runs $(RUNS) --seconds $(SECONDS) --seed $(SEED) --json build/torture/result.json $(TORTURE_FLAGS)

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

# Fuzzing: each fuzz_*.c is a program, linked with the pure files and with libFuzzer; where clang has
# none, or is not there, with driver.c, which makes up random inputs without looking at coverage.

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

# A check gives the same result twice: new inputs are looked for by `make fuzz`.
check-fuzz:
	@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=4 FUZZ_SEED=1

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

# The forwarder's, with inputs to begin with. They need libFuzzer, which clang brings along.
FORWARDER_FUZZERS = \
	source/frames \
	config/config \
	sink/http/http_answer \
	sink/redis/redis

fuzz-forwarder:
	@[ '$(LIBFUZZER)' = yes ] || { echo 'fuzz-forwarder: clang has no libFuzzer here' >&2; exit 1; }
	@mkdir -p $(FORWARDER_BUILD)-fuzz
	@cmake -S . -B $(FORWARDER_BUILD)-fuzz -G Ninja -DCMAKE_CXX_COMPILER=clang++ \
		-DWALSPOUT_SANITIZE=address -DWALSPOUT_FUZZERS=ON -DWALSPOUT_TESTS=OFF \
		>$(FORWARDER_BUILD)-fuzz/cmake.log 2>&1 || { cat $(FORWARDER_BUILD)-fuzz/cmake.log; exit 1; }
	@ninja -C $(FORWARDER_BUILD)-fuzz -j$(JOBS) $(patsubst %,%_fuzz,$(notdir $(FORWARDER_FUZZERS)))
	@for fuzzer in $(FORWARDER_FUZZERS); do \
		name=$(FORWARDER_BUILD)-fuzz/$$(basename $$fuzzer); \
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
	build/bench/clients/bare_kafka

BENCHED = build/bench

# One after the other, whatever -j says.
bench:
	@mkdir -p $(BENCHED)
	@$(MAKE) --no-print-directory bench-server \
		BENCH_FLAGS='--json $(BENCHED)/server.json $(BENCH_FLAGS)'
	@$(MAKE) --no-print-directory bench-forwarder \
		END_TO_END_FLAGS='--json $(BENCHED)/end_to_end.json $(END_TO_END_FLAGS)'
	@$(MAKE) --no-print-directory bench-memory \
		MEMORY_FLAGS='--json $(BENCHED)/memory.json $(MEMORY_FLAGS)'
	@$(MAKE) --no-print-directory bench-report

bench-server: plugin bench-plugins
	$(PYTHON) regress/bench/run $(BENCH_FLAGS)

bench-forwarder: plugin forwarder bench-clients
	$(PYTHON) regress/bench/end_to_end $(END_TO_END_FLAGS)

bench-memory: plugin forwarder
	$(PYTHON) regress/bench/memory $(MEMORY_FLAGS)

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
LIBS_bare_kafka = -lrdkafka

build/bench/%.so: regress/bench/plugins/%.c
	@mkdir -p $(@D)
	$(CC) $(filter-out -MMD -MP,$(CPPFLAGS)) $(CFLAGS) -shared -o $@ $<

## Layout of the sources, packages ##############################################################

FORWARDER_SOURCES = $(wildcard $(addprefix forwarder/,*.cc */*.h */*.cc test/*/*.h test/*/*.cc))
CLANG_FORMAT ?= clang-format

format:
	$(PYTHON) .ci/indent
	@$(CLANG_FORMAT) -i $(FORWARDER_SOURCES)

check-boundaries:
	@.ci/boundaries

check-format:
	$(PYTHON) .ci/indent --check
	@$(CLANG_FORMAT) --dry-run --Werror $(FORWARDER_SOURCES)

deps:
	.ci/packages install build

deps-test:
	.ci/packages install test
