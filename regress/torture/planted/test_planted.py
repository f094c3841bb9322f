"""Each planted mistake still fits the sources, and names faults that there are."""

import glob
import os
import subprocess

import pytest

from harness.folders import TOP
from torture.backfill.scene import Scene

PATCHES = sorted(glob.glob(os.path.join(os.path.dirname(os.path.abspath(__file__)), "*.patch")))


@pytest.mark.parametrize("path", PATCHES, ids=os.path.basename)
def test_it_fits_the_sources(path):
    done = subprocess.run(["patch", "-p0", "-F0", "--dry-run", "-i", path], cwd=TOP, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", PATCHES, ids=os.path.basename)
def test_the_faults_that_provoke_it_are_there(path):
    with open(path) as f:
        named = [line.split(": ", 1)[1] for line in f.read().splitlines() if line.startswith("Provoked by: ")]
    assert len(named) == 1 and set(named[0].split(",")) <= set(Scene.FAULTS)
