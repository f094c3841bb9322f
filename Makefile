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
	plugin/rules.o \
	plugin/secret.o \
	plugin/filter.o \
	plugin/row_filter.o \
	plugin/relation.o \
	plugin/columns.o \
	plugin/key_rules.o \
	plugin/watch.o \
	plugin/shape.o \
	plugin/schema.o \
	plugin/avro.o \
	plugin/types.o \
	plugin/calls.o \
	plugin/row.o \
	plugin/values.o \
	plugin/nested.o \
	plugin/guard.o \
	plugin/sandbox.o \
	plugin/quiet.o \
	plugin/budget.o \
	plugin/present.o \
	plugin/text.o \
	plugin/format.o \
	plugin/json.o \
	plugin/envelope.o \
	plugin/dialect.o \
	plugin/dialect_wal2json.o \
	plugin/dialect_debezium.o \
	plugin/debezium.o \
	plugin/debezium_numbers.o \
	plugin/debezium_times.o \
	plugin/dialect_row.o \
	plugin/dialect_psql_streamer.o \
	plugin/dialect_pg2sink.o \
	plugin/dialect_cloudevents.o \
	plugin/dialect_sequin.o \
	plugin/dialect_parts.o \
	plugin/plain.o \
	plugin/syntax.o \
	plugin/frames.o \
	plugin/output.o \
	plugin/backfill.o \
	plugin/reading.o \
	plugin/readable.o \
	plugin/key.o \
	plugin/scan.o \
	plugin/documents.o \
	plugin/tokens.o \
	plugin/direct.o

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

# No library replaces our functions by others of the same name. So the compiler may inline them, and calls between files
# need no table.
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

# PGXS defines `all` and `install` for the plugin. Here they also build the forwarder, if its libraries are installed. A
# server for the plugin alone does not need these.
ifndef PLUGIN_ONLY
ifeq ($(shell .ci/packages check forwarder 2>/dev/null && echo yes),yes)
all: forwarder
install: install-forwarder
else
all install: no-forwarder
endif
uninstall: uninstall-forwarder
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

# In `sudo make install` the user of sudo compiles, if the clone is this user's: no file of root stays there.
AS_USER = $(if $(filter 0,$(shell id -u)),$(if $(filter $(SUDO_UID),$(shell stat -c %u .)),sudo -H -u '$(SUDO_USER)' --))

forwarder: configure-forwarder
	@$(AS_USER) ninja -C $(FORWARDER_BUILD) -j $(JOBS) walspout

# FORWARDER_FLAGS are cmake's. Tests and strict warnings are for developers.
configure-forwarder:
	@command -v cmake >/dev/null && command -v ninja >/dev/null || \
		{ echo "no cmake or no ninja: 'make deps' installs them" >&2; exit 1; }
	@$(AS_USER) mkdir -p build
	@$(AS_USER) touch $(FORWARDER_BUILD).log
	@$(AS_USER) cmake -S . -B $(FORWARDER_BUILD) -G Ninja \
		$(if $(wildcard $(FORWARDER_BUILD)/build.ninja),,-DWALSPOUT_TESTS=OFF -DWALSPOUT_WERROR=OFF) \
		$(FORWARDER_FLAGS) >$(FORWARDER_BUILD).log 2>&1 || \
		{ cat $(FORWARDER_BUILD).log; echo "'make deps' installs what is missing"; exit 1; } >&2

install-forwarder: forwarder
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/lib/systemd/system' \
		'$(DESTDIR)$(PREFIX)/share/doc/walspout' '$(DESTDIR)$(PREFIX)/share/man/man1' \
		'$(DESTDIR)$(PREFIX)/share/bash-completion/completions' \
		'$(DESTDIR)$(PREFIX)/share/zsh/site-functions' \
		'$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d'
	install -m 644 $(FORWARDER_BUILD)/walspout.1 '$(DESTDIR)$(PREFIX)/share/man/man1/'
	install -m 644 $(FORWARDER_BUILD)/walspout.bash \
		'$(DESTDIR)$(PREFIX)/share/bash-completion/completions/walspout'
	install -m 644 $(FORWARDER_BUILD)/walspout.zsh \
		'$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_walspout'
	install -m 644 $(FORWARDER_BUILD)/walspout.fish \
		'$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/walspout.fish'
	install -m 755 $(FORWARDER_BUILD)/walspout '$(DESTDIR)$(PREFIX)/bin/'
	install -m 644 forwarder/walspout.example.yaml '$(DESTDIR)$(PREFIX)/share/doc/walspout/'
	sed 's,/usr/local,$(PREFIX),' forwarder/walspout.service \
		>'$(DESTDIR)$(PREFIX)/lib/systemd/system/walspout.service'
	sed -e 's,/usr/local,$(PREFIX),' -e 's,walspout/walspout\.yaml,walspout/%i.yaml,' \
		-e 's,walspout/environment,walspout/%i.environment,' \
		-e 's,\(/var/lib/walspout\),\1/%i,' -e 's,^\(StateDirectory=walspout\)$$,\1/%i,' \
		-e 's,^\(Description=.*\)$$,\1 (%i),' forwarder/walspout.service \
		>'$(DESTDIR)$(PREFIX)/lib/systemd/system/walspout@.service'
	chmod 644 '$(DESTDIR)$(PREFIX)/lib/systemd/system/walspout.service' \
		'$(DESTDIR)$(PREFIX)/lib/systemd/system/walspout@.service'
	install -m 644 forwarder/monitoring/grafana.json forwarder/monitoring/walspout.rules.yaml \
		'$(DESTDIR)$(PREFIX)/share/doc/walspout/'

