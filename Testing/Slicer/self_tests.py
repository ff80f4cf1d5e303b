"""The modules' self-tests, a line each: no network, no PyTorch. How to run it: README.md."""

import os
import sys
import unittest

import slicer

sys.path.insert(0, os.path.dirname(os.path.abspath(sys.argv[0])))

import checks

MODULES = ("MedSegDL", "MedSegTrain")


def tests_of(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests_of(test)
        else:
            yield test


def run(test):
    result = unittest.TestResult()
    test.run(result)
    problems = "\n".join(trace for _, trace in (*result.errors, *result.failures))
    checks.check(test.id(), result.wasSuccessful(), problems)


for name in MODULES:
    if name not in slicer.util.moduleNames():
        print(f"left out: {name} is not on the module paths")
        continue
    tests = list(tests_of(unittest.TestLoader().loadTestsFromName(f"{name}.{name}Test")))
    checks.check(f"{name} has self-tests", bool(tests))
    for test in tests:
        run(test)
checks.finish()