# The files that install-forwarder writes. `make uninstall` removes them, and PGXS removes the plugin.
uninstall-forwarder:
	cd '$(DESTDIR)$(PREFIX)' && rm -f bin/walspout share/man/man1/walspout.1 \
		share/bash-completion/completions/walspout share/zsh/site-functions/_walspout \
		share/fish/vendor_completions.d/walspout.fish \
		lib/systemd/system/walspout.service lib/systemd/system/walspout@.service && rm -rf share/doc/walspout

## Packages ####################################################################################

# Debian packages of both, for the server of PG_CONFIG, in build/deb.
deb:
	@forwarder/packaging/deb

## The demo #####################################################################################

demo:
	@.ci/packages check demo || .ci/packages install demo
	@mkdir -p build
	@echo 'Building both programs, a minute or two the first time; see build/demo.log'
	@$(MAKE) --no-print-directory -j2 plugin JOBS=$(JOBS) $(DEMO_FORWARDER) >build/demo.log 2>&1 || \
		{ tail -n 40 build/demo.log; exit 1; } >&2
	@WALSPOUT=$(abspath $(DEMO_PROGRAM)) $(PYTHON) -B regress/demo $(DEMO_FLAGS)

# An existing program is used. Otherwise the demo builds a program that runs slower, and compiles faster.
ifneq ($(wildcard $(FORWARDER_BUILD)/walspout),)
DEMO_FORWARDER = forwarder
DEMO_PROGRAM = $(FORWARDER_BUILD)/walspout
else
DEMO_FORWARDER = quick-forwarder
DEMO_PROGRAM = $(QUICK_BUILD)/walspout
endif

QUICK_BUILD = build/forwarder-quick

quick-forwarder:
	@$(MAKE) --no-print-directory forwarder FORWARDER_BUILD=$(QUICK_BUILD) FORWARDER_FLAGS=-DWALSPOUT_QUICK=ON

# Pictures of the page and of a terminal, for the documents.
pictures: plugin forwarder
	@$(PYTHON) -B regress/pictures $(PICTURES_FLAGS)

# Some of these targets are also names of folders.
.PHONY: plugin forwarder no-forwarder configure-forwarder install-plugin install-forwarder uninstall-forwarder demo
.PHONY: help check-format check-boundaries format pages site deb deps deps-deb deps-test

help:
	@echo 'make demo          build, start private servers, watch changes arrive in Redis, at a webhook'
	@echo '                   and in RabbitMQ; DEMO_FLAGS=--stay to play with it; leaves nothing behind'
	@echo 'make               build the plugin and the forwarder'
	@echo 'make install       install both: the plugin where PG_CONFIG says, the forwarder under'
	@echo '                   PREFIX=/usr/local; DESTDIR is honoured'
	@echo 'make uninstall     remove what make install has installed, with the same PREFIX'
	@echo 'make plugin        one of them: also install-plugin, forwarder, install-forwarder'
	@echo 'make deb           Debian packages of both, in build/deb'
	@echo 'make check         the tests that every change must pass; installs what they need where it can'
	@echo 'make check-all     these, and what takes longer: fuzzers, sanitizers, torture, benchmarks'
	@echo '  check-unit       files that need no server (cmocka)'
	@echo '  check-fuzz       the fuzzers, a few seconds each'
	@echo '  check-sql        regression and isolation tests (TESTS="name ..." for some of them)'
	@echo '  check-demo       the demo, with the program that it builds itself'
	@echo '  check-debezium   the dialect debezium beside the connector itself, where there is Java (CASES="strings")'
	@echo '  check-e2e        end to end, through pg_recvlogical (PYTEST_FLAGS="-k name")'
	@echo '  check-asan       unit, regression and isolation tests under the address sanitizer'
	@echo '  check-backfill-model  the rules of the backfill, in all orders of steps of small cases'
	@echo '  check-forwarder  the forwarder: unit tests, sinks, end to end (also -unit, -e2e, -long, -asan, -tsan)'
	@echo '  check-torture    faults of every kind, a few seconds each (make torture: for long)'
	@echo '  check-versions   SQL tests on PostgreSQL 13, 16, 17, 18 and 19, which are fetched (VERSIONS="16 18";'
	@echo '                   VERSIONS_FLAGS=--e2e): not part of check'
	@echo '  check-bench      the benchmarks on very little data'
	@echo '  check-format     layout of the sources'
	@echo '  check-boundaries which file may know what'
	@echo 'make torture       kill, freeze, cut, fill up and delay everything at random moments, and check what'
	@echo '                   arrived (RUNS=200 of SECONDS=4 each, from SEED=1: 40 minutes)'
	@echo 'make torture-backfill  the same for backfills, with fewer servers'
	@echo 'make torture-postgres  the same for the sink postgres, whose target is tortured'
	@echo 'make check-planted plant mistakes in copies of the forwarder, which the torture of the backfill has to find'
	@echo '                   (PLANTED_FLAGS="--only no-barrier"): not part of check'
	@echo 'make fuzz          fuzz pure files, slot options, what the forwarder reads (FUZZ_SECONDS=20 each,'
	@echo '                   FUZZ_SEED=1)'
	@echo 'make bench         all benchmarks and a report of them in build/bench, an hour and a half; leave the'
	@echo '                   machine alone while they run'
	@echo '  bench-server     the plugin, compared with others (BENCH_FLAGS="--help")'
	@echo '  bench-forwarder  the forwarder, end to end (END_TO_END_FLAGS="--help")'
	@echo '  bench-backfill   rows that exist already, beside COPY, and the stream meanwhile (BACKFILL_FLAGS="--help")'
	@echo '  bench-subscription  the sink postgres, beside CREATE SUBSCRIPTION (SUBSCRIPTION_FLAGS="--help")'
	@echo '  bench-memory     of walsender and forwarder: a large transaction, an outage of an hour'
	@echo '                   (MEMORY_FLAGS="--help")'
	@echo '  bench-peers      side by side with Debezium Server, which Maven fetches (780 MB), and a wal2json loop'
	@echo '                   (PEERS_FLAGS="--help"): not part of bench'
	@echo '  bench-report     the report again, from the figures of the last make bench'
	@echo '  bench-record     the same, into regress/results, to be committed'
	@echo 'make format        lay out the sources as check-format wants them'
	@echo 'make site          build the documents as a web site, in build/site/html, and check links'
	@echo 'make pages         fill the tables of README.md and docs/ from what the program says'
	@echo 'make pictures      make the pictures of docs/, in a browser'
	@echo 'make deps          install what building needs'
	@echo 'make deps-deb      install what making Debian packages needs'
	@echo 'make deps-test     install what building and testing need'
	@echo 'WERROR=1           makes warnings errors'

## Tests, fuzzing, benchmarks ###################################################################

include regress/regress.mk

## Layout of the sources, packages ##############################################################

FORWARDER_SOURCES = $(wildcard $(addprefix forwarder/,*.cc */*.h */*.cc */*/*.h */*/*.cc test/*/*/*.h test/*/*/*.cc))
CLANG_FORMAT ?= clang-format

format:
	$(PYTHON) .ci/indent
	@$(CLANG_FORMAT) -i $(FORWARDER_SOURCES)

check-boundaries:
	@.ci/boundaries
	@$(PYTHON) .ci/includes

pages: forwarder
	$(PYTHON) .ci/pages

site:
	$(PYTHON) .ci/site

# Releases of clang-format lay out some lines in different ways. The sources follow one release.
CLANG_FORMAT_RELEASE = 14

check-format:
	$(PYTHON) .ci/indent --check
	@$(PYTHON) .ci/words
	@$(PYTHON) .ci/sentences
	@$(PYTHON) .ci/messages
	@if $(CLANG_FORMAT) --version | grep -q 'version $(CLANG_FORMAT_RELEASE)\.'; then \
		$(CLANG_FORMAT) --dry-run --Werror $(FORWARDER_SOURCES); \
	else echo "not checked: the layout of forwarder/, which follows clang-format $(CLANG_FORMAT_RELEASE)."; fi

deps:
	.ci/packages install build

deps-deb:
	.ci/packages install deb

deps-test:
	.ci/packages install test
